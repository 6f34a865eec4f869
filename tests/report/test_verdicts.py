"""The verdicts of a run are counted by kind of defect and told in a sentence, as far as the truth is known."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from ssimae.config.settings import Settings
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import PLACE, WHOLE, Verdict
from ssimae.report.assessment import assess
from ssimae.report.format import as_fraction
from ssimae.report.page import write_report
from ssimae.report.verdicts import told_by_verdicts, verdict_sentence, verdict_table
from ssimae.report.wording import false_calls_text, threshold_sentences
from ssimae.storage.predictions import StoredInspection, write_predictions
from ssimae.storage.records import ModelResults, read_results
from ssimae.storage.run_folder import RunFolder
from support.small_data import small_facts

SIZE = (40, 48)
DEFECT = (slice(10, 20), slice(10, 30))
ELSEWHERE = (slice(25, 35), slice(10, 30))
THRESHOLDS = Thresholds(
    2.0, 3.0, "area", 25, True, 48, 5000, "float32", "torch", (2.5,), (1.9,), false_calls=0.025, extrapolated=False
)


class Run:
    """A run folder of calibrated maps that grows image by image."""

    def __init__(self, root: Path) -> None:
        self.folder = RunFolder(root)
        self.folder.write_config(Settings(), small_facts())
        self.folder.thresholds.write_text(json.dumps(THRESHOLDS.to_dict()))
        self._rows: list[StoredInspection] = []

    def add(
        self,
        kind: str,
        verdict: Verdict,
        marked: tuple[slice, slice] | None = None,
        *,
        reason: str = "",
        mask: bool = True,
    ) -> None:
        name = f"image{len(self._rows)}"
        map_ = np.ones(SIZE, np.float32)
        if marked is not None:
            map_[marked] = 2.5 if verdict == "review" else 4
        for part in (self.folder.calibrated, self.folder.residuals):
            path = self.folder.map_path(part, kind, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, map_ if part == self.folder.calibrated else np.full(SIZE, 9, np.float32))
        truth: tuple[Path, ...] = ()
        if mask and kind not in ("good", "training", "unlabelled"):
            truth = (self.folder.root / f"{name}_mask.png",)
            pixels = np.zeros(SIZE, np.uint8)
            pixels[DEFECT] = 255
            Image.fromarray(pixels).save(truth[0])
        regions = 0 if marked is None else 1
        self._rows.append(
            StoredInspection(
                name, kind, Path("/nowhere") / name, truth, None, *SIZE, float(map_.max()), verdict, regions,
                regions * 200, reason,
            )
        )  # fmt: skip
        write_predictions(self.folder.predictions, self._rows, [])

    @property
    def results(self) -> ModelResults:
        return read_results(self.folder)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def both_ways(run: Run) -> str:
    """The sentence from all maps, which equals that from the flagged defective images' alone."""
    sentence = verdict_sentence(assess(run.results))
    assert told_by_verdicts(run.results) == sentence
    return sentence


def test_good_images_pass_and_defective_ones_are_flagged_in_a_place(run: Run) -> None:
    run.add("good", "good")
    run.add("good", "review", ELSEWHERE, reason=PLACE)
    run.add("hole", "good")
    run.add("hole", "defective", DEFECT, reason=PLACE)
    run.add("scratch", "review", ELSEWHERE, reason=PLACE)
    run.add("scratch", "review", reason=f"{WHOLE} (darker)")
    assert both_ways(run) == (
        "1 of 2 good images passed; 3 of 4 defective ones were flagged, 1 of them in the right place."
    )
    assert {item.inspection.name: item.fault for item in assess(run.results)} == {
        "image0": None,
        "image1": "false alarm",
        "image2": "missed",
        "image3": None,
        "image4": "misplaced",
        "image5": "not located",
    }
    assert [(row.kind, *row.cells) for row in verdict_table(assess(run.results))] == [
        ("all defective", "4", "3 (75.0 %)", "2", "1 (25.0 %)"),
        ("hole", "2", "1 (50.0 %)", "0", "1 (50.0 %)"),
        ("scratch", "2", "2 (100 %)", "2", "0 (0 %)"),
        ("good", "2", "1 (50.0 %)", "1", "–"),
    ]


def test_nothing_is_said_of_places_without_masks(run: Run) -> None:
    run.add("hole", "defective", DEFECT, mask=False)
    run.add("hole", "good")
    assert both_ways(run) == "1 of 2 defective images were flagged."
    assert [row.placed for row in verdict_table(assess(run.results))] == [None]


