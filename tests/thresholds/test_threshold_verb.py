"""Thresholds of a finished run change within seconds from what it stored, and every version can be taken back."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.calibration import expectation
from ssimae.cli import main
from ssimae.jobs import run as runs
from ssimae.jobs.thresholds import standing
from ssimae.storage.description import describe_model
from ssimae.storage.revisions.held_out import read_held_out
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning import rate
from support.small_data import SETTINGS, texture, write_small_dataset

CALIBRATED = [*SETTINGS, "--calibration", "border", "--false-calls", "1/3"]
FILES = "model.safetensors", "thresholds.json", "pod.json", "predictions.csv", "regions.csv"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with images, and a finished run that calibrates; the images are gone."""
    root = tmp_path_factory.mktemp("thresholds")
    write_small_dataset(root / "data", 96, 150)
    rng = np.random.default_rng(5)
    for name in "hijklm":
        Image.fromarray(texture(rng, 96, 150)).save(root / f"data/train/good/{name}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expectation, "_STEPS", 60)
        patch.setattr(runs, "write_report", lambda *_, **__: None)  # takes seconds
        patch.setattr(rate, "_RARER", (1.0,))  # the rate that is asked for, as the verb takes it
        assert main(["run", "--data", str(root / "data"), "--out", str(root / "run"), *CALIBRATED]) == 0
    (root / "data").rename(root / "moved")
    return root


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished / "run", tmp_path / "run")
    return tmp_path / "run"


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in FILES}


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def verdicts(folder: Path) -> dict[str, str]:
    with (folder / "predictions.csv").open() as file:
        return {f"{row['defect']}/{row['name']}": row["verdict"] for row in csv.DictReader(file)}


def regions(folder: Path) -> int:
    return len((folder / "regions.csv").read_text().splitlines()) - 1


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(list(map(str, arguments))) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(list(map(str, arguments))) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_without_flags_nothing_is_written_and_other_rates_are_told(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run)
    said = told(capsys, "threshold", run)
    assert contents(run) == before
    assert not (run / "thresholds").exists()
    thresholds = json.loads(before["thresholds.json"])
    assert f"{thresholds['review']:.4g}" in said
    assert "1 in 1000" in said
    assert "extrapolated" in said
    found = json.loads(before["pod.json"])["defects"]["hit"]
    assert f"{sum(found)} of {len(found)}" in said
    assert re.search(r"^\* 1 ", said, re.MULTILINE)


