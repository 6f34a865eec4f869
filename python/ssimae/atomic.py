"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from ssimae.host import system

_PREFIX, _SUFFIX = ".", ".partial"
_PARTIAL = f"{_PREFIX}{'?' * 8}{_SUFFIX}"
"""Of the names of files that are being written, with eight characters between."""


_NEW, _EARLIER = ".ssimae-new", ".ssimae-earlier"
"""Behind the names of folders that are being written, and of those that they take the place of."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that its name never shows half a content, not even after a power loss.

    Raises
    ------
    OSError
        If the folder cannot be written; what stood under the name stays.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a file beside `path` to write to, and to make durable; it takes the name if all goes well.

    Raises
    ------
    OSError
        If the folder cannot be written, or is full; it names `path`.
    """
    # All writes to the path share a name, one after the other: so the next write takes what a killed one left.
    shared = path.with_name(f"{_PREFIX}{sha256(os.fsencode(path.name)).hexdigest()[:8]}{_SUFFIX}")
    with naming(path), system.partial_file(shared) as partial:
        try:
            yield partial
            os.chmod(partial, 0o644)
            system.replace(partial, path)
        except BaseException:
            with suppress(FileNotFoundError):  # a signal may come between the last step and its return
                os.unlink(partial)
            raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name a file in the errors of the operating system: a disk that is full names none, and ours is a hidden one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` to write to; if all goes well, it takes the place of what is there.

    What killed processes left of such folders beside it is removed, or put back in its place, first.

    Raises
    ------
    OSError
        If the folder above cannot be written, or another process is writing this one.
    """
    _sweep_folders(path.parent)
    partial, earlier = path.with_name(f".{path.name}{_NEW}"), path.with_name(f".{path.name}{_EARLIER}")
    try:
        partial.mkdir()
    except FileExistsError as error:
        raise BlockingIOError(f"{path}: another command is writing here") from error
    try:
        with system.held_folder(partial):
            yield partial
            if path.exists():
                path.rename(earlier)
            partial.rename(path)
            shutil.rmtree(earlier, ignore_errors=True)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        _sweep_folders(path.parent)
        raise


def _sweep_folders(parent: Path) -> None:
    for earlier in parent.glob(f".*{_EARLIER}"):
        path = parent / earlier.name[1 : -len(_EARLIER)]
        shutil.rmtree(earlier) if path.exists() else earlier.rename(path)
    for partial in parent.glob(f".*{_NEW}"):
        with suppress(BlockingIOError), system.held_folder(partial):  # that of a process that lives stays
            shutil.rmtree(partial)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder and below; only where no other process writes."""
    for path in folder.rglob(_PARTIAL):
        path.unlink()


def is_partial(path: Path) -> bool:
    """Return whether a file has the name of one that is being written, or that a killed process left."""
    return path.match(_PARTIAL)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file as :func:`write_bytes` does."""
    write_bytes(path, content.encode())
