"""`ssimae reproduce planted`: planted defects beside real ones, for treatments and for the probability of detection."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.data.dataset import inspected_samples
from ssimae.data.layouts import open_dataset
from ssimae.images.maps import read_float_map
from ssimae.reproduce.plan import Plan, find_materials
from ssimae.reproduce.surfaces import agreement, planted, table
from ssimae.reproduce.surfaces.agreement import agreement_table
from ssimae.reproduce.surfaces.reliability import reliability_figure, reliability_table
from ssimae.reproduce.surfaces.table import Command
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning.score import PlantedScore
from support.small_data import write_small_dataset

CALIBRATED = Settings(
    patch_size=32, latent_dim=8, patches=48, epochs=1, batch_size=16, stride=16, opening=0, min_area=4,
    precision="float32", calibration="border", residual_smoothing=None, head_patches=16,
)  # fmt: skip


@pytest.mark.exhaustive
def test_a_finished_run_is_compared_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_small_dataset(tmp_path / "small", 90, 110)
    monkeypatch.setattr(table, "COMMANDS", (Command("auto", "", "default", seeds=1),))
    monkeypatch.setattr(table, "preset", lambda name: CALIBRATED)
    monkeypatch.setattr(agreement, "SMOOTHINGS", (0.0, 4.0))
    monkeypatch.setattr(agreement, "_HEAD_WEIGHTS", (0.0, 0.5))
    out, results = tmp_path / "out", tmp_path / "results"
    flags = ["--data", str(data), "--out", str(out), "--results", str(results)]
    assert main(["reproduce", "planted", *flags]) == 0
    assert "| small | everything |" in capsys.readouterr().out
    (stored,) = planted.read_planted(results)
    assert len(stored["treatments"]) == 4 * 2 * 2  # forms, weights of the head, smoothings
    scores = [treatment[kind] for treatment in stored["treatments"] for kind in ("planted", "real")]
    assert all(0 <= score[name] <= 1 for score in scores for name in ("au_pro", "found", "value"))
    assert len(stored["defects"]) == 2
    assert stored["defects"][0]["size_px"] == pytest.approx(2 * math.sqrt(600 / math.pi))
    for suffix in ("pdf", "png"):
        assert (out / "figures" / f"reliability.{suffix}").stat().st_size > 1000

    def never(*arguments: object, **options: object) -> None:
        raise AssertionError("compared again")

    monkeypatch.setattr(planted, "compare_treatments", never)
    assert main(["reproduce", "planted", *flags]) == 0
    assert main(["reproduce", "--summary", "--results", str(results)]) == 0
    assert "| small | everything |" in capsys.readouterr().out


def test_real_maps_are_those_of_the_inspection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_small_dataset(tmp_path / "small", 90, 110)
    (mask, *_) = sorted((data / "ground_truth").rglob("*.png"))
    other = data / "test" / mask.parent.name / mask.name.replace("_mask", "")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (90, 110), np.uint8)).save(other)  # another surface as a whole
    monkeypatch.setattr(table, "COMMANDS", (Command("auto", "", "default", seeds=1),))
    settings = dataclasses.replace(CALIBRATED, residual_smoothing=4.0)
    monkeypatch.setattr(table, "preset", lambda name: settings)
    monkeypatch.setattr(agreement, "SMOOTHINGS", (4.0,))
    monkeypatch.setattr(agreement, "_HEAD_WEIGHTS", (settings.head_weight,))
    compared: list[list[NDArray[np.float32]]] = []

    def noted(good: object, maps: list[NDArray[np.float32]], *_: object, **__: object) -> PlantedScore:
        compared.append(maps)
        return PlantedScore(0.0, 0.0)

    monkeypatch.setattr(agreement, "score_maps", noted)
    out = tmp_path / "out"
    flags = ["--data", str(data), "--out", str(out), "--results", str(tmp_path / "results")]
    assert main(["reproduce", "planted", *flags]) == 0
    folder = RunFolder(out / "small/surfaces/auto-seed0")
    assert "of another surface" in folder.predictions.read_text()
    samples = [sample for sample in inspected_samples(open_dataset(data)) if sample.masks]
    stored = [read_float_map(folder.map_path(folder.judged, sample.defect, sample.name)) for sample in samples]
    for map_, kept in zip(compared[1], stored, strict=True):  # after the planted ones, by the run's own form
        np.testing.assert_allclose(map_, kept, rtol=1e-4)


def treatment(form: str, smoothing: float, planted_value: float, real_value: float) -> dict[str, object]:
    scores = {
        kind: {"au_pro": value, "found": value, "value": value}
        for kind, value in (("planted", planted_value), ("real", real_value))
    }
    return {"calibration": form, "residual_smoothing": smoothing, "head_weight": 0.0, **scores}


def test_agreement_is_told_for_each_factor() -> None:
    """Planted defects rank the smoothing as real ones do, and the form the other way round."""
    treatments = [
        treatment("border", 0.0, 0.3, 0.5),
        treatment("border", 4.0, 0.4, 0.6),
        treatment("surface", 0.0, 0.1, 0.7),
        treatment("surface", 4.0, 0.2, 0.8),
    ]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in agreement_table({"a": treatments}).splitlines()
    ]
    told = {row[1]: row[2:] for row in rows[2:]}
    assert told["smoothing"] == ["2", "1.00", "1.00", "0.700", "0.700"]
    assert told["form"] == ["2", "-1.00", "-1.00", "0.550", "0.750"]
    assert told["everything"][-2:] == ["0.600", "0.800"]
    assert "weight of the head" not in told


def test_reliability_counts_what_was_found_where_so_much_was_said() -> None:
    defects = [
        {"size_px": 10.0, "found": False, "predicted": 0.1},
        {"size_px": 20.0, "found": True, "predicted": 0.9},
        {"size_px": 21.0, "found": True, "predicted": 0.95},
        {"size_px": 22.0, "found": False, "predicted": 1.0},
        {"size_px": 500.0, "found": True, "predicted": None},
    ]
    row = [cell.strip() for cell in reliability_table({"a": defects}).splitlines()[-1].split("|")[1:-1]]
    assert row == ["a", "5", "60%", "74%", "0 of 1", "", "", "", "2 of 3"]
    (axis,) = reliability_figure({"a": defects}).axes
    points = axis.lines[1].get_xydata()
    assert np.allclose(points, [[0.1, 0.0], [0.95, 2 / 3]])


def test_the_cells_are_those_without_flags(tmp_path: Path) -> None:
    data = write_small_dataset(tmp_path / "small")
    plan = Plan(find_materials([data], tmp_path), "quick", (3, 4))
    assert [cell.name for cell in table.flagless_cells(plan)] == ["small/surfaces/auto-seed3"]
