"""What is written into predictions.csv and regions.csv comes back, under columns that other programs rely on."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from ssimae.inspection.verdict import Region
from ssimae.storage.predictions import (
    SkippedImage,
    StoredInspection,
    StoredRegion,
    make_stamp,
    read_predictions,
    write_predictions,
    write_regions,
)

INSPECTIONS = (
    StoredInspection("a", "good", Path("/d/a.png"), (), None, 40, 72, 0.125, "good", 0, 0),
    StoredInspection(
        'b "1", ü', "cut", Path("/d/b.png"), (Path("/d/b_mask.png"),), Path("/d/edge.png"), 7, 5, 0.1 + 0.2, "review",
        2, 9,
    ),
    StoredInspection(
        "c", "cut", Path("/d/c.png"), (Path("/d/[1].png"), Path('/d/2",.png')), None, 7, 5, 0.5, "defective", 1, 4
    ),
)  # fmt: skip
SKIPPED = (SkippedImage(Path("/d/c.png"), "not a picture, it seems"),)


def test_images_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, INSPECTIONS, SKIPPED)
    assert read_predictions(path) == (INSPECTIONS, SKIPPED)


def test_absent_predictions_are_none(tmp_path: Path) -> None:
    assert read_predictions(tmp_path / "predictions.csv") == ((), ())


def test_columns_keep_their_names_and_order(tmp_path: Path) -> None:
    region = Region(area=9, top=1, left=2, bottom=4, right=5, row=2.0, column=3.0, max_score=0.9, mean_score=0.5)
    write_predictions(tmp_path / "predictions.csv", INSPECTIONS, SKIPPED)
    write_regions(tmp_path / "regions.csv", [StoredRegion("b", "cut", 1, region, 0.5)])
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    names = (
        "name defect image mask ignore height width score verdict regions defect_px reason defect_mm2 bytes modified"
    )
    assert " ".join(rows[0]) == names
    assert rows[1] == ["a", "good", "/d/a.png", "", "", "40", "72", "0.125", "good", "0", "0", "", "", "", ""]
    assert rows[4] == [
        "c",
        "",
        "/d/c.png",
        "",
        "",
        "",
        "",
        "",
        "skipped",
        "",
        "",
        "not a picture, it seems",
        "",
        "",
        "",
    ]
    with (tmp_path / "regions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    names = "name defect region area top left bottom right row column max_score mean_score area_mm2 height_mm width_mm"
    assert " ".join(rows[0]) == names
    assert rows[1] == ["b", "cut", "1", "9", "1", "2", "4", "5", "2.0", "3.0", "0.9", "0.5", "2.25", "1.5", "1.5"]


def test_a_time_is_told_to_the_nanosecond() -> None:
    assert make_stamp(7, 1_700_000_000_123_456_789) == (7, "2023-11-14T22:13:20.123456789Z")
    assert make_stamp(7, 0).modified == "1970-01-01T00:00:00.000000000Z"


def test_of_a_table_that_grows_the_last_row_of_an_image_counts(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    again = replace(INSPECTIONS[0], name="a-2", score=0.5, bytes=9, modified="2023-11-14T22:13:20.123456789Z")
    write_predictions(path, [*INSPECTIONS, again], SKIPPED)
    with path.open("a") as file:
        file.write('d,unlabelled,"/so')
    images, skipped = read_predictions(path, growing=True)
    assert images == (again, INSPECTIONS[1])
    assert skipped == SKIPPED


@pytest.mark.parametrize(("old", "new"), [("review", "perhaps"), ("height", "tall"), ("72", "wide")])
def test_damaged_predictions_are_refused_by_name(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, INSPECTIONS, SKIPPED)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=r"predictions.csv: not the predictions of this version"):
        read_predictions(path)


def test_an_image_is_the_sample_it_was_and_knows_its_truth() -> None:
    good, cut, _ = INSPECTIONS
    assert cut.sample.masks == (Path("/d/b_mask.png"),)
    assert (cut.sample.path, cut.sample.name, cut.sample.defect) == (Path("/d/b.png"), 'b "1", ü', "cut")
    assert (good.is_defective, good.has_truth, good.flagged) == (False, True, False)
    assert (cut.is_defective, cut.has_truth, cut.flagged) == (True, True, True)