def test_the_same_rate_gives_the_same_thresholds(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Nothing changes" in told(capsys, "threshold", run, "--false-calls", "1/3")
    told(capsys, "threshold", run, "--false-calls", "1/50")
    told(capsys, "threshold", run, "--false-calls=1/3")
    first, third = (json.loads((run / f"thresholds/{number}.json").read_text()) for number in (1, 3))
    assert first["thresholds"] == third["thresholds"]
    # What was asked for is told as it was asked for.
    said = told(capsys, "threshold", run)
    assert "set by --false-calls 1/50" in said
    assert "set by --false-calls 1/3" in said
    assert "0.02" not in said


def test_a_new_version_is_used_by_all_and_the_old_comes_back_to_the_byte(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run)
    review = json.loads(before["thresholds.json"])["review"]
    told(capsys, "threshold", run, "--false-calls", "1/50")
    said = describe_model(run / "model.safetensors").thresholds
    assert said is not None
    assert said.review > review
    assert said.extrapolated
    assert json.loads((run / "thresholds.json").read_text())["review"] == said.review
    images = finished / "moved" / "test" / "hole"
    predict = ["predict", run, images, "--allow-collapsed", "--out"]
    told(capsys, *predict, run.parent / "p")
    assert json.loads((run.parent / "p" / "thresholds.json").read_text())["review"] == said.review
    told(capsys, "threshold", run, "--undo")
    assert contents(run) == before
    told(capsys, "threshold", run, "--version", 2)
    assert describe_model(run / "model.safetensors").thresholds == said
    assert "--version` must be one of 1, 2, got 7" in refused(capsys, "threshold", run, "--version", 7)


def test_undo_takes_back_what_was_in_use_before_and_not_the_number_before(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = contents(run)
    assert "no thresholds came before" in refused(capsys, "threshold", run, "--undo")
    told(capsys, "threshold", run, "--false-calls", "1/50")
    assert "threshold --version 2" in told(capsys, "threshold", run, "--undo")
    assert "threshold --undo" in told(capsys, "threshold", run, "--false-calls", "1/100")  # version 3, after 1
    told(capsys, "threshold", run, "--undo")
    assert contents(run) == first
    # In files of earlier versions of ssimae, the number before is all that is known.
    third = run / "thresholds" / "3.json"
    third.write_text(json.dumps({key: value for key, value in json.loads(third.read_text()).items() if key != "after"}))
    told(capsys, "threshold", run, "--version", 3)
    assert "version 2 of the thresholds is in use" in told(capsys, "threshold", run, "--undo")


def test_rows_of_the_run_follow_as_if_its_images_were_inspected_again(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    present = json.loads((run / "thresholds.json").read_text())
    levels = sorted(present["good_levels"])
    before = verdicts(run)
    said = told(capsys, "threshold", run, "--review", levels[0], "--defective", 10 * levels[-1], "--merge-distance", 4)
    after = verdicts(run)
    changed = sum(before[name] != after[name] for name in before)
    assert (f"{changed} of {len(before)} verdicts change" if changed else "none of") in said
    out = run.parent / "again"
    told(capsys, "predict", run, finished / "moved" / "test", "--allow-collapsed", "--out", out)
    again = {name.split("/")[1]: verdict for name, verdict in verdicts(out).items()}
    assert again == {name.split("/")[1]: verdict for name, verdict in after.items()}


def test_the_newest_folder_of_predict_is_told_of_by_its_scores_where_it_has_no_maps(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", run, finished / "moved" / "test", "--allow-collapsed", "--out", run.parent / "predict-1"]
    told(capsys, *words, "--maps", "none")
    before = {name.split("/")[1]: verdict for name, verdict in verdicts(run.parent / "predict-1").items()}
    lowest = min(json.loads((run / "thresholds.json").read_text())["good_levels"])
    said = told(capsys, "threshold", run, "--review", lowest, "--defective", 50)
    after = {name.split("/")[1]: verdict for name, verdict in verdicts(run).items()}
    changed = sum(before[name] != after[name] for name in before)
    assert changed
    assert f"predict-1: {changed} of 3 verdicts change" in said


def test_confirmed_images_join_and_leave_with_their_version(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run)
    folder = run.parent / "confirmed"
    folder.mkdir()
    rng = np.random.default_rng(9)
    for name in "xy":
        Image.fromarray(texture(rng, 96, 150)).save(folder / f"{name}.png")
    count = json.loads(before["thresholds.json"])["images"]
    told(capsys, "threshold", run, "--add-good", folder)
    now = json.loads((run / "thresholds.json").read_text())
    assert now["images"] == count + 2
    assert now["good_levels"][:count] == json.loads(before["thresholds.json"])["good_levels"]
    stored = read_held_out(run / "held_out.npz")
    assert [part.name for part in stored.good[count:]] == ["x.png", "y.png"]
    told(capsys, "threshold", run, "--add-good", folder)  # known already
    assert json.loads((run / "thresholds.json").read_text()) == now
    told(capsys, "threshold", run, "--version", 1)
    assert contents(run) == before
    told(capsys, "threshold", run, "--false-calls", "1/5")
    assert json.loads((run / "thresholds.json").read_text())["images"] == count
    # The network was trained on these: they would show less than new ones.
    shutil.copytree(finished / "moved", finished / "data")
    try:
        assert "the network was trained on this image" in refused(
            capsys, "threshold", run, "--add-good", finished / "moved" / "train" / "good" / "a.png"
        )
    finally:
        shutil.rmtree(finished / "data")


def test_an_interrupted_change_is_refused_by_others_and_finished(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(run)
    told(capsys, "threshold", run, "--false-calls", "1/50")
    after = contents(run)
    for name in ("thresholds.json", "pod.json", "predictions.csv", "regions.csv"):
        (run / name).write_bytes(before[name])
    assert "it is written again by: ssimae threshold" in refused(capsys, "report", run)
    told(capsys, "threshold", run)
    assert contents(run) == after


def test_a_version_that_was_interrupted_before_its_use_is_taken_up(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["threshold", str(run), "--false-calls", "1/5"]
    with monkeypatch.context() as patch:
        patch.setattr(standing, "replace_thresholds", interrupted)
        assert main(command) == 130
    assert sorted(path.name for path in (run / "thresholds").iterdir()) == ["1.json", "2.json"]
    assert main(command) == 0
    assert sorted(path.name for path in (run / "thresholds").iterdir()) == ["1.json", "2.json"]
    assert standing.read_standing(run).present.number == 2


def test_thresholds_are_read_once_nobody_else_can_change_them(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = standing.read_standing

    def read_held(root: Path) -> standing.Standing:
        with pytest.raises(BlockingIOError), RunFolder(root).locked():
            pass
        return read(root)

    monkeypatch.setattr(standing, "read_standing", read_held)
    assert main(["threshold", str(run), "--false-calls", "1/5"]) == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--false-calls", "1/20", "--review", "3"], "give one or the other"),
        (["--false-calls", "2"], "`--false-calls` must be a share between 0 and 1"),
        (["--review", "-1"], "`--review` must be positive"),
        (["--review", "1e-9"], "tell nothing apart below"),
        (["--defective", "1e-9"], "must not lie below `review`"),
        (["--min-area", "2mm2"], "needs `--pixel-size`"),
        (["--min-area", "2mm"], "`--min-area` must be an area"),
        (["--min-length", "2mm2"], "`--min-length` must be a length"),
        (["--min-area", "999999"], "must be at most a tenth of the smallest image (14400 pixels)"),
        (["--hysteresis", "2"], "`hysteresis` must lie in [0.01, 1]"),
        (["--undo", "--review", "3"], "nothing else can be given"),
        (["--ignore", "x.png"], "`--ignore` is for the images of `--add-good`"),
        (["--add-good", "/nowhere"], "no such image or folder"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_lost(
    run: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    before = contents(run)
    assert said in refused(capsys, "threshold", run, *flags)
    assert contents(run) == before


def test_predict_takes_levels_for_once_and_goes_on_with_them(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run)
    out = run.parent / "once"
    words = ["predict", run, finished / "moved" / "test", "--allow-collapsed", "--out", out]
    told(capsys, *words, "--review", "0.5", "--defective", "60")
    found = regions(out)
    assert found >= 3
    written = json.loads((out / "thresholds.json").read_text())
    assert (written["review"], written["defective"], written["rule"]) == (0.5, 60.0, "given")
    assert contents(run) == before
    (out / "predictions.csv").unlink()
    told(capsys, "predict", "--resume", out)
    assert regions(out) == found
    assert "must not lie below `review`" in refused(capsys, *words[:-1], run.parent / "n", "--defective", "1e-9")


def test_areas_and_lengths_in_millimetres(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "threshold", run, "--min-area", "0.5 mm²", "--min-length", "2mm", "--pixel-size", "0.25")
    now = json.loads((run / "thresholds.json").read_text())
    assert (now["min_area"], now["min_length"]) == (8, 8.0)
    assert now["false_calls"] == pytest.approx(1 / 3)


def test_a_run_that_stores_no_maps_gets_the_command_that_makes_them(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "held_out.npz").unlink()
    assert refused(capsys, "threshold", run).endswith(f"ssimae train --weights {run}")


def test_no_torch_is_loaded(run: Path) -> None:
    code = (
        f"import sys; from ssimae.cli import main; assert main(['threshold', {str(run)!r}, '--min-area', '9']) == 0; "
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.splitlines()[-1].split()


def test_an_exported_model_is_sent_to_its_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inspect.json").write_text("{}")
    assert "an exported model; set the thresholds of its run" in refused(capsys, "threshold", tmp_path)
