"""A network that learned nothing passes no part: every verb says so, whenever the training was cut off."""

import json
import os
from pathlib import Path

import pytest
from ssimae import Detector, atomic
from ssimae.cli import main
from ssimae.errors import CollapseWarning
from ssimae.storage.model_file import load_model
from ssimae.storage.run_folder import RunFolder
from support.small_data import SETTINGS, write_small_dataset

FLAGS = [flag for flag in SETTINGS if flag != "--allow-collapsed"]
SHORTER = [*FLAGS, "--patches", "16", "--epochs", "1"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_small_dataset(tmp_path / "data")


def test_run_and_predict_end_with_4_and_count_no_verdict(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, found, images = tmp_path / "out", tmp_path / "found", str(data / "test/hole")
    assert main(["run", "--data", str(data), "--out", str(out), *FLAGS]) == 4
    said = capsys.readouterr()
    assert "No verdict counts" in said.out
    assert "were flagged" not in said.out + (out / "report.html").read_text()
    assert f"{out}: training collapsed" in said.err.splitlines()[-1]
    assert main(["report", str(out)]) == 0
    assert "were flagged" not in (out / "report.html").read_text()
    assert main(["report", str(out), "--allow-collapsed"]) == 0
    assert "were flagged" in (out / "report.html").read_text()
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((out / "model.safetensors").read_bytes())
    for model in (out, alone):
        assert main(["predict", str(model), images, "--out", str(found)]) == 4
        assert not found.exists()
        (line,) = capsys.readouterr().err.splitlines()
        assert "training collapsed" in line
        assert "--allow-collapsed" in line
    assert main(["predict", str(alone), images, "--out", str(found), "--allow-collapsed"]) == 0
    assert "training collapsed" in capsys.readouterr().err
    assert main(["report", str(found)]) == 0
    assert '<p class="alarm"' in (found / "report.html").read_text()
    # Nor does it help to take the network into another run.
    assert main(["run", "--weights", str(out), "--out", str(tmp_path / "again")]) == 4
    assert main(["predict", str(tmp_path / "again"), images, "--out", str(tmp_path / "p")]) == 4


class Killed(BaseException):
    """The process ends here."""


def test_the_alarm_and_all_results_survive_a_kill_between_any_two_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_small_dataset(tmp_path / "data", height=48, width=64)
    flags = ["train", "--data", str(data), *SHORTER]
    replace = os.replace
    written: list[str] = []
    limit = 1000

    def replace_until(source: str, target: Path) -> None:
        if len(written) == limit:
            raise Killed
        written.append(str(target))
        replace(source, target)

    monkeypatch.setattr(atomic.os, "replace", replace_until)
    assert main([*flags, "--out", str(tmp_path / "whole")]) == 4
    names = [Path(path).name for path in written]
    # Facts before the network they are about, and thresholds in the model last, which is not looked at again.
    after = ["config.toml", "model.safetensors", "thresholds.json", "held_out.npz", "model.safetensors", "config.toml"]
    assert names[-6:] == after
    whole = RunFolder(tmp_path / "whole")
    for stop in range(len(names) - len(after), len(names)):
        limit, written = stop, []
        out = tmp_path / f"stopped{stop}"
        with pytest.raises(Killed):
            main([*flags, "--out", str(out)])
        limit = 1000
        assert main(["train", "--resume", str(out)]) == 4
        folder = RunFolder(out)
        assert folder.read_training()[1].graded_warnings() == whole.read_training()[1].graded_warnings()
        alarm = load_model(folder.model).alarm
        assert alarm is not None
        assert alarm.startswith("training collapsed")
        assert folder.thresholds.read_bytes() == whole.thresholds.read_bytes()


def test_a_detector_warns_when_it_is_fitted_and_when_it_is_loaded(data: Path, tmp_path: Path) -> None:
    detector = Detector(
        patch_size=32, latent_dim=8, patches=16, epochs=1, batch_size=16, stride=16, min_area=4, device="cpu"
    )
    with pytest.warns(CollapseWarning, match="training collapsed"):
        detector.fit(sorted((data / "train/good").iterdir()))
    detector.save(tmp_path / "model.safetensors")
    with pytest.warns(CollapseWarning, match=r"model\.safetensors: training collapsed"):
        loaded = Detector.load(tmp_path / "model.safetensors")
    assert loaded.alarm_ == detector.alarm_
    assert json.dumps(loaded.thresholds_.to_dict()) == json.dumps(detector.thresholds_.to_dict())
