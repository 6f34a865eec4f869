"""A file shows its old content or its new one, whatever interrupts the write."""

import contextlib
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ssimae import atomic
from ssimae.atomic import write_bytes, write_text


@pytest.mark.parametrize("content", [b"", b"\0\xff\r\n", b"x" * 1_000_000])
def test_what_is_written_is_read_back(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.bin"
    for _ in range(2):
        write_bytes(path, content)
        assert path.read_bytes() == content
        assert os.listdir(tmp_path) == ["state.bin"]


def test_text_is_utf_8_with_the_line_ends_it_has(tmp_path: Path) -> None:
    write_text(tmp_path / "größe 日本.toml", "größe = '日本'\r\n\n")
    assert (tmp_path / "größe 日本.toml").read_bytes() == "größe = '日本'\r\n\n".encode()


def test_a_name_of_full_length_can_be_written(tmp_path: Path) -> None:
    write_bytes(tmp_path / ("x" * 255), b"new")
    assert (tmp_path / ("x" * 255)).read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("old", [b"old", None], ids=["over", "fresh"])
def test_an_interrupted_write_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException, old: bytes | None
) -> None:
    path = tmp_path / "state.bin"
    if old is not None:
        path.write_bytes(old)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, call, fail)
        with pytest.raises(type(error)):
            write_bytes(path, b"new")
    assert os.listdir(tmp_path) == ([] if old is None else ["state.bin"])
    assert old is None or path.read_bytes() == old
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_signal_right_behind_the_write_is_no_other_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def interrupted(source: str, target: Path) -> None:
        replace(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "state.bin", b"new")
    assert (tmp_path / "state.bin").read_bytes() == b"new"


def test_a_killed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state.bin"
    path.write_bytes(b"old")
    # The module alone, without the package, so that the process starts at once.
    program = (
        "import os, pathlib, runpy, sys\n"
        "os.fsync = lambda handle: os._exit(9)\n"
        "runpy.run_path(sys.argv[1])['write_bytes'](pathlib.Path(sys.argv[2]), b'new' * 100_000)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, atomic.__file__, str(path)], check=False).returncode == 9
    assert path.read_bytes() == b"old"
    (left,) = set(os.listdir(tmp_path)) - {"state.bin"}
    assert left.startswith(".")
    assert left.endswith(".partial")
    # The next write to that name takes its place.
    write_bytes(path, b"newer")
    assert os.listdir(tmp_path) == ["state.bin"]
    assert path.read_bytes() == b"newer"


def test_writes_to_one_name_at_once_are_whole_each(tmp_path: Path) -> None:
    path = tmp_path / "state.bin"
    with atomic.replacing(path) as first, atomic.replacing(path) as second:
        assert first != second
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first"
    contents = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: [write_bytes(path, content) for _ in range(20)], contents))
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["state.bin"]


def test_what_stands_under_the_hidden_name_is_not_followed(tmp_path: Path) -> None:
    path, other = tmp_path / "state.bin", tmp_path / "letter.txt"
    with atomic.replacing(path) as partial:
        pass
    other.write_bytes(b"dear")
    partial.symlink_to(other)
    write_bytes(path, b"new")
    assert (path.read_bytes(), other.read_bytes()) == (b"new", b"dear")


def test_content_reaches_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(atomic.os, name, lambda *args, name=name, real=real: (calls.append(name), real(*args))[1])
    write_bytes(tmp_path / "state.bin", b"new")
    assert calls[:2] == ["fsync", "replace"]


@pytest.mark.parametrize("before", [None, 0o600, 0o444])
def test_files_are_readable_by_all_and_writable_by_their_owner(tmp_path: Path, before: int | None) -> None:
    path = tmp_path / "state.bin"
    if before is not None:
        path.touch()
        path.chmod(before)
    write_bytes(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_folder_that_cannot_take_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_bytes(tmp_path / "nowhere" / "state.bin", b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="folder"):
        write_bytes(tmp_path / "folder", b"new")
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="needs a user whom permissions bind: root may write anywhere")
def test_a_read_only_folder_keeps_its_file(tmp_path: Path) -> None:
    (tmp_path / "state.bin").write_bytes(b"old")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PermissionError, match=r"state|partial"):
            write_bytes(tmp_path / "state.bin", b"new")
    finally:
        tmp_path.chmod(0o755)
    assert (tmp_path / "state.bin").read_bytes() == b"old"


def test_a_folder_takes_the_place_of_an_earlier_one_or_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "results"
    for content in ("one", "two"):
        with atomic.replacing_folder(path) as partial:
            (partial / "file").write_text(content)
        assert (path / "file").read_text() == content
    with contextlib.suppress(KeyboardInterrupt), atomic.replacing_folder(path) as partial:
        (partial / "file").write_text("three")
        raise KeyboardInterrupt
    assert (path / "file").read_text() == "two"
    assert os.listdir(tmp_path) == ["results"]


def test_what_a_kill_left_of_a_folder_is_put_back_or_removed(tmp_path: Path) -> None:
    for name in (".lost.ssimae-earlier", ".kept.ssimae-earlier", ".lost.ssimae-new", "kept"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with atomic.replacing_folder(tmp_path / "results") as partial:
        with pytest.raises(BlockingIOError, match="another command"), atomic.replacing_folder(tmp_path / "results"):
            pass
        assert partial.is_dir()
    assert sorted(os.listdir(tmp_path)) == ["kept", "lost", "results"]
    assert (tmp_path / "kept" / "file").read_text() == "kept"
    assert (tmp_path / "lost" / "file").read_text() == ".lost.ssimae-earlier"
