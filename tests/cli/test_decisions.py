"""`ssimae evaluate` at thresholds: pixels marked, verdicts against the truth, and the intervals of their shares."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import precision_recall_fscore_support
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.evaluation.decisions.decisions import Decisions, MarkedPixels
from ssimae.inspection.threshold import Thresholds
from ssimae.regions import label_regions
from ssimae.storage.predictions import StoredInspection, write_predictions
from ssimae.storage.run_folder import RunFolder
from support.benchmark import IMAGES, SIZE, masks_of, write_category, write_gray, write_maps
from support.small_data import small_facts

REVIEW, DEFECTIVE, MIN_AREA = 1.9, 4.2, 2


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> tuple[Path, Path, list[np.ndarray]]:
    """Return a data set, a folder that is at once maps and a run, and the maps."""
    root = tmp_path_factory.mktemp("decisions")
    data = write_category(root / "data", 0)
    maps = write_maps(root / "maps", data, 2.0)
    run = RunFolder(root / "maps")
    (root / "maps" / "test").rename(run.residuals)
    run.write_config(Settings(), small_facts(data=data))
    thresholds = Thresholds(REVIEW, DEFECTIVE, "area", MIN_AREA, True, 5, 5000, "float32", "torch", (0.3,))
    run.thresholds.write_text(json.dumps(thresholds.to_dict()))
    return data, root / "maps", maps


def decisions(scored: tuple, out: Path, *more: str) -> dict:
    data, maps, _ = scored
    assert main(["evaluate", str(maps), str(data), "--no-report", "--out", str(out), *more]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["segf1"] == metrics["decisions"]["pixels"]["f1"]
    return metrics["decisions"]


def flags(truth: list[np.ndarray], marked: list[np.ndarray]) -> tuple[float, float, float]:
    pooled = [np.concatenate([one.ravel() for one in images]) for images in (truth, marked)]
    return precision_recall_fscore_support(*pooled, average="binary")[:3]


def test_a_run_is_judged_at_its_own_thresholds(scored, tmp_path, capsys) -> None:
    data, _, maps = scored
    found = decisions(scored, tmp_path / "out")
    regions = [label_regions(map_ > REVIEW)[0] for map_ in maps]
    areas = [np.bincount(labels.ravel())[labels] for labels in regions]
    marked = [(labels > 0) & (area >= MIN_AREA) for labels, area in zip(regions, areas)]
    pixels = found["pixels"]
    assert (pixels["precision"], pixels["recall"], pixels["f1"]) == pytest.approx(flags(masks_of(data), marked))
    peaks = [map_[mark].max(initial=-np.inf) for map_, mark in zip(maps, marked)]
    verdicts = ["good" if not mark.any() else "defective" if peak > DEFECTIVE else "review"
                for mark, peak in zip(marked, peaks)]  # fmt: skip
    for truth, kinds in (("good", {"good"}), ("defective", {"cut", "stain"})):
        of_truth = [verdict for verdict, (defect, _) in zip(verdicts, IMAGES) if defect in kinds]
        assert found["verdicts"][truth] == {kind: of_truth.count(kind) for kind in ("good", "review", "defective")}
    assert "maps: verdicts at its threshold" in capsys.readouterr().out


def test_verdicts_that_a_run_gave_count(scored, tmp_path) -> None:
    data, folder, _ = scored
    rows = [StoredInspection(name, defect, data / "x.png", (), None, *SIZE, 1.0, "review", 0, 0)
            for defect, name in IMAGES]  # fmt: skip
    write_predictions(RunFolder(folder).predictions, rows, [])
    try:
        found = decisions(scored, tmp_path / "out")
    finally:
        RunFolder(folder).predictions.unlink()
    assert found["verdicts"]["good"] == {"good": 0, "review": 2, "defective": 0}
    assert found["images"]["flagged"]["recall"]["value"] == 1
    assert found["images"]["defective"]["recall"]["value"] == 0


def test_maps_are_judged_at_a_threshold_that_is_given(scored, tmp_path) -> None:
    data, _, maps = scored
    ignore = np.zeros(SIZE, np.uint8)
    ignore[:, :20] = 255
    write_gray(tmp_path / "ignore.png", ignore)
    masks = [mask[:, 20:] for mask in masks_of(data)]
    level = float(np.quantile(maps[2][:, 20:], 0.99))
    found = decisions(
        (data, scored[1] / "residuals", maps), tmp_path / "out", "--thresholds", str(level),
        "--ignore", str(tmp_path / "ignore.png"),
    )  # fmt: skip
    marked = [map_[:, 20:] >= level for map_ in maps]
    pixels = found["pixels"]
    assert (pixels["precision"], pixels["recall"], pixels["f1"]) == pytest.approx(flags(masks, marked))
    assert found["verdicts"]["good"]["defective"] == sum(mark.any() for mark in marked[2:4])
    assert found["threshold"] == level


def test_the_page_starts_at_a_threshold_that_is_given_and_counts_the_same(scored, tmp_path) -> None:
    data, folder, maps = scored
    arguments = ["evaluate", str(folder / "residuals"), str(data), "--out", str(tmp_path / "out")]
    level = float(np.float32(np.quantile(maps[2], 0.99)))
    assert main([*arguments, "--thresholds", str(level)]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "starts at the detector&#39;s own" in page
    assert "best F1 of the pixels, which the truth chose" not in page
    content = json.loads(re.search(r'<script[^>]*id="content"[^>]*>(.*?)</script>', page, re.S)[1])
    (model,) = content["models"]
    assert model["bounds"][model["review"]] == pytest.approx(level)
    pixels = json.loads((tmp_path / "out" / "metrics.json").read_text())["decisions"]["pixels"]
    rows = [image["rows"][0] for image in content["images"]]
    for kind in ("hit", "false"):
        counts = [np.frombuffer(base64.b64decode(row[kind]), "<u4")[model["review"]] for row in rows]
        assert sum(counts) == pixels[kind]


def test_shares_of_images_have_wilson_intervals_and_undefined_ones_are_none() -> None:
    found = Decisions((0.5), MarkedPixels(0, 7, 0, 93), ((9, 1, 0), (3, 5, 4))).to_dict()
    flagged = found["images"]["flagged"]
    count, total, z = 9, 12, norm.ppf(0.975)
    middle = (count + z**2 / 2) / (total + z**2)
    half = z / (total + z**2) * np.sqrt(count * (total - count) / total + z**2 / 4)
    assert flagged["recall"]["value"] == 0.75
    assert (flagged["recall"]["low"], flagged["recall"]["high"]) == pytest.approx((middle - half, middle + half))
    assert flagged["precision"]["value"] == 0.9
    assert flagged["f1"] == pytest.approx(2 * 0.9 * 0.75 / 1.65)
    assert found["images"]["defective"]["precision"]["value"] == 1
    assert (found["pixels"]["precision"], found["pixels"]["recall"], found["pixels"]["f1"]) == (None, 0, 0)
    nothing = Decisions(0.5, MarkedPixels(), ((0, 0, 0), (0, 0, 0))).to_dict()
    assert nothing["images"]["flagged"]["recall"] is None
    assert nothing["pixels"]["f1"] is None


def test_thresholds_are_one_or_one_for_each_detector(scored, tmp_path, capsys) -> None:
    data, maps, _ = scored
    arguments = ["evaluate", str(maps), str(data), "--out", str(tmp_path / "out"), "--thresholds", "1", "2"]
    assert main(arguments) == 2
    assert "one for each of the 1 detectors, got 2" in capsys.readouterr().err


def test_thresholds_of_calibrated_maps_that_are_gone_decide_nothing(scored, tmp_path) -> None:
    data, folder, _ = scored
    RunFolder(folder).pod.write_text("{}")
    try:
        assert main(["evaluate", str(folder), str(data), "--no-report", "--out", str(tmp_path / "out")]) == 0
    finally:
        RunFolder(folder).pod.unlink()
    assert "decisions" not in json.loads((tmp_path / "out" / "metrics.json").read_text())
