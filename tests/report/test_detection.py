"""The page says in plain sentences which planted defects are found, and shows each of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from ssimae.config.settings import Settings
from ssimae.pod.hits import PlantedDefects
from ssimae.pod.table import CONTRASTS, DetectionTable, tabulate_detection
from ssimae.report.detection import contrast_range, detection_sentences, draw_detection, size_text
from ssimae.report.page import write_report
from ssimae.storage.run_folder import RunFolder
from support.small_data import small_facts

CONTRAST = {"faint": 0.02, "medium": 0.1, "strong": 0.3}
SIZES = np.geomspace(4, 64, 60)


def table_of(hits: dict[str, NDArray[np.bool_]], pixel_size_mm: float | None = None) -> DetectionTable:
    """A table of defects at the first sizes of SIZES, with the given hits of each contrast."""
    sizes = np.concatenate([SIZES[: len(hit)] for hit in hits.values()])
    contrast = np.concatenate([np.full(len(hit), CONTRAST[name]) for name, hit in hits.items()])
    defects = PlantedDefects(sizes, contrast, ("spot",) * len(sizes), np.concatenate(list(hits.values())))
    return tabulate_detection(defects, pixel_size_mm=pixel_size_mm)


def overlapping() -> NDArray[np.bool_]:
    """Misses below 10 px, hits above 20, and some of each between."""
    return (SIZES > 20) | ((SIZES > 10) & (np.arange(60) % 2 == 0))


def test_a_sentence_says_from_which_size_on_a_defect_is_found() -> None:
    table = table_of({"medium": overlapping()}, pixel_size_mm=0.05)
    curve = table.groups["medium"]
    assert curve.a90 is not None
    assert curve.a90_95 is not None
    sentence = detection_sentences(table)[1]
    assert sentence == (
        "A defect of medium contrast (5 to 15 % of the gray range) is found 9 times in 10 from "
        f"{curve.a90:.0f} px ({0.05 * curve.a90:.2g} mm) on, at 95 % confidence from "
        f"{curve.a90_95:.0f} px ({0.05 * curve.a90_95:.2g} mm) on."
    )


def test_what_is_not_known_is_said_with_its_reason() -> None:
    hits = {"faint": np.zeros(60, np.bool_), "medium": SIZES > 55, "strong": np.ones(60, np.bool_)}
    faint, medium, strong, _ = detection_sentences(table_of(hits))
    assert faint == ("Faint contrast (below 5 % of the gray range): none of 60 was found, up to the largest, 64 px.")
    assert medium.endswith(
        "The size from which 90 % are found with 95 % confidence lies above the largest planted, 64 px."
    )
    assert strong == (
        "Strong contrast (15 % or more of the gray range): all 60 were found, down to the smallest, 4 px. At 95 % "
        f"confidence, 9 in 10 are found from {SIZES[28]:.0f} px on."
    )
    few = detection_sentences(table_of({"strong": np.ones(9, np.bool_)}))
    assert few[0] == "Faint contrast (below 5 % of the gray range): no such defect was planted."
    assert few[2].endswith("smallest, 4 px. For 95 % confidence, at least 29 have to be found.")


def test_sizes_are_told_in_two_figures_of_millimetres() -> None:
    assert [size_text(size, 0.1) for size in (4.04, 9.97, 120)] == [
        "4.0 px (0.40 mm)",
        "10 px (1.0 mm)",
        "120 px (12 mm)",
    ]
    assert size_text(14.2, None) == "14 px"


def test_ranges_of_contrast_are_those_of_the_groups() -> None:
    assert [contrast_range(name) for name in CONTRASTS] == ["below 5 %", "5 to 15 %", "15 % or more"]


@pytest.mark.parametrize(
    "hits",
    [
        {"faint": overlapping(), "medium": overlapping(), "strong": np.ones(60, np.bool_)},
        {"medium": np.ones(3, np.bool_)},
        {"faint": np.zeros(10, np.bool_), "strong": np.ones(15, np.bool_)},
    ],
)
def test_a_figure_is_drawn_of_whatever_was_planted(hits: dict[str, NDArray[np.bool_]]) -> None:
    picture = draw_detection(table_of(hits, pixel_size_mm=0.1), "SSIM-AE", "detection_ssim")
    assert picture.png.startswith(b"\x89PNG")
    assert (picture.name, picture.title) == ("detection_ssim", "Probability of detection of SSIM-AE")


def test_the_page_tells_of_planted_defects_only_where_there_are_some(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_config(Settings(), small_facts())
    assert "What will it find?" not in write_report(tmp_path).read_text()
    table = table_of({"medium": overlapping()})
    folder.pod.write_text(json.dumps(table.to_dict()))
    page = write_report(tmp_path).read_text()
    assert "What will it find?" in page
    for sentence in detection_sentences(table):
        assert f"<li>{sentence}</li>" in page
    assert (tmp_path / "figures" / "detection_ssim.png").exists()


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_config(Settings(), small_facts())
    folder.pod.write_text("{}")
    with pytest.raises(ValueError, match=r"pod\.json: not a table of detection"):
        write_report(tmp_path)
