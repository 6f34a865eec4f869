"""`ssimae predict`: rows as they come, going on after an interruption, and names that cannot be written."""

import csv
import datetime
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.cli import main
from ssimae.inspection.inspector import Inspector


def rows(out: Path, name: str = "predictions.csv") -> list[dict[str, str]]:
    with (out / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(out: Path) -> dict[str, bytes]:
    """Return all that was found, without what names the folder or the time."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != "config.toml")
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def interrupt_at(count: int, number: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Send a signal when an image is inspected, counted from 1; returns the list of those counted."""
    seen: list[int] = []
    waiting = [number]
    inspect = Inspector.inspect

    def counted(self: Inspector, *arguments: object) -> object:
        seen.append(len(seen) + 1)
        if len(seen) == count and waiting:
            signal.raise_signal(waiting.pop())
        return inspect(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Inspector, "inspect", counted)
    return seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_inspection_goes_on_as_the_message_says(
    run: Path,
    images: Path,
    tmp_path: Path,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["predict", str(run), str(images), "--out", str(tmp_path / "whole")]) == 0
    out = tmp_path / "it's here"
    seen = interrupt_at(4, number, monkeypatch)
    assert main(["predict", str(run), str(images), "--out", str(out)]) == 128 + number
    assert [row["name"] for row in rows(out)] == ["0", "1", "2"]
    # As a kill in the middle of a row leaves it.
    for name in ("predictions", "regions"):
        with (out / f"{name}.csv").open("a") as file:
            file.write('3,unlabelled,"/so')
    (out / "residuals" / ".abcd1234.partial").write_bytes(b"half")
    command = shlex.split(capsys.readouterr().err.split("go on with: ")[1])
    assert command == ["ssimae", "predict", "--resume", str(out)]
    del seen[:]
    assert main(command[1:]) == 0
    assert len(seen) == 5
    assert contents(out) == contents(tmp_path / "whole")
    # What has finished stays as it is.
    assert main(command[1:]) == 0
    assert len(seen) == 5
    assert contents(out) == contents(tmp_path / "whole")


def test_a_killed_inspection_loses_one_image_at_most(run: Path, images: Path, tmp_path: Path) -> None:
    for number in range(8, 30):
        shutil.copy(images / f"{number % 8}.png", images / f"{number}.png")
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "ssimae", "predict", str(run), str(images), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    table = out / "predictions.csv"
    while process.poll() is None and not (table.exists() and table.read_bytes().count(b"\n") > 5):
        time.sleep(0.002)
    process.kill()
    process.wait()
    done = len(rows(out))
    assert len(list((out / "residuals").rglob("*.tiff"))) - done in (0, 1)
    assert main(["predict", "--resume", str(out)]) == 0
    assert main(["predict", str(run), str(images), "--out", str(tmp_path / "whole")]) == 0
    assert contents(out) == contents(tmp_path / "whole")


def test_it_does_not_go_on_with_other_images_masks_or_models(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        interrupt_at(2, signal.SIGINT, patch)
        assert main(["predict", str(run), str(images), "--out", str(out)]) == 130
    Image.fromarray(np.zeros((70, 96), np.uint8)).save(images / "7.png")
    capsys.readouterr()
    assert main(["predict", "--resume", str(out)]) == 2
    assert "have changed" in capsys.readouterr().err
    assert main(["predict", "--resume", str(run)]) == 2
    assert "ssimae run --resume" in capsys.readouterr().err
    assert main(["predict", str(run), "--resume", str(out)]) == 2
    assert "`MODEL` cannot be given with --resume" in capsys.readouterr().err
    assert main(["predict", str(run)]) == 2
    assert "ssimae predict RUN IMAGES" in capsys.readouterr().err


def test_a_broken_ignore_mask_is_skipped_as_a_broken_image_is(
    run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(8):
        Image.fromarray(np.eye(70, 96, dtype=np.uint8) * 255).save(masks / f"{number}.png")
    (masks / "1.png").write_bytes(b"no mask")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(masks / "2.png")
    Image.fromarray(np.full((70, 96), 255, np.uint8)).save(masks / "3.png")
    command = ["predict", str(run), str(images), "--ignore", str(masks), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert all(f"{masks / name}.png" in said for name in "123")
    assert main([*command, "--skip-bad"]) == 3
    skipped = [row for row in rows(tmp_path / "out") if row["verdict"] == "skipped"]
    assert [row["name"] for row in skipped] == ["1", "2", "3"]
    assert all(str(masks) in row["reason"] for row in skipped)


def test_an_image_that_breaks_after_the_check_is_skipped_too(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect = Inspector.inspect

    def breaking(self: Inspector, *arguments: object) -> object:
        (images / "5.png").write_bytes(b"")
        return inspect(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Inspector, "inspect", breaking)
    assert main(["predict", str(run), str(images), "--out", str(tmp_path / "out"), "--skip-bad"]) == 3
    assert {row["name"] for row in rows(tmp_path / "out") if row["verdict"] == "skipped"} == {"5"}


def test_names_that_no_result_can_have_stop_it_before_any_work(
    run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [images / ("x" * 251 + ".png"), Path(os.fsdecode(bytes(images) + b"/\xff.png"))]
    for path in bad:
        shutil.copy(images / "0.png", path)
    command = ["predict", str(run), str(images), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "256 bytes" in said
    assert "not valid UTF-8" in said
    assert not (tmp_path / "out").exists()
    assert main([*command, "--skip-bad"]) == 3
    skipped = {row["image"] for row in rows(tmp_path / "out") if row["verdict"] == "skipped"}
    assert skipped == {str(bad[0]), f"{images}/\\xff.png"}
    assert len(rows(tmp_path / "out")) == 10


def test_names_that_look_alike_keep_their_own_results(run: Path, images: Path, tmp_path: Path) -> None:
    odd = [
        "=1+1",
        "'=1+1",
        "-x",
        "@y",
        "a,b",
        'a"b',
        "line\nbreak",
        "return\rhere",
        "line\\nbreak",
        "0.png",
        "new-0.png",
    ]
    for name in odd:
        shutil.copy(images / "4.png", images / f"{name}.png")
    for name in ("0", "=1+1"):
        shutil.copy(images / "4.png", images / f"{name}.bmp")
    out = tmp_path / "out"
    assert main(["predict", str(run), str(images), "--out", str(out)]) == 0
    assert main(["report", str(out)]) == 0
    maps = {path.stem for path in (out / "residuals").rglob("*.tiff")}
    assert len(maps) == 8 + len(odd) + 2
    # No cell is taken for a formula, and each row is there once.
    for name in ("predictions.csv", "regions.csv"):
        table = rows(out, name)
        cells = [cell for row in table for cell in (row["name"], row["defect"])]
        assert not any(cell.startswith(("=", "+", "-", "@", "\r", "\n")) for cell in cells)
        assert {row["name"].removeprefix("'") if row["name"][1:2] in "=-@'" else row["name"] for row in table} <= maps
    assert len(rows(out)) == len(maps)


def test_its_report_says_what_is_true_of_it(run: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["predict", str(run), str(images), "--out", str(out)]) == 0
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert (out / "thresholds.json").read_bytes() == (run / "thresholds.json").read_bytes()
    assert "that the model was not trained on" in page
    assert "No metrics: these images came without ground truth." in page
    assert page.count('"problems":[]') == page.count('"verdict":"good"') == 8
    facts = tomllib.loads((out / "config.toml").read_text())["run"]
    began = datetime.datetime.fromisoformat(facts["created"])
    assert datetime.timedelta(0) <= datetime.datetime.now(datetime.UTC) - began < datetime.timedelta(minutes=10)
    for fact in (
        facts["created"].replace("T", " ").replace("+00:00", " UTC"),
        hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest(),
        f"ssimae {version('ssimae')}",
        "SSIM-AE",
    ):
        assert fact in page
    for untrue in ("the run has", "this run", "ssimae unknown", "evaluate", "No thresholds"):
        assert untrue not in page


def test_an_image_of_a_format_that_is_not_read_is_never_passed_over(
    run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("8.gif", "9.PGM"):
        Image.open(images / "4.png").save(images / name)
    (images / "Thumbs.db").write_bytes(b"")
    out = tmp_path / "out"
    command = ["predict", str(run), str(images), "--out", str(out)]
    assert main(command) == 2
    passed_over, *said = capsys.readouterr().err.splitlines()
    assert "passed over 1 file: 1 with the suffix .db, which is not read (Thumbs.db)" in passed_over
    assert [line.split(": not a PNG")[0].removeprefix("ssimae: ") for line in said] == [
        str(images / "8.gif"),
        str(images / "9.PGM"),
    ]
    assert not out.exists()
    assert main([*command, "--skip-bad"]) == 3
    skipped = {row["name"] for row in rows(out) if row["verdict"] == "skipped"}
    assert skipped == {"8", "9"}
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "Not inspected: " in page
    assert "1 with the suffix .db, which is not read (Thumbs.db)" in page


def test_hidden_files_links_and_own_results_are_passed_over(run: Path, images: Path, tmp_path: Path) -> None:
    first = images / "results"
    assert main(["predict", str(run), str(images), "--out", str(first)]) == 0
    (images / ".hidden.png").write_bytes(b"")
    (images / ".thumbnails").mkdir()
    shutil.copy(images / "0.png", images / ".thumbnails" / "0.png")
    (images / "loop").symlink_to(images)
    assert main(["predict", str(run), str(images), "--out", str(tmp_path / "out")]) == 0
    assert [row["name"] for row in rows(tmp_path / "out")] == [str(number) for number in range(8)]
    # A link that leads nowhere is an image that cannot be read, as it is for check and run.
    (images / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert main(["predict", str(run), str(images), "--out", str(tmp_path / "other")]) == 2
    assert main(["predict", str(run), str(images), "--out", str(tmp_path / "other"), "--skip-bad"]) == 3
