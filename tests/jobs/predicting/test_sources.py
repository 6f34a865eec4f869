"""`ssimae predict` takes files, folders, patterns and names on standard input; the first verdict comes at once."""

import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ssimae.cli import main
from ssimae.jobs.predicting.given import named_images
from ssimae.jobs.predicting.standard_input import names_from


def shown(named: list[str]) -> list[str]:
    places = [os.path.abspath(name) for name in named]
    return [arrival.shown for arrival in named_images(places, named, ignore=None, say=print)]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with some files whose contents nobody reads."""
    for name in ("new/img10.png", "new/img9.png", "new/notes.txt", "new/sub/a.tif", "new/[1].png", "old/x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (["new/*.png"], ["new/[1].png", "new/img9.png", "new/img10.png"]),
        (["new/img?.png", "new/img9.png"], ["new/img9.png"]),
        (["./new/img9.png", "new/img*.png"], ["./new/img9.png", "new/img10.png"]),
        (["n*/sub"], ["new/sub/a.tif"]),
        (["new/*"], ["new/[1].png", "new/img9.png", "new/img10.png", "new/sub/a.tif"]),
        (["new/**/*.tif"], ["new/sub/a.tif"]),
        (["new/[1].png"], ["new/[1].png"]),
        (["new/"], ["new/[1].png", "new/img9.png", "new/img10.png", "new/sub/a.tif"]),
    ],
)
def test_images_come_in_natural_order_under_the_names_that_were_given(
    tree: Path, named: list[str], found: list[str]
) -> None:
    assert shown(named) == found


def test_a_pattern_keeps_out_of_our_own_results(tree: Path) -> None:
    out = tree / "new" / "out"
    (out / "overlays").mkdir(parents=True)
    for name in (".lock", "config.toml", "overlays/o.png"):
        (out / name).touch()
    assert shown(["new/**/*.png"]) == ["new/[1].png", "new/img9.png", "new/img10.png"]


@pytest.mark.parametrize("name", ["new/*.bmp", "nowhere", "new/notes.txt*", "-x.png"])
def test_what_names_no_image_is_refused_by_name(tree: Path, name: str) -> None:
    with pytest.raises(OSError, match=r"no (image matches|such image)"):
        shown([name])


class _Chunks(io.RawIOBase):
    """A stream whose other end writes now and then; what comes is what was written by then."""

    def __init__(self, chunks: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        waiting: Iterator[bytes] = iter(chunks)
        monkeypatch.setattr("ssimae.jobs.predicting.standard_input.os.read", lambda *_: next(waiting, b""))

    def fileno(self) -> int:
        return -1


@pytest.mark.parametrize(
    ("chunks", "names"),
    [
        ([b"a.png\nb b.png\n"], [b"a.png", b"b b.png"]),
        ([b"a.p", b"ng\nb.png"], [b"a.png", b"b.png"]),
        ([b"a.png\r\n\r\n", b"b.png\r\n"], [b"a.png", b"b.png"]),
        ([b"a\nb.png\0c.png\0"], [b"a\nb.png", b"c.png"]),
        ([b"a.png\0", b"b\n.png\0"], [b"a.png", b"b\n.png"]),
        ([b""], []),
        ([b"\xff.png\n"], [b"\xff.png"]),
    ],
)
def test_names_end_with_a_line_or_a_zero_byte(
    chunks: list[bytes], names: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(names_from(_Chunks(chunks, monkeypatch))) == names  # type: ignore[arg-type]


def test_each_name_is_answered_before_the_next_comes_and_a_restart_goes_on(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", str(run), "-", "--out", "out", "--json"]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    command = [sys.executable, "-m", "ssimae", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(240, process.kill)
    timer.start()
    names = ["new/0.png", "gone.png", "./new/1.png", "broken.png", "\udcff.png"]
    answers = []
    for name in names:
        process.stdin.write(os.fsencode(name) + b"\n")
        process.stdin.flush()
        answers.append(json.loads(process.stdout.readline()))
    process.stdin.write(b"new/0.png\n")  # once more: it is known
    process.stdin.close()
    assert process.stdout.read() == b""
    process.stdout.close()
    assert process.wait() == 3
    timer.cancel()
    assert [answer["image"] for answer in answers] == [*names[:-1], "\\xff.png"]
    assert [answer["verdict"] == "skipped" for answer in answers] == [False, True, False, True, True]
    assert not list((tmp_path / "out").rglob("*.tiff"))  # of flagged images alone, and none is
    # What could not be read may be readable by now; what was inspected is not inspected again.
    shutil.copy(images / "2.png", tmp_path / "broken.png")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names").write_text("broken.png\nnew/0.png\nnew/3.png\ngone.png")
    capsys.readouterr()
    with (tmp_path / "names").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert main(arguments) == 3
    again, new, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert (again["verdict"], new["name"]) == ("good", "3")


def test_of_many_images_a_bad_one_is_skipped_in_its_turn(
    run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8, 66):
        os.link(images / f"{number % 8}.png", images / f"{number}.png")
    (images / "65.png").unlink()
    (images / "65.png").write_bytes(b"no image")
    command = ["predict", str(run), "--maps", "none", "--out", str(tmp_path / "out"), "--json"]
    capsys.readouterr()
    assert main([*command, str(images)]) == 3
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in found if line["verdict"] == "skipped"] == ["65"]
    assert len(found) == 66
