"""False alarms are taught by a short training from the stored weights; what trained sets no threshold."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.calibration import expectation
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.inspection.holdout import arrange_good, split_good
from ssimae.jobs import run as runs
from ssimae.storage.model_file import load_model
from ssimae.storage.run_folder import RunFolder
from support.small_data import SETTINGS, texture, write_small_dataset

QUICK = ["--minutes", "0.01"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with images, a finished run, and images to teach."""
    root = tmp_path_factory.mktemp("improve")
    write_small_dataset(root / "data", 96, 150)
    rng = np.random.default_rng(7)
    (root / "alarms").mkdir()
    for name in "xyz":
        Image.fromarray(texture(rng, 96, 150) // 2).save(root / f"alarms/{name}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expectation, "_STEPS", 60)
        patch.setattr(runs, "write_report", lambda *_, **__: None)  # takes seconds
        flags = [*SETTINGS, "--calibration", "border"]
        assert main(["run", "--data", str(root / "data"), "--out", str(root / "run"), *flags]) == 0
        yield root


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(["improve", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_taught_images_join_and_a_table_tells_what_changed(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(finished / "run")
    hole = finished / "data/test/hole/f.png", finished / "data/ground_truth/hole/f_mask.png"
    out = tmp_path / "better"
    words = ["improve", finished / "run", "--good", finished / "alarms", *QUICK, "--out", out]
    assert main([*map(str, words), "--missed", str(hole[0]), "--masks", str(hole[1])]) in (0, 4)
    said, warned = capsys.readouterr()
    (plan,) = [line for line in warned.splitlines() if "is for the training" in line]
    assert re.search(r"from \d+ held-out and planted images, \d+ test images are inspected, and 4 before", plan)
    assert re.search(r"about \d+ min in all", plan)
    for line in ("x.png", "z.png", "f.png", "held-out good images flagged", "planted defects found", "known defect"):
        assert line in said
    told = json.loads((out / "improvement.json").read_text())
    assert len(told["taught"]) == 3
    flagged = [Path(each["image"]).name for each in told["taught"] if each["after"] != "good"]
    assert (f"of the images that were taught: {', '.join(flagged)}." in said) == bool(flagged)
    assert f"Inspect with it: ssimae predict {out} IMAGES" in said
    assert told["held_out"]["of_after"] == told["held_out"]["of_before"] + 3  # a band of each
    assert told["missed"][0]["image"] == str(hole[0])
    _, facts = RunFolder(out).read_training()
    assert facts.train_images == 7
    assert [name for name in facts.held_out_images if name.startswith("taught/")] == [
        "taught/1-x.png", "taught/2-y.png", "taught/3-z.png",
    ]  # fmt: skip
    assert contents(finished / "run") == before
    weights = [load_model(folder / "model.safetensors").model.state_dict() for folder in (finished / "run", out)]
    apart = max(float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[0])
    assert 0 < apart < 0.02  # a few steps from the stored weights, where new ones differ by far more
    for verb in (["run", "--resume"], ["evaluate"], ["threshold"]):
        assert main([*verb, str(out), *(["--allow-collapsed"] if verb[0] == "run" else [])]) == 0


def test_an_interrupted_one_goes_on(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "better"
    with monkeypatch.context() as patch:
        patch.setattr(runs, "threshold_stage", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        assert (
            main(
                ["improve", str(finished / "run"), "--good", str(finished / "alarms/x.png"), *QUICK, "--out", str(out)]
            )
            == 130
        )
    trained = (out / "model.safetensors").read_bytes()
    assert main(["improve", "--resume", str(out)]) in (0, 4)
    assert (out / "improvement.json").exists()
    assert (out / "model.safetensors").read_bytes() != trained  # it has thresholds now


def test_what_cannot_be_taught_is_refused(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, alarms = finished / "run", finished / "alarms"
    assert "must be named: ssimae improve RUN --good FILES" in refused(capsys, run)
    assert "nothing to teach" in refused(capsys, run, "--good", finished / "data/train/good/a.png")
    assert "cannot be both good and missed" in refused(capsys, run, "--good", alarms, "--missed", alarms / "x.png")
    assert "one for each image of `--missed` (1), got 2" in refused(
        capsys, run, "--good", alarms, "--missed", alarms / "x.png", "--masks", alarms / "x.png", alarms / "y.png"
    )
    assert "`--minutes` must be positive" in refused(capsys, run, "--good", alarms, "--minutes", "nan")
    assert "no such image or folder" in refused(capsys, run, "--good", "/nowhere")
    assert "improves no run" in refused(capsys, "--resume", run)
    shutil.copytree(run, tmp_path / "run")
    (finished / "data").rename(finished / "moved")
    try:
        line = refused(capsys, tmp_path / "run", "--good", alarms)
        assert "the good images of" in line
        assert "are gone" in line
    finally:
        (finished / "moved").rename(finished / "data")


@pytest.mark.parametrize("count", [4, 24, 45])
@pytest.mark.parametrize("taught", [1, 2, 5])
def test_no_taught_part_both_trains_and_sets_thresholds(count: int, taught: int) -> None:
    settings = Settings(patch_size=32, calibration="border")
    before = split_good([(96, 150)] * count, settings)
    after = split_good([(96, 150)] * (count + taught), settings, taught=taught)
    assert after.kind == before.kind
    assert after.kept[: len(before.kept)] == before.kept
    assert after.held_out[: len(before.held_out)] == before.held_out
    marked = {index: np.zeros((96, 150), int) for index in range(count, count + taught)}
    for index, region in (*after.kept, *after.held_out):
        if index >= count:
            marked[index][region] += 1
    assert all((pixels == 1).all() for pixels in marked.values())


def test_taught_images_are_a_quarter_of_the_training() -> None:
    images = [np.full((96, 150), number / 50, np.float32) for number in range(45 + 2)]
    good = arrange_good(images, [None] * 47, Settings(patch_size=32, calibration="border"), taught=2)
    parts, _ = good.training_parts(Settings(patch_size=32))
    taught = sum(float(part[:].max()) == np.float32(45 / 50) for part in parts)
    assert taught / len(parts) == pytest.approx(0.25, abs=0.01)
