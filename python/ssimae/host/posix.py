"""Ask Linux or macOS for what each system does in its own way."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# mypy, which looks at the package for Windows, too, passes over the rest there.
assert sys.platform != "win32"

STOPPING = signal.SIGINT, signal.SIGTERM
"""Signals that ask a command to end: Ctrl-C, and what `kill` and a shutdown send."""

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def is_closed_pipe(error: OSError) -> bool:
    """Return whether an error says that whoever read the output has gone, as `head` does."""
    return isinstance(error, BrokenPipeError)


def lock(file: int) -> None:
    """Hold an open file against other processes, until it is closed or the process ends.

    Raises
    ------
    BlockingIOError
        If another one holds it.
    """
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes for a while; it may be renamed or removed meanwhile.

    Raises
    ------
    BlockingIOError
        If another one holds it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        lock(handle)
        yield
    finally:
        os.close(handle)


@contextmanager
def partial_file(name: Path) -> Iterator[Path]:
    """Yield an empty file of a name, held, to be written and renamed: so a write takes what a killed one left.

    Where another process holds it, or something else stands there, the file has a fresh name with the same suffix.
    """
    handle, own = _begin(name)
    try:
        yield own
    finally:
        os.close(handle)


def _begin(name: Path) -> tuple[int, Path]:
    try:
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError:
        return _fresh(name)
    try:
        lock(handle)
        # Not so once the other process has given the file its own name.
        if os.path.samestat(os.fstat(handle), os.lstat(name)):
            os.ftruncate(handle, 0)
            return handle, name
    except OSError:
        pass
    os.close(handle)
    return _fresh(name)


def _fresh(name: Path) -> tuple[int, Path]:
    handle, fresh = tempfile.mkstemp(dir=name.parent, prefix=".", suffix=name.suffix)
    return handle, Path(fresh)


def replace(partial: Path, path: Path) -> None:
    """Give a file the name of another, which vanishes, in one step."""
    os.replace(partial, path)


def open_without_waiting(name: str, flags: int) -> int:
    """Open a file as :func:`open` asks for it, but no pipe that waits for its other end: an `opener`."""
    return os.open(name, flags | os.O_NONBLOCK)


def run_in_forks(call: Callable[[], object]) -> None:
    """Have every process that is forked from this one run a call first."""
    os.register_at_fork(after_in_child=call)


def free_in_forks(held: threading.Lock) -> None:
    """Let every process that is forked from this one find a lock free: it has no thread that would let go of it."""
    os.register_at_fork(before=held.acquire, after_in_parent=held.release, after_in_child=held.release)


def reserve(file: int, size: int) -> bool:
    """Reserve room on the disk for an open file; return False where the system cannot.

    Raises
    ------
    OSError
        If there is no room.
    """
    if sys.platform != "linux":
        return False
    os.posix_fallocate(file, 0, size)
    return True


def let_go(mapped: mmap.mmap) -> None:
    """Tell the system that what was read or written of a mapped file is not needed in memory for now."""
    mapped.madvise(mmap.MADV_DONTNEED)


def keep_memory() -> None:
    """Have the C library keep memory that is freed, instead of handing it back to the system each time."""
    if sys.platform == "linux":
        try:
            libc = ctypes.CDLL("libc.so.6")
        except OSError:  # another C library (musl): it has its own allocator and no mallopt
            return
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def available_memory() -> int | None:
    """Return the bytes of memory that a process here can have without swapping; None where the system does not say."""
    limits = []
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        limits.append(1024 * int(lines["MemAvailable"].split()[0]))
    except (OSError, ValueError, KeyError):
        return None
    # A container may have less than the machine.
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(limit).read_text()))
        except (OSError, ValueError):  # no such limit, or `max`
            continue
    return min(limits)


def processors() -> int:
    """Return on how many processors this process may run."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def longest_names(folder: Path) -> tuple[int, int]:
    """Return how many bytes a name in a folder may have, and how many a path below it must stay short of."""
    return os.pathconf(folder, "PC_NAME_MAX"), os.pathconf(folder, "PC_PATH_MAX")


def unusable(name: str) -> str | None:
    """Return why no file or folder can have a name, or None if it can; its length is another matter."""
    return None


def command_line(words: Iterable[str]) -> str:
    """Return a command as one can type it in a shell."""
    return shlex.join(words)
