"""`ssimae speed` measures other strides of a run, and `predict --stride` inspects with what it stored."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from ssimae.calibration import expectation
from ssimae.cli import main
from ssimae.cli.verbs import speed as verb
from ssimae.jobs.speed import measure
from ssimae.jobs.speed.clock import STEPS, Timed, TimedEngine, Times, time_models
from ssimae.jobs.speed.measured import Speed, Stride, Timing, choose_stride, model_of_stride
from ssimae.reading import from_json, read_json
from ssimae.storage.model_file import load_model, save_model
from ssimae.storage.run_folder import RunFolder
from support.small_data import SETTINGS, texture

CALIBRATED = [*SETTINGS, "--calibration", "border", "--residual-smoothing", "2"]


def fake_times(
    models: list[Path], images: list[Path], engines: list[TimedEngine], *, threads: int, on_step: Callable[[int], None]
) -> Timed:
    """The larger the stride, the less time; nothing is timed in a test."""
    on_step(STEPS)
    times = [
        Times(engine, number, 0.5, (1000 / int(path.stem) / threads,) * 7, ("good",) * len(images))
        for engine in engines
        if engine != "compile"
        for number, path in enumerate(models)
    ]
    return Timed(tuple(times), {"compile": "no compiler"} if "compile" in engines else {})


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


def test_models_are_timed_in_a_process_of_their_own_by_every_engine(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a machine without a compiler, of which nothing is known from earlier.
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    image = next((run.parent / "images").iterdir())
    steps: list[int] = []
    timed = time_models(
        [run / "model.safetensors"], [image], ["torch", "compile", "onnxruntime"], threads=1, on_step=steps.append
    )
    found = timed.times
    assert [(times.engine, times.model, len(times.ms)) for times in found] == [("torch", 0, 7), ("onnxruntime", 0, 7)]
    assert all(min(times.ms) > 0 for times in found)
    assert found[0].verdicts == found[1].verdicts
    assert steps == [*range(1, STEPS + 1)]
    assert list(timed.absent) == ["compile"]
    assert "needs a C++ compiler" in timed.absent["compile"]
    with pytest.raises(OSError, match="the process that times the models failed"):
        time_models([run / "none.safetensors"], [image], ["torch"], threads=1)


def of(stride: int, ms: float, lost: int, won: int) -> Stride:
    return Stride(stride, 1.0, 0, 0, lost, won, (Timing("torch", 1, ms, (ms, ms), 7, 1, 1),))


def test_the_fastest_stride_within_the_loss_is_chosen() -> None:
    strides = (of(16, 100, 0, 0), of(32, 30, 3, 2), of(48, 20, 5, 3), of(64, 10, 9, 0))
    assert [choose_stride(strides, 200, loss, 16) for loss in (0, 1 / 200, 2 / 200, 9 / 200)] == [16, 32, 48, 64]


def test_what_is_printed_advises_how_to_take_the_least_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(one: float, all_: float, other: float, same: int, engine: str = "openvino") -> str:
        timings = (
            Timing("torch", 1, one, (one, 3 * one), 21, 3, 3),
            Timing("torch", 2, all_, (all_, 3 * all_), 21, 3, 3),
            Timing(engine, 2, other, (other, other), 21, 3, same, 31.4),
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
    other_verdict = told(100, 60, 50, 2)
    assert other_verdict.endswith("--stride 16\n")
    assert "openvino at stride 16: 1 of 3 timed images have another verdict than by torch." in other_verdict
    compiled = told(100, 60, 40, 3, "compile")
    assert "compile took 31 s to start, which pays from 1,600 images on" in compiled
    assert compiled.endswith("--stride 16 --engine compile\n")
    busy = told(1393, 19456, 2719, 3)
    assert "1393 (1393-4179)  19456 (19456-58368)" in busy
    assert "1393 ms there on 1 of 2 threads, and 19456 on all" in busy


def test_a_table_that_is_wider_than_the_terminal_is_folded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timings = tuple(Timing("onnxruntime", count, 19456, (19456, 58368), 21, 3, 3) for count in (1, 2, 4, 8))
    torch_timings = tuple(replace(timing, engine="torch") for timing in timings)
    strides = tuple(Stride(stride, 1.0, 45, 1, 0, 0, (*torch_timings, *timings)) for stride in (16, 128))
    speed = Speed(1, "", 16, 368, 502, 48, 178, 0.005, 16, strides, "CPU")
    monkeypatch.setattr(verb, "measure_speed", lambda *_, **__: speed)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(["speed", "run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    tables = [line for line in lines if line.startswith((" ", "*1")) and not line.startswith("* ")]
    assert max(map(len, tables)) <= 80
    assert sum("onnxruntime" in line for line in tables) == 4  # each of two strides, in two tables
    assert sum(line.count("19456 (19456-58368)") for line in tables) == 16
    assert len([line for line in lines if line.startswith("stride")]) == 3  # two of times, one of verdicts


def test_so_few_verdicts_as_do_not_show_a_loss_are_told_with_the_flag_that_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(plantable: int, loss: float) -> list[str]:
        stride = Stride(16, 1.0, 45, 1, 0, 0, (Timing("torch", 1, 9, (9, 9), 21, 3, 3),))
        speed = Speed(1, "", 16, 368, 502, 20, 30, loss, 16, (stride,), "CPU", plantable_images=plantable)
        monkeypatch.setattr(verb, "measure_speed", lambda *_, **__: speed)
        assert main(["speed", "run", "--planted", "10"]) == 0
        return capsys.readouterr().out.splitlines()

    # 30 defects on 10 images: 180 take 60 images, and 70 with a margin.
    wanted = (
        "50 verdicts cannot show a loss of 1/200; enough are planted by: ssimae speed run --loss 1/200 --planted 70"
    )
    assert told(1000, 1 / 200)[-2] == wanted
    assert told(24, 1 / 200)[-2].endswith("the smallest they show is --loss 1/50")
    assert not any("cannot show" in line for line in told(1000, 1 / 50))


@pytest.mark.usefixtures("quick")
def test_what_was_measured_before_an_interruption_is_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(run, tmp_path / "run"))
    shutil.rmtree(run / "strides", ignore_errors=True)
    (run / "speed.json").unlink(missing_ok=True)
    command = ["speed", str(run), "--strides", "24", "32", "--threads", "1", "2", "--planted", "3", "--loss", "1/2"]
    settle, settled = measure.settle, list[int]()

    def stopped_settle(*arguments: Any, **keywords: Any) -> Any:
        """Press Ctrl-C at the third stride."""
        if len(settled) == 2:
            raise KeyboardInterrupt
        settled.append(arguments[2].stride)
        return settle(*arguments, **keywords)

    monkeypatch.setattr(measure, "settle", stopped_settle)
    assert main([*command, "--force"]) == 130
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "interrupted" in line]
    assert "after 2 of 3 strides; what was measured is kept; go on with: ssimae speed" in line
    assert "--force" not in line
    speed = read_json(run / "speed.json", Speed)
    assert settled == [16, 32]  # that of the training, and then the quickest
    assert (speed.missing_strides, speed.missing_threads, speed.chosen) == ((24,), (1, 2), None)
    image = run / "model.safetensors"
    assert main(["predict", str(run), str(image), "--stride", "fastest", "--out", str(tmp_path / "x")]) == 2
    assert (
        f"no stride has been timed, since it was interrupted; go on by: ssimae speed {run}" in capsys.readouterr().err
    )

    kept = (run / "strides/32.safetensors").read_bytes()
    settled.clear()
    with monkeypatch.context() as patch:
        patch.setattr(measure, "time_models", _stopped_times)
        assert main(command) == 130
    assert "after all strides and 1 of 2 numbers of threads" in capsys.readouterr().err
    speed = read_json(run / "speed.json", Speed)
    assert settled == [24]
    assert (speed.missing_strides, speed.missing_threads) == ((), (2,))
    assert main(command) == 0
    said = capsys.readouterr()
    assert "compile was not timed: no compiler" in said.err
    speed = read_json(run / "speed.json", Speed)
    assert (settled, speed.missing_threads, {timing.threads for timing in speed.of(24).timings}) == ([24], (), {1, 2})
    assert (run / "strides/32.safetensors").read_bytes() == kept
    assert main(command) == 0
    assert "all of this has been measured; `--force` measures it again" in capsys.readouterr().err
    assert read_json(run / "speed.json", Speed) == speed
    settled.clear()
    assert main([*command, "--planted", "4"]) == 130  # with another setting, nothing that was measured holds
    assert settled == [16, 32]


def _stopped_times(*arguments: Any, threads: int, **keywords: Any) -> Timed:
    if threads == 2:
        raise KeyboardInterrupt
    return fake_times(*arguments, threads=threads, **keywords)


def test_the_table_of_an_earlier_version_is_read(run: Path) -> None:
    timing = {"engine": "torch", "threads": 1, "ms": 9.0, "ms_quartiles": [8, 10], "rounds": 21, "images": 3}
    stride = {"stride": 16, "review": 1.0, "found": 4, "flagged": 1, "lost": 0, "won": 0}
    table = {"version": 1, "model": "", "trained_stride": 16, "height": 9, "width": 9, "good": 4, "planted": 5}
    table |= {"loss_limit": 0.1, "chosen": 16, "processor": "CPU", "network": None}
    table["strides"] = [{**stride, "timings": [{**timing, "same_verdicts": 3}]}]
    assert from_json(json.dumps(table), Speed).of(16).timings[0].start_s is None


def test_all_that_is_written_belongs_to_the_run(run: Path) -> None:
    RunFolder(run).clear()
    assert not list(run.rglob("*.safetensors"))
    assert not (run / "strides").exists()
    assert not (run / "speed.json").exists()
