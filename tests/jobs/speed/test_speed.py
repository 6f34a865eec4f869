"""`ssimae speed` measures other strides of a run, and `predict --stride` inspects with what it stored."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from ssimae.calibration import expectation
from ssimae.cli import main
from ssimae.cli.verbs import speed as verb
from ssimae.jobs.speed import measure
from ssimae.jobs.speed.clock import Times, time_models
from ssimae.jobs.speed.measured import Speed, Stride, Timing, choose_stride, model_of_stride
from ssimae.reading import read_json
from ssimae.storage.model_file import load_model, save_model
from ssimae.storage.run_folder import RunFolder
from support.small_data import SETTINGS, texture

CALIBRATED = [*SETTINGS, "--calibration", "border", "--residual-smoothing", "2"]


def fake_times(models: list[Path], images: list[Path], engines: list[str], *, threads: int) -> list[Times]:
    """The larger the stride, the less time; nothing is timed in a test."""
    return [
        Times(engine, number, (1000 / int(path.stem) / threads,) * 7, ("good",) * len(images))
        for engine in engines
        for number, path in enumerate(models)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training on six images, from which bands are held out."""
    root = tmp_path_factory.mktemp("speed")
    (root / "images").mkdir()
    rng = np.random.default_rng(0)
    for name in "abcdef":
        Image.fromarray(texture(rng, 100, 140)).save(root / "images" / f"{name}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expectation, "_STEPS", 20)
        assert main(["train", "--data", str(root / "images"), "--out", str(root / "run"), *CALIBRATED]) in (0, 4)
    return root / "run"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectation, "_STEPS", 20)
    monkeypatch.setattr(measure, "time_models", fake_times)


