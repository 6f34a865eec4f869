"""The page tells what was tried, how it scored on planted defects, and which of it was taken."""

import json
from pathlib import Path
from typing import Any

import pytest
from ssimae.config.settings import Settings
from ssimae.report.choices import choice_tables
from ssimae.report.page import write_report
from ssimae.storage.records import read_results
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning.trial import Trial
from support.small_data import small_facts

TRIALS = [
    Trial(1.0, 64, 100, 21000, 71.4, 0.123, 0.436, collapsed=False, score=0.41),
    Trial(0.5, 64, 100, 22000, 68.2, 0.441, 0.43, collapsed=True, score=0.0),
]


def treatment(calibration: str, smoothing: float, au_pro: float, found: float) -> dict[str, Any]:
    return {
        "calibration": calibration,
        "residual_smoothing": smoothing,
        "au_pro_0.05": au_pro,
        "found": found,
        "score": (au_pro + found) / 2,
    }


TREATMENTS = [
    treatment("border", 4.0, 0.3, 0.2),
    treatment("surface", 4.0, 0.5, 0.3),
    treatment("surface", 8.0, 0.4, 0.3),
]


def write_run(root: Path, choices: object, **facts: Any) -> RunFolder:
    root.mkdir(exist_ok=True)
    folder = RunFolder(root)
    folder.write_config(Settings(calibration="auto"), small_facts(**facts))
    folder.choices.write_text(json.dumps(choices))
    return folder


def test_what_was_taken_is_the_highest_score(tmp_path: Path) -> None:
    folder = write_run(tmp_path, {"trials": [trial.to_dict() for trial in TRIALS], "treatments": TREATMENTS})
    trials, treatments = choice_tables([read_results(folder)])
    assert (trials.chosen, treatments.chosen) == (0, 1)
    assert trials.rows[1] == ["0.5", "64", "22,000", "68", "0.441 (0.430)", "learned nothing"]
    assert trials.rows[0][-1] == "0.410"
    assert treatments.columns == ["Compared with", "Smoothing in px", "AU-PRO up to 5 %", "Found", "Score"]
    assert treatments.rows[1] == ["places whose surface looks alike", "4", "0.500", "30.0 %", "0.400"]


@pytest.mark.parametrize(
    ("head_patches", "head_weight", "name"),
    [(0, 0.5, "calibrated residual"), (100, 0.0, "calibrated residual"), (100, 0.5, "calibrated map")],
)
def test_the_map_is_called_by_what_takes_part_in_it(
    tmp_path: Path, head_patches: int, head_weight: float, name: str
) -> None:
    folder = write_run(tmp_path, {"treatments": TREATMENTS})
    folder.write_config(Settings(head_patches=head_patches, head_weight=head_weight), small_facts())
    assert read_results(folder).map_name == name
    folder.choices.unlink()
    assert read_results(folder).map_name == "residual"


def test_the_page_says_that_planted_defects_decided(tmp_path: Path) -> None:
    folder = write_run(tmp_path, {"treatments": TREATMENTS}, preset="auto", minutes=20.0, given=("scale", "seed"))
    page = write_report(folder.root).read_text()
    assert "How the settings were chosen" in page
    assert "No test image and no real defect took part." in page
    assert page.count('<tr class="best">') == 1
    assert "chosen from the images, for 20 min; given, and not chosen: scale and seed; all of them below" in page
    assert "<th>calibration</th><td>auto; chosen: surface</td>" in page
    assert "<th>residual_smoothing</th><td>not set; chosen: 4</td>" in page
    assert "Trainings that were tried" not in page


def test_where_nothing_was_chosen_the_page_says_nothing_of_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_config(Settings(), small_facts())
    page = write_report(tmp_path).read_text()
    assert "How the settings were chosen" not in page
    assert "preset default; all of them below" in page


@pytest.mark.parametrize("choices", [[1], {"trials": [{"scale": 1}]}, {"treatments": [{"found": 0.5}]}])
def test_damaged_choices_are_named(tmp_path: Path, choices: object) -> None:
    folder = write_run(tmp_path, choices)
    with pytest.raises(ValueError, match=r"choices\.json: not the choices of a run"):
        write_report(folder.root)
