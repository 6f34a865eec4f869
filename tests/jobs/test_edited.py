"""What was changed by hand is honoured or refused by every verb that would ignore it."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load, save
from ssimae import Detector
from ssimae.cli import main
from ssimae.storage.model_file import load_model
from support.small_data import SETTINGS, write_small_dataset

LINE = "ssimae: "


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images and a finished run."""
    root = tmp_path_factory.mktemp("edited")
    write_small_dataset(root / "data")
    assert main(["run", "--data", str(root / "data"), "--out", str(root / "run"), *SETTINGS]) == 0
    return root


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished / "run", tmp_path / "run")
    return tmp_path / "run"


def verbs(run: Path, data: Path) -> list[list[str]]:
    """Return every verb that reads a finished run."""
    return [
        ["report", str(run)],
        ["evaluate", str(run)],
        ["run", "--resume", str(run)],
        ["run", "--weights", str(run), "--out", str(run.parent / "new")],
        ["predict", str(run), str(data / "test"), "--out", str(run.parent / "found"), "--allow-collapsed"],
        ["predict", str(run / "model.safetensors"), str(data / "test"), "--out", str(run.parent / "found")],
    ]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2, arguments
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_edited_thresholds_are_refused_by_every_verb(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "thresholds.json"
    stored = json.loads(path.read_text())
    changes = [{"review": 1e-3}, {"min_area": 9999}, {"review": float("nan")}, {"review": 2.0, "defective": 1.0}]
    for number, change in enumerate(changes):
        path.write_text(json.dumps({**stored, **change}))
        for arguments in verbs(run, finished / "data")[: 6 if number == 0 else 1]:
            assert f"{path}: " in refused(arguments, capsys)
    path.write_text(json.dumps(stored))
    assert main(["report", str(run)]) == 0


def test_what_images_were_inspected_with_is_not_changed_behind_them(
    run: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    assert main(["predict", str(run), str(finished / "data/test"), "--out", str(out), "--allow-collapsed"]) == 0
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_bytes()
    thresholds, config = out / "thresholds.json", out / "config.toml"
    stored, settings = json.loads(thresholds.read_text()), config.read_text()
    thresholds.write_text(json.dumps({**stored, "review": 1e-3}, indent=1))
    line = refused(["report", str(out)], capsys)
    assert f"{thresholds}: no longer what the images were judged by" in line
    assert refused(["predict", "--resume", str(out)], capsys) == line
    config.write_text(settings.replace("stride = 16", "stride = 5"))
    for arguments in (["report", str(out)], ["predict", "--resume", str(out)]):
        assert f"{config}: its [settings] are no longer those" in refused(arguments, capsys)
    config.write_text(settings)
    # As the message says.
    thresholds.unlink()
    assert main(shlex.split(line.split("again by: ")[1])[1:]) == 0
    assert json.loads(thresholds.read_text()) == stored
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").read_bytes() == page


@pytest.mark.parametrize(("old", "new"), [("stride = 16", "stride = 5"), ("collapsed = true", "collapsed = false")])
def test_an_edited_config_is_refused_by_every_verb(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    path = run / "config.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    for arguments in verbs(run, finished / "data"):
        assert f"{path}: " in refused(arguments, capsys)


def test_settings_that_are_edited_while_a_training_is_interrupted_are_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "model.safetensors").unlink()
    path = run / "config.toml"
    text = path.read_text()
    path.write_text(text.replace("patches = 48", "patches = 64"))
    line = refused(["run", "--resume", str(run)], capsys)
    assert "training.safetensors: the training began with `patches` 48, and config.toml now has 64" in line
    # How images are inspected may still change: it is honoured.
    path.write_text(text.replace("stride = 16", "stride = 8"))
    assert main(["run", "--resume", str(run), "--allow-collapsed"]) == 0
    assert load_model(run / "model.safetensors").settings.stride == 8


def test_weights_and_thresholds_that_are_no_numbers_are_refused(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = run.parent / "alone.safetensors"
    content = (run / "model.safetensors").read_bytes()
    with safe_open(run / "model.safetensors", framework="pt") as file:
        metadata = file.metadata()
    predict = ["predict", str(model), str(finished / "data/test"), "--out", str(run.parent / "p"), "--allow-collapsed"]
    tensors = load(content)
    next(iter(tensors.values())).flatten()[0] = float("nan")
    model.write_bytes(save(tensors, metadata))
    assert "not finite" in refused(predict, capsys)
    thresholds = json.loads(metadata["thresholds"])
    for change, said in (
        ({"review": float("nan")}, "not JSON"),
        ({"review": thresholds["defective"], "defective": 0.0}, "must not lie below"),
    ):
        edited = {**metadata, "thresholds": json.dumps({**thresholds, **change})}
        model.write_bytes(save(load(content), edited))
        assert said in refused(predict, capsys)


def test_a_detector_is_fitted_again_where_a_setting_changes(run: Path) -> None:
    detector = Detector.load(run / "model.safetensors")
    image = np.random.default_rng(0).random((70, 96), dtype=np.float32)
    before = detector.inspect(image)
    detector.set_params(stride=5)
    for use in (detector.inspect, lambda image: detector.predict([image]), lambda image: detector.save(run / "new")):
        with pytest.raises(ValueError, match="`stride` is 5, and was 16 when the detector was fitted: fit it again"):
            use(image)
    assert not (run / "new").exists()
    detector.set_params(stride=16)
    assert detector.inspect(image).score == before.score


def test_maps_that_are_gone_are_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "residuals/hole/f.tiff").unlink()
    line = refused(["evaluate", str(run)], capsys)
    assert "residuals/hole/f.tiff: 1 of 3 maps are not there" in line
    assert main(["run", "--resume", str(run), "--allow-collapsed"]) == 0
    assert main(["evaluate", str(run)]) == 0


def test_what_has_changed_since_the_run_is_said_before_it_is_scored(
    run: Path, finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = shutil.copytree(finished / "data", tmp_path / "data")
    config = run / "config.toml"
    text = config.read_text().replace(str(finished / "data"), str(data))
    config.write_text("\ufeff" + text, encoding="utf-8")  # as some editors of Windows begin a file
    assert main(["evaluate", str(run)]) == 0
    assert "have changed" not in caplog.text
    (data / "test/hole/f.png").unlink()
    (data / "ground_truth/hole/f_mask.png").unlink()
    assert main(["evaluate", str(run)]) == 0
    assert "images or masks have changed since" in caplog.text