def test_images_without_truth_are_counted_by_verdict(run: Run) -> None:
    for verdict in ("defective", "good", "review", "good"):
        run.add("unlabelled", verdict)  # type: ignore[arg-type]
    assert both_ways(run) == "4 unlabelled: 2 good, 1 review, 1 defective."
    assert verdict_table(assess(run.results)) == []


def test_good_images_that_were_inspected_themselves_pass_too(run: Run) -> None:
    run.add("training", "good")
    assert both_ways(run) == "1 of 1 good images passed."


def test_a_run_without_inspected_images_has_no_closing_line(run: Run) -> None:
    assert told_by_verdicts(run.results) is None


def test_the_page_shows_reasons_and_calls_the_map_calibrated(run: Run) -> None:
    run.add("scratch", "review", reason=f"{WHOLE} (darker)")
    run.add("hole", "defective", DEFECT, reason=PLACE)
    page = write_report(run.folder.root).read_text()
    assert '"reason":"the whole image is unlike the good ones (darker)","whole":true' in page
    assert '"reason":"a place stands out","whole":false' in page
    assert "The calibrated residual has the same colours in all images: 1 is as usual" in page
    assert "The score of an image is the value that 25 connected pixels reach" in page
    assert '"map":"calibrated residual"' in page


def test_a_calibrated_map_that_is_gone_is_not_replaced_by_the_residual(run: Run) -> None:
    run.add("hole", "defective", DEFECT, reason=PLACE)
    run.add("hole", "defective", DEFECT, reason=PLACE)
    run.folder.map_path(run.folder.calibrated, "hole", "image1").unlink()
    page = write_report(run.folder.root).read_text()
    assert "The calibrated residual is not there any more: " in page


def test_a_run_that_is_not_calibrated_speaks_of_the_residual(run: Run) -> None:
    run.add("hole", "defective", DEFECT)
    run.folder.calibrated.rename(run.folder.root / "elsewhere")
    page = write_report(run.folder.root).read_text()
    assert "A place is marked where the residual exceeds 2" in page
    assert '"map":"residual"' in page
    assert "calibrated" not in page.lower().replace("calibration", "")


@pytest.mark.parametrize(("share", "told"), [(1 / 200, "1/200"), (1 / 3, "1/3"), (0.007, "0.007")])
def test_a_share_is_told_as_one_types_it(share: float, told: str) -> None:
    assert as_fraction(share) == told


def text(false_calls: float, images: int, *, extrapolated: bool, bands: bool = False, held_out: bool = True) -> str:
    thresholds = Thresholds(
        2.0, 3.0, "area", 25, held_out, images, 5000, "float32", "torch", (), (), False, false_calls, extrapolated
    )
    return false_calls_text(thresholds, bands)


def test_the_rate_of_false_calls_is_told_with_what_the_images_can_show() -> None:
    assert text(1 / 40, 44, extrapolated=False) == (
        "One good image in 40 may be flagged. 44 held-out good images can show a rate down to 1 in 45"
    )
    assert text(1 / 40, 9, extrapolated=True) == (
        "One good image in 40 may be flagged; this is extrapolated from the tail of 9 held-out good images, which can "
        "show no rate below 1 in 10"
    )
    assert text(0.3, 4, extrapolated=True, bands=True) == (
        "One good image in 3.3 may be flagged; this is extrapolated from the tail of bands of 4 held-out good images, "
        "which can show no rate below 1 in 5 bands"
    )
    assert text(1 / 1500, 9, extrapolated=False, held_out=False).startswith(
        "One good image in 1,500 may be flagged. 9 good images can"
    )


def test_a_rate_rarer_than_allowed_is_told_beside_it() -> None:
    told = false_calls_text(dataclasses.replace(THRESHOLDS, allowed=0.05), bands=False)
    assert told.startswith(
        "One good image in 40 may be flagged (one in 20 was allowed; the rarer rate finds nearly all that this would). "
    )


def test_calibrated_thresholds_say_what_they_do_not_estimate(run: Run) -> None:
    run.add("good", "good")
    sentences = threshold_sentences(run.results)
    assert sentences[0].startswith("A place is marked where the calibrated residual exceeds 2 (“review”)")
    assert sentences[1] == (
        "Set on 48 good images that were kept out of training (5,000 pixels), by the level above which each of them "
        "shows no such place. One good image in 40 may be flagged. 48 held-out good images can show a rate down to 1 "
        "in 49."
    )
    assert sentences[2].endswith("how often that happens to a good one was not estimated.")
