"""`ssimae reproduce time`: what trainings reach over time, by networks that are kept, measured once, and drawn."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from ssimae.calibration import expectation
from ssimae.cli import main
from ssimae.config.presets import preset
from ssimae.config.settings import Settings
from ssimae.data.layouts import open_dataset
from ssimae.errors import InterruptedRunError
from ssimae.jobs.stages import read_good_images
from ssimae.pod.hits import equivalent_diameter
from ssimae.progress import SilentProgress
from ssimae.reproduce.over_time import compare, measured, points, snapshots
from ssimae.reproduce.over_time.figure import time_svg
from ssimae.reproduce.over_time.measured import find_planted, read_measured
from ssimae.reproduce.over_time.points import paper_settings
from ssimae.reproduce.over_time.snapshots import take_snapshots
from ssimae.reproduce.over_time.table import join_seeds, time_table
from ssimae.storage.model_file import load_model
from ssimae.training.monitor import SilentMonitor
from ssimae.tuning.parts import plant_images
from support.small_data import write_small_dataset

SMALL = Settings(
    patch_size=32, latent_dim=8, patches=48, batch_size=8, stride=16, opening=0, min_area=4, stains=0,
    precision="float32", residual_scales=1, window="uniform",
)  # fmt: skip
CHOOSING = dataclasses.replace(SMALL, calibration="border", residual_smoothing=2.0, head_patches=16)
PIXELS = 50_000
"""Of five of these images: what is planted in."""
CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(points, "preset", lambda name: CHOOSING if name == "auto" else SMALL)
    monkeypatch.setattr(expectation, "_STEPS", 100)
    monkeypatch.setattr(measured, "PLANTED_PIXELS", PIXELS)
    return write_small_dataset(tmp_path / "small", 90, 110)


def test_every_way_is_measured_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pytorch_msssim")
    out, results = tmp_path / "out", tmp_path / "results"
    flags = ["--data", str(data), "--minutes", "0.005", "--out", str(out), "--results", str(results)]
    assert main(["reproduce", "time", *flags]) == 0
    printed = capsys.readouterr().out
    stored = {one["way"]: one for one in read_measured(results)}
    assert stored.keys() == {"plain", "paper", "auto"}
    assert len([line for line in printed.splitlines() if line.startswith("| small |")]) == 3
    for one in stored.values():
        run = out / one["time_of"]
        metrics = json.loads((run / "metrics.json").read_text())
        assert one["metrics"] == {name: metrics[name] for name in ("auroc", "image_auroc", "aupros")}
        assert 0 <= one["found"] <= one["planted"]
        assert one["ready_s"] >= 60 * one["minutes"]
    for suffix in ("pdf", "png"):
        assert (out / "figures" / f"time.{suffix}").stat().st_size > 1000

    pod = json.loads((out / stored["auto"]["time_of"] / "pod.json").read_text())
    assert (stored["auto"]["planted"], stored["auto"]["found"]) == (pod["all"]["planted"], pod["all"]["found"])
    # The others plant as the command without flags does, and find by their own thresholds.
    saved = load_model(out / stored["paper"]["time_of"] / "model.safetensors")
    good = read_good_images(open_dataset(data), saved.settings, SilentProgress())
    planted = [defect for image in plant_images(good, scale=1.0, seed=0, pixels=PIXELS) for defect in image.defects]
    assert stored["paper"]["planted"] == len(planted) > 10
    assert saved.thresholds is not None
    for level, share in ((1e-9, 1.0), (1e9, 0.0)):
        named = dataclasses.replace(saved.thresholds, review=level, defective=level, min_area=1)
        found = find_planted(saved, good, named, device=CPU, progress=SilentProgress())
        assert np.mean(found.hit) == share
    np.testing.assert_array_equal(
        found.size_px, equivalent_diameter(np.array([defect.area for defect in planted], np.float64))
    )

    def never(*arguments: object, **options: object) -> None:
        raise AssertionError("done again")

    before = {path: path.read_bytes() for path in results.rglob("*.json")}
    for name in ("take_snapshots", "adopt"):
        monkeypatch.setattr(compare, name, never)
    assert main(["reproduce", "time", *flags]) == 0
    assert capsys.readouterr().out == printed
    assert {path: path.read_bytes() for path in results.rglob("*.json")} == before

    checked = ["reproduce", "--verify", "--out", str(out), "--results", str(results)]
    assert main(checked) == 0
    assert capsys.readouterr().out.count("agrees") == 3
    changed, content = next(iter(before.items()))
    changed.write_text(json.dumps(json.loads(content) | {"metrics": {"auroc": 0.99, "aupros": {"0.3": 0.5}}}))
    assert main(checked) == 2
    assert "DIFFERS" in capsys.readouterr().out


class _StepsForSeconds(SilentMonitor):
    """A clock by which every step takes a second, and which a signal may stop."""

    signal_at: int | None = None

    def __init__(self, seconds: float, before: float, task: object, interruption: object) -> None:
        self._steps, self._seconds = 0, round(seconds)

    def resumed(self, steps: int) -> None:
        self._steps = steps

    def stepped(self, patches: int, loss: float) -> None:
        self._steps += 1

    def interrupted(self) -> int | None:
        if self._steps == self.signal_at:
            return 15
        return 0 if self._steps >= self._seconds else None


@pytest.mark.parametrize("way", ["plain", "paper"])
def test_one_training_gives_the_networks_of_all_times(
    way: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a network that is kept nor an interruption changes those after it."""
    if way == "plain":
        pytest.importorskip("pytorch_msssim")
    monkeypatch.setattr(snapshots, "_Clock", _StepsForSeconds)
    good = read_good_images(open_dataset(data), SMALL, SilentProgress())

    def take(folder: str, *steps: int) -> list[Path]:
        minutes = [step / 60 for step in steps]
        return take_snapshots(way, good, SMALL, tmp_path / folder, minutes, device=CPU, progress=SilentProgress())

    (alone,) = take("alone", 5)
    monkeypatch.setattr(_StepsForSeconds, "signal_at", 4)
    with pytest.raises(InterruptedRunError):
        take("some", 5, 2)
    monkeypatch.setattr(_StepsForSeconds, "signal_at", None)
    first, second = take("some", 5, 2)
    weights = [load_file(path) for path in (alone, first, second)]
    for name, wanted in weights[0].items():
        np.testing.assert_array_equal(weights[2][name], wanted)
    assert any((weights[1][name] != wanted).any() for name, wanted in weights[0].items())