@pytest.mark.usefixtures("quick")
def test_strides_are_measured_on_the_held_out_images_and_one_is_chosen(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["speed", str(run), "--strides", "32", "24", "--threads", "1", "2", "--planted", "3", "--loss", "1/2"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    speed = read_json(run / "speed.json", Speed)
    assert [each.stride for each in speed.strides] == [16, 24, 32]  # that of the training is always measured
    own = speed.of(16)
    assert (own.lost, own.won, speed.trained_stride) == (0, 0, 16)
    before = load_model(run / "model.safetensors")
    assert before.thresholds is not None
    assert own.review == before.thresholds.review  # the same images, maps and rule
    assert speed.good == before.thresholds.images
    assert 0 < speed.planted <= 12
    assert f"--stride {speed.chosen}" in said
    stored = load_model(run / "strides" / "32.safetensors")
    assert stored.thresholds is not None
    assert (stored.settings.stride, stored.thresholds.review) == (32, speed.of(32).review)
    assert own.review != speed.of(32).review

    image = next((run.parent / "images").iterdir())
    out = tmp_path / "out"
    assert main(["predict", str(run), str(image), "--stride", "32", "--out", str(out), "--allow-collapsed"]) == 0
    assert json.loads((out / "thresholds.json").read_text())["review"] == speed.of(32).review
    assert model_of_stride(run / "model.safetensors", 16, pytest.fail) == run / "model.safetensors"
    assert model_of_stride(run / "model.safetensors", "fastest", pytest.fail).exists()

    capsys.readouterr()
    assert main(["predict", str(run), str(image), "--stride", "20", "--out", str(tmp_path / "x")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "`--stride` 20 was not measured, only 16, 24, 32" in line
    assert f"ssimae speed {run} --strides 16 24 32 20" in line


@pytest.mark.usefixtures("quick")
def test_strides_follow_thresholds_that_change(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, run = run.parent / "images", Path(shutil.copytree(run, tmp_path / "run"))
    assert main(["speed", str(run), "--strides", "32", "--threads", "1", "--planted", "3", "--loss", "1/2"]) == 0
    image = str(next(images.iterdir()))
    model, stride = run / "model.safetensors", run / "strides" / "32.safetensors"
    first, table = stride.read_bytes(), (run / "speed.json").read_bytes()
    out = tmp_path / "p"
    predict = ["predict", str(run), image, "--stride", "32", "--allow-collapsed", "--force", "--out", str(out)]

    def review_at(*change: str) -> float:
        assert main(["threshold", str(run), *change]) == 0
        capsys.readouterr()
        assert main(predict) == 0
        said = capsys.readouterr().err
        assert len([line for line in said.splitlines() if "the thresholds have changed" in line]) == 1
        assert "the fastest is" in said
        assert main(predict) == 0  # once followed, nothing more is said
        assert "have changed" not in capsys.readouterr().err
        used = json.loads((out / "thresholds.json").read_text())["review"]
        speed = read_json(run / "speed.json", Speed)
        assert (used, load_model(model).thresholds.review) == (speed.of(32).review, speed.of(16).review)  # type: ignore[union-attr]
        return float(used)

    levels = load_model(stride).thresholds.good_levels  # type: ignore[union-attr]
    assert review_at("--false-calls", "99/100") in set(levels) - {json.loads(table)["strides"][1]["review"]}
    named = 2 * max(levels)
    assert review_at("--review", str(named)) == np.float32(named)
    assert review_at("--version", "1") == json.loads(table)["strides"][1]["review"]
    assert (stride.read_bytes(), (run / "speed.json").read_bytes()) == (first, table)

    saved = load_model(model)
    with torch.no_grad():
        next(saved.model.parameters()).add_(1e-3)
    save_model(model, saved)
    assert main(predict) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert "the model has changed since; measure again: ssimae speed" in line


def test_a_stride_without_a_measurement_is_refused_with_the_command(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    save_model(model, load_model(run / "model.safetensors"))
    assert main(["predict", str(model), str(run), "--stride", "32"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"ssimae speed {tmp_path}")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strides", "33"], "`--strides` must be in 1..32, the patch size, got 33"),
        (["--threads", "0"], "`--threads` must be at least 1, got 0"),
        (["--loss", "1"], "`--loss` must be a share"),
        (["--planted", "0"], "`--planted` must be in 1..1000"),
    ],
)
def test_what_cannot_be_is_refused(
    run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["speed", str(run), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_models_are_timed_in_a_process_of_their_own_by_every_engine(run: Path) -> None:
    image = next((run.parent / "images").iterdir())
    found = time_models([run / "model.safetensors"], [image], ["torch", "onnxruntime"], threads=1)
    assert [(times.engine, times.model, len(times.ms)) for times in found] == [("torch", 0, 7), ("onnxruntime", 0, 7)]
    assert all(min(times.ms) > 0 for times in found)
    assert found[0].verdicts == found[1].verdicts
    with pytest.raises(OSError, match="the process that times the models failed"):
        time_models([run / "none.safetensors"], [image], ["torch"], threads=1)


def of(stride: int, ms: float, lost: int, won: int) -> Stride:
    return Stride(stride, 1.0, 0, 0, lost, won, (Timing("torch", 1, ms, (ms, ms), 7, 1, 1),))


def test_the_fastest_stride_within_the_loss_is_chosen() -> None:
    strides = (of(16, 100, 0, 0), of(32, 30, 3, 2), of(48, 20, 5, 3), of(64, 10, 9, 0))
    assert [choose_stride(strides, 200, loss, 16) for loss in (0, 1 / 200, 2 / 200, 9 / 200)] == [16, 32, 48, 64]


def test_all_that_is_written_belongs_to_the_run(run: Path) -> None:
    RunFolder(run).clear()
    assert not list(run.rglob("*.safetensors"))
    assert not (run / "strides").exists()
    assert not (run / "speed.json").exists()


def test_what_is_printed_advises_how_to_take_the_least_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(one: float, all_: float, other: float, same: int) -> str:
        timings = (
            Timing("torch", 1, one, (one, 3 * one), 21, 3, 3),
            Timing("torch", 2, all_, (all_, 3 * all_), 21, 3, 3),
            Timing("openvino", 2, other, (other, other), 21, 3, same),
        )
        stride = Stride(16, 1.0, 45, 1, 0, 0, timings)
        speed = Speed(1, "", 16, 368, 502, 48, 178, 0.005, 16, (stride,), "CPU")
        monkeypatch.setattr(verb, "measure_speed", lambda *_, **__: speed)
        assert main(["speed", "run"]) == 0
        return capsys.readouterr().out

    usual = told(100, 60, 58, 3)
    assert "OMP_NUM_THREADS" not in usual
    assert usual.endswith("ssimae predict run IMAGES --stride 16\n")
    assert told(100, 60, 50, 3).endswith("--stride 16 --engine openvino\n")
    assert told(100, 60, 50, 2).endswith("--stride 16\n")  # another verdict
    busy = told(1393, 19456, 2719, 3)
    assert "1393 (1393-4179)   19456 (19456-58368)" in busy
    assert "1393 ms there on 1 of 2 threads, and 19456 on all" in busy
