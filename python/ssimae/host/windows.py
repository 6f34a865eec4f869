"""Ask Windows for what each system does in its own way; see :mod:`ssimae.host.posix`, which has the same names."""

from __future__ import annotations

import ctypes
import errno
import mmap
import msvcrt
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import winreg
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

STOPPING = signal.SIGINT, signal.SIGTERM, signal.SIGBREAK
"""Signals that ask a command to end: Ctrl-C, one that a program raises in itself, and Ctrl-Break or a closed window."""

_LOCKED_BYTE = 2**30
"""Position of the byte that stands for a file: what is locked cannot be read, so it lies behind all that is."""

_WAITS_S = 0.01, 0.05, 0.2, 0.7
"""Waits before a file is renamed again: scanners for viruses hold a new one open for a moment."""

_LONGEST_NAME, _LONGEST_PATH, _LONGEST_PATH_ENABLED = 255, 260, 32767
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\s*[.:].*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def is_closed_pipe(error: OSError) -> bool:
    """Return whether an error says that whoever read the output has gone, for which Windows has two numbers."""
    return isinstance(error, BrokenPipeError) or (error.errno == errno.EINVAL and error.filename is None)


def lock(file: int) -> None:
    """Hold an open file against other processes, until it is closed or the process ends.

    Raises
    ------
    BlockingIOError
        If another one holds it.
    """
    position = os.lseek(file, 0, os.SEEK_CUR)
    os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    except PermissionError as error:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    finally:
        os.lseek(file, position, os.SEEK_SET)


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes for a while; it may be renamed or removed meanwhile.

    Folders cannot be locked, and one in which a file is open cannot be renamed: a file beside it is held, which
    vanishes with the process.

    Raises
    ------
    BlockingIOError
        If another one holds it.
    """
    name = folder.with_name(f"{folder.name}.lock")
    handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_BINARY | os.O_NOINHERIT | os.O_TEMPORARY)
    try:
        lock(handle)
        yield
    finally:
        os.close(handle)


@contextmanager
def partial_file(name: Path) -> Iterator[Path]:
    """Yield an empty file with a fresh name and the suffix of `name`: one that is held open cannot be renamed."""
    handle, fresh = tempfile.mkstemp(dir=name.parent, prefix=".", suffix=name.suffix)
    os.close(handle)
    yield Path(fresh)


def replace(partial: Path, path: Path) -> None:
    """Give a file the name of another, which vanishes, in one step.

    Raises
    ------
    OSError
        If the other is open in a program that does not let it go.
    """
    for wait in _WAITS_S:
        try:
            return os.replace(partial, path)
        except PermissionError:
            time.sleep(wait)
    return os.replace(partial, path)


def open_without_waiting(name: str, flags: int) -> int:
    """Open a file as :func:`open` asks for it: an `opener`.

    Raises
    ------
    IsADirectoryError
        For a folder, to which Windows says no more than that access is denied.
    """
    if os.path.isdir(name):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    return os.open(name, flags)


def run_in_forks(call: Callable[[], object]) -> None:
    """Do nothing: no process forks here."""


def free_in_forks(held: threading.Lock) -> None:
    """Do nothing: no process forks here."""


def reserve(file: int, size: int) -> bool:
    """Return False: large maps stay in memory, which the system backs with its own file."""
    return False


def let_go(mapped: mmap.mmap) -> None:
    """Do nothing: the system takes what is mapped out of memory by itself."""


def keep_memory() -> None:
    """Do nothing: the C library keeps what is freed."""


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of sysinfoapi.h."""

    _fields_ = [
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        *((name, ctypes.c_uint64) for name in ("physical", "available", "pagefile", "free_pagefile")),
        *((name, ctypes.c_uint64) for name in ("virtual", "free_virtual", "free_extended_virtual")),
    ]


def available_memory() -> int | None:
    """Return the bytes of memory that a process here can have without swapping; None where the system does not say."""
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.available)


def processors() -> int:
    """Return how many processors there are."""
    return os.cpu_count() or 1


def longest_names(folder: Path) -> tuple[int, int]:
    """Return how long a name in a folder may be, and how long a path must not be: it depends on a setting of Windows.

    Windows counts characters. The bytes of a name that is not ASCII are more, so no name is taken that is too long.
    """
    key = r"SYSTEM\CurrentControlSet\Control\FileSystem"
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as values:
            enabled, _ = winreg.QueryValueEx(values, "LongPathsEnabled")
    except OSError:
        enabled = 0
    return _LONGEST_NAME, _LONGEST_PATH_ENABLED if enabled else _LONGEST_PATH


def unusable(name: str) -> str | None:
    """Return why no file or folder can have a name, or None if it can; its length is another matter."""
    if found := _FORBIDDEN.search(name):
        return f"Windows forbids {found[0]!r} in names"
    if name.endswith((".", " ")):
        return "Windows drops a dot or space at the end of names"
    if _RESERVED.fullmatch(name):
        return "Windows gives this name to a device"
    return None


def command_line(words: Iterable[str]) -> str:
    """Return a command as one can type it in a shell: cmd and PowerShell know double quotes."""
    return subprocess.list2cmdline(list(words))