def test_a_training_that_is_over_gives_no_network_of_a_later_time(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_Clock", _StepsForSeconds)
    settings = dataclasses.replace(SMALL, epochs=1)  # six steps
    good = read_good_images(open_dataset(data), settings, SilentProgress())
    taken = take_snapshots(
        "paper", good, settings, tmp_path / "some", [4 / 60, 60], device=CPU, progress=SilentProgress()
    )
    assert len(taken) == 1


def test_the_paper_takes_the_largest_patches_that_fit() -> None:
    for shortest, wanted in ((256, (0.5, 128, 30)), (255, (1.0, 128, 30)), (112, (1.0, 64, 30)), (32, (1.0, 32, 30))):
        settings = paper_settings("paper-texture", shortest)
        assert (settings.scale, settings.patch_size, settings.stride) == wanted
        assert (settings.stains, settings.residual_scales, settings.schedule) == (0, 1, "constant")
        assert settings.lr == preset("paper").lr
    with pytest.raises(ValueError, match="an image is 31 pixels"):
        paper_settings("paper", 31)


def numbers(way: str, seed: int, *, ready_s: float | None = 70.0, image: float | None = 0.8) -> dict[str, Any]:
    return {
        "data": "cloth", "way": way, "minutes": 1.0, "seed": seed, "masked": False, "ready_s": ready_s,
        "planted": 50, "found": 10 + 5 * seed, "facts": {"device": "AMD EPYC, 1 threads, AVX512"},
        "metrics": {"auroc": 0.9, "image_auroc": image, "aupros": {"0.3": 0.7, "0.05": 0.4 + 0.1 * seed}},
    }  # fmt: skip


def test_seeds_are_joined_and_a_pause_is_no_time() -> None:
    auto = [numbers("auto", 0, image=None), numbers("auto", 1, ready_s=None, image=None)]
    reached = join_seeds([*auto, numbers("plain", 0)])
    assert time_table(reached).splitlines()[2:] == [
        "| cloth | plain script | 1 | 1.2 min | 0.800 | 0.700 | 0.400 | 20% | AMD EPYC, 1 thread |",
        "| cloth | `ssimae run --minutes` | 1 | 1.2 min |  | 0.700 ± 0.000 (2) | 0.450 ± 0.071 (2) | 25% ± 7% (2) | "
        "AMD EPYC, 1 thread |",
    ]
    (paused,) = join_seeds([numbers("auto", 0, ready_s=None)])
    assert paused.taken == 1
    assert "| 1 | paused | 0.800 |" in time_table([paused])
    drawn = time_svg(reached, told="fingerprint")
    assert drawn == time_svg(reached, told="fingerprint")
    assert "fingerprint" in drawn


@pytest.mark.parametrize("flags", [["--minutes", "0"], ["--minutes", "inf"], ["--ways", "paperr"]])
def test_times_and_ways_that_are_none_are_refused(
    flags: list[str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "time", "--data", str(data), "--out", str(tmp_path / "out"), *flags]) == 2
    assert flags[0] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
