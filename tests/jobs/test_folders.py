"""Of a run folder nothing of anybody else is removed; it may be moved, and what `train` began `run` completes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from ssimae.cli import main
from ssimae.data.dataset import inspected_samples
from ssimae.data.layouts import open_dataset
from ssimae.jobs import run as runs
from ssimae.storage.run_folder import RunFolder
from support.small_data import SETTINGS, write_small_dataset

HUGO = '[settings]\ntheme = "plain"\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_small_dataset(tmp_path / "data")


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("config", [HUGO, "", "[run]\n", "[run]\nmodel = 3\n[settings]\n", "not toml"])
def test_force_leaves_a_folder_of_somebody_else_alone(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str
) -> None:
    site = tmp_path / "site"
    (site / "figures").mkdir(parents=True)
    for name in ("metrics.json", "figures/roc.png", "letter.txt", ".lock"):
        (site / name).write_text("dear")
    (site / "config.toml").write_text(config)
    before = files(site)
    for verb in ("run", "train"):
        assert main([verb, "--data", str(data), "--out", str(site), "--force", *SETTINGS]) == 2
        assert f"{site}: not a folder that ssimae wrote" in capsys.readouterr().err
    assert files(site) == before


@pytest.mark.parametrize(
    "name", ["figures/mine.png", "figures/notes.txt", "metrics.json", "config.toml", "x/notes.txt"]
)
def test_force_leaves_results_with_a_file_of_somebody_else_alone(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    maps, out = tmp_path / "maps", tmp_path / "scores"
    for sample in inspected_samples(open_dataset(data)):
        (maps / "test" / sample.defect).mkdir(parents=True, exist_ok=True)
        np.save(maps / "test" / sample.defect / f"{sample.name}.npy", np.eye(70, 96, dtype=np.float32))
    evaluate = ["evaluate", str(maps), str(data), "--out", str(out)]
    assert main(evaluate) == 0
    assert main([*evaluate, "--force"]) == 0
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine")
    before = files(out)
    capsys.readouterr()
    assert main([*evaluate, "--force"]) == 2
    assert f"not only an earlier evaluation of maps ({name})" in capsys.readouterr().err
    assert files(out) == before


def test_force_removes_what_ssimae_wrote_and_nothing_else(data: Path, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    assert main(["run", "--data", str(data), "--out", str(out), "--compare", "l2", *SETTINGS]) == 0
    ours = {name for name in files(out) if name != ".lock"}
    elsewhere.mkdir()
    (elsewhere / "f.tiff").write_text("mine")
    own = ("notes.txt", "residuals/notes.txt", "residuals/hole/notes.txt", "figures/mine.png", "data/test/me.png")
    for name in own:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    (out / "calibrated").symlink_to(elsewhere)
    (out / ".abcd_123.partial").write_text("left by a kill")
    flags = ["train", "--data", str(data), "--out", str(out), "--force", *SETTINGS]
    assert main(flags) == 0
    left = files(out)
    assert {name: left[name] for name in own} == dict.fromkeys(own, b"mine")
    written = {"config.toml", "log.jsonl", "model.safetensors", "thresholds.json", "state/training.safetensors"}
    written |= {"held_out.npz"}
    assert left.keys() == {".lock", *own, *written}
    assert written < ours
    assert (elsewhere / "f.tiff").read_text() == "mine"


def test_force_overwrites_what_a_kill_left_before_anything_was_written(data: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "out")
    folder.prepare(force=False)
    with folder.locked():
        (folder.root / "data/train/good").mkdir(parents=True)
        (folder.root / "data/train/good/000.png").write_text("half")
    assert main(["train", "--data", str(data), "--out", str(folder.root), *SETTINGS]) == 2
    assert main(["train", "--data", str(data), "--out", str(folder.root), "--force", *SETTINGS]) == 0
    assert not (folder.root / "data").exists()


def test_run_completes_what_train_began_and_train_stops_what_run_began(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["train", "--data", str(data), "--out", str(out), *SETTINGS]) == 0
    model = (out / "model.safetensors").read_bytes()
    assert main(["train", "--resume", str(out), "--allow-collapsed"]) == 0
    assert not (out / "report.html").exists()
    assert main(["run", "--resume", str(out), "--allow-collapsed"]) == 0
    assert (out / "report.html").exists()
    assert (out / "metrics.json").exists()
    assert (out / "model.safetensors").read_bytes() == model
    assert not RunFolder(out).read_training()[1].train_only


def test_a_run_that_holds_its_images_is_gone_on_with_where_it_was_moved_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "write_woven_dataset", lambda root, seed: write_small_dataset(root))
    flags = ["--compare", "l2", *SETTINGS]
    assert main(["train", "--out", str(tmp_path / "out"), *flags]) == 0
    there = tmp_path / "there" / "moved"
    there.parent.mkdir()
    shutil.move(tmp_path / "out", there)
    assert main(["run", "--resume", str(there), "--allow-collapsed"]) == 0
    for part in (there, there / "l2"):
        assert RunFolder(part).read_training()[1].data == there / "data"
    before = (there / "metrics.json").read_bytes()
    again = tmp_path / "again"
    shutil.move(there, again)
    assert main(["evaluate", str(again)]) == 0
    assert (again / "metrics.json").read_bytes() == before
    assert main(["run", "--weights", str(again), "--out", str(tmp_path / "new"), "--allow-collapsed"]) == 0
