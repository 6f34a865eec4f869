"""Both modules for operating systems keep one promise; that for Windows is tried with stand-ins for what it asks."""

import contextlib
import ctypes
import errno
import fcntl
import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import import_module, reload
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ssimae import atomic
from ssimae.cli import dispatch
from ssimae.data.dataset import Sample
from ssimae.host import posix
from ssimae.jobs import listing
from ssimae.storage.run_folder import RunFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stands in for Windows, and needs flock for it")

BYTES_FREE = 12345 * 2**20


def open_here() -> set[str]:
    """Return the files that this process has open."""
    return {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}


def unless_open(call: Callable[..., None]) -> Callable[..., None]:
    """Return a call that fails, as on Windows, where a file is open that it would rename or remove."""

    def checked(path: Path | str, *others: Any, **options: Any) -> None:
        real = os.path.realpath(path)
        if any(f"{name}/".startswith(f"{real}/") for name in open_here()):
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))
        call(path, *others, **options)

    return checked


def locking(file: int, mode: int, count: int) -> None:
    """Lock as msvcrt does: what lies at the position of the file, and it may not be what others read."""
    assert (mode, count) == (3, 1)
    assert os.lseek(file, 0, os.SEEK_CUR) > os.fstat(file).st_size
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PermissionError(errno.EACCES, "Permission denied") from error


def global_memory(status: Any) -> int:
    assert ctypes.sizeof(status._obj) == status._obj.length == 64
    status._obj.available = BYTES_FREE
    return 1


class Registry:
    """Stand-in for winreg that knows one value, or none."""

    HKEY_LOCAL_MACHINE = "HKLM"
    values: dict[str, int]

    def __init__(self, **values: int) -> None:
        self.values = values

    def OpenKey(self, root: str, key: str) -> Any:  # noqa: N802 - its name
        return memoryview(b"")  # something that can be closed

    def QueryValueEx(self, key: Any, name: str) -> tuple[int, int]:  # noqa: N802
        if name not in self.values:
            raise FileNotFoundError(errno.ENOENT, "no such value")
        return self.values[name], 4


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=3))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "winreg", Registry())  # type: ignore[arg-type]
    for name in ("O_BINARY", "O_NOINHERIT", "O_TEMPORARY"):
        monkeypatch.setattr(os, name, 0, raising=False)
    monkeypatch.setattr("signal.SIGBREAK", 21, raising=False)
    kernel = SimpleNamespace(GlobalMemoryStatusEx=global_memory)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    for name in ("replace", "rename", "unlink"):
        monkeypatch.setattr(os, name, unless_open(getattr(os, name)))
    module = reload(import_module("ssimae.host.windows"))  # with these stand-ins, not with those of the test before
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    return module


@pytest.fixture(params=["posix", "windows"])
def system(request: pytest.FixtureRequest) -> ModuleType:
    found: ModuleType = posix if request.param == "posix" else request.getfixturevalue("windows")
    return found


def public(module: ModuleType) -> dict[str, str]:
    """Return the names that a module defines, with the signatures of functions."""
    return {
        name: str(inspect.signature(value)) if inspect.isfunction(value) else type(value).__name__
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", module.__name__) == module.__name__
        if name.isupper() or inspect.isfunction(value)
    }


def test_both_have_the_same_names(windows: ModuleType) -> None:
    assert len(public(posix)) > 10
    assert public(posix) == public(windows)


def test_a_file_is_held_until_it_is_closed(system: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with path.open("ab") as one, path.open("ab") as two:
        system.lock(one.fileno())
        with pytest.raises(BlockingIOError):
            system.lock(two.fileno())
        one.write(b"mark")
        one.flush()
        assert path.read_bytes() == b"mark"
        one.close()
        system.lock(two.fileno())
        assert two.tell() == 0


def test_a_folder_is_held_and_can_be_renamed_meanwhile(system: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / ".results.ssimae-new"
    folder.mkdir()
    with system.held_folder(folder):
        with pytest.raises(BlockingIOError), system.held_folder(folder):
            pass
        folder.rename(tmp_path / "results")
    (tmp_path / "results").rename(folder)
    with system.held_folder(folder):
        pass


def test_files_and_folders_appear_whole(system: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "system", system)
    path = tmp_path / "state.bin"
    for content in (b"one", b"two"):
        atomic.write_bytes(path, content)
        assert path.read_bytes() == content
    with contextlib.suppress(KeyboardInterrupt), atomic.replacing(path) as partial:
        partial.write_bytes(b"three")
        raise KeyboardInterrupt
    for name in ("first", "second"):
        with atomic.replacing_folder(tmp_path / "results") as inner:
            (inner / "file").write_text(name)
    assert (path.read_bytes(), (tmp_path / "results" / "file").read_text()) == (b"two", "second")
    left = {entry.name for entry in tmp_path.iterdir()}
    # The stand-in has no flag that removes a file once it is closed.
    assert left - {".results.ssimae-new.lock"} == {"state.bin", "results"}


def test_two_writes_at_once_have_a_file_each(system: ModuleType, tmp_path: Path) -> None:
    name = tmp_path / ".01234567.partial"
    with system.partial_file(name) as one, system.partial_file(name) as two:
        assert one != two
        assert all(atomic.is_partial(path) for path in (one, two))


def test_a_name_that_another_program_holds_is_tried_again(windows: ModuleType, tmp_path: Path) -> None:
    partial, path = tmp_path / "partial", tmp_path / "path"
    partial.write_bytes(b"new")
    scanner = partial.open("rb")
    waits: list[float] = []
    windows.time.sleep = lambda wait: (waits.append(wait), scanner.close())  # type: ignore[attr-defined]
    windows.replace(partial, path)
    assert (path.read_bytes(), len(waits)) == (b"new", 1)
    with path.open("rb"), pytest.raises(PermissionError, match="cannot access"):
        windows.replace(path, partial)


def test_a_folder_is_said_to_be_one_and_a_pipe_does_not_wait(system: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with open(tmp_path / "file", "rb", opener=system.open_without_waiting) as file:
        assert file.read() == b"content"
    with pytest.raises(IsADirectoryError), open(tmp_path, "rb", opener=system.open_without_waiting):
        pass
    os.mkfifo(tmp_path / "pipe")
    if system is posix:
        os.close(posix.open_without_waiting(str(tmp_path / "pipe"), os.O_RDONLY))


def test_a_reader_that_has_gone_is_known_and_a_full_disk_is_not(system: ModuleType) -> None:
    assert system.is_closed_pipe(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert not system.is_closed_pipe(OSError(errno.ENOSPC, "No space left on device"))
    assert not system.is_closed_pipe(OSError(errno.EINVAL, "Invalid argument", "a file"))


def test_windows_has_another_number_for_it(windows: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert windows.is_closed_pipe(OSError(errno.EINVAL, "Invalid argument"))
    assert not posix.is_closed_pipe(OSError(errno.EINVAL, "Invalid argument"))


def test_memory_processors_and_lengths_are_known(system: ModuleType, tmp_path: Path) -> None:
    memory = system.available_memory()
    assert memory == BYTES_FREE if system is not posix else memory is None or memory > 2**20
    assert 1 <= system.processors() <= (os.cpu_count() or 1)
    name, path = system.longest_names(tmp_path)
    assert (name, path > name) == (255, True)


def test_long_paths_are_a_setting_of_windows(windows: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert windows.longest_names(Path()) == (255, 260)
    monkeypatch.setattr(windows, "winreg", Registry(LongPathsEnabled=1))
    assert windows.longest_names(Path()) == (255, 32767)


FORBIDDEN = {
    **dict.fromkeys(("con", "NUL.x", "com1"), "device"),
    **{"a:b": "':'", "what?": "'?'", "a\tb": "t'"},
    **dict.fromkeys(("end.", "end "), "dot or space"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_names_that_windows_forbids_are_refused_there_alone(
    windows: ModuleType, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert posix.unusable(name) is None
    reason = windows.unusable(name)
    assert FORBIDDEN[name] in reason
    folder, sample = RunFolder(tmp_path), Sample(Path(name), name, "bad")
    assert listing.unwritable_names(folder, [sample]) == {}
    monkeypatch.setattr(listing, "system", windows)
    refused = listing.unwritable_names(folder, [sample])
    # The results of the last two end in a suffix, with which Windows takes them.
    assert refused == ({} if name[:3] == "end" else {Path(name): f"{reason}; rename it"})


@pytest.mark.parametrize("name", ["console", "com", "com10", "null.png", "größe 日本", ".hidden", "a.b c"])
def test_names_that_windows_takes_are_taken(windows: ModuleType, name: str) -> None:
    assert windows.unusable(name) is None


def test_commands_are_quoted_for_the_shell_of_the_system(windows: ModuleType) -> None:
    words = ["ssimae", "run", "--resume", "my runs/it's"]
    assert windows.command_line(words) == 'ssimae run --resume "my runs/it\'s"'
    typed = f"printf '%s|' {posix.command_line(words[1:])}"
    said = subprocess.run(["sh", "-c", typed], capture_output=True, check=True, text=True).stdout
    assert said == "run|--resume|my runs/it's|"


def test_what_has_no_twin_does_nothing_on_windows(windows: ModuleType) -> None:
    windows.run_in_forks(pytest.fail)
    windows.free_in_forks(threading.Lock())
    windows.let_go(None)
    windows.keep_memory()
    assert not windows.reserve(-1, 1)


def test_a_reader_that_has_gone_ends_the_command_quietly_there_too(
    windows: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def gone(arguments: list[str]) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(dispatch, "_run", gone)
    with pytest.raises(OSError, match="Invalid"):
        dispatch.main(["doctor"])
    monkeypatch.setattr(dispatch, "system", windows)
    monkeypatch.setattr("ssimae.training.interrupt.system.STOPPING", ())
    saved = os.dup(1)
    try:
        assert dispatch.main(["doctor"]) == 141
    finally:
        os.dup2(saved, 1)
        os.close(saved)
    assert capfd.readouterr().err == ""
