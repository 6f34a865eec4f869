"""Files that appear whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

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
    with naming(path):
        handle, name = _begin(path)
        try:
            yield Path(name)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            with suppress(FileNotFoundError):  # a signal may come between the last step and its return
                os.unlink(name)
            raise
        finally:
            os.close(handle)


def _begin(path: Path) -> tuple[int, str]:
    """Return an empty file beside a path, locked, and its name: that of all writes to the path, one after the other.

    So the next write takes what a killed one left. Where another process is writing, the name is a fresh one.
    """
    name = path.with_name(f"{_PREFIX}{sha256(os.fsencode(path.name)).hexdigest()[:8]}{_SUFFIX}")
    try:
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError:
        return tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=_SUFFIX)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Not so once the other process has given the file its own name.
        if os.path.samestat(os.fstat(handle), os.lstat(name)):
            os.ftruncate(handle, 0)
            return handle, str(name)
    except OSError:
        pass
    os.close(handle)
    return tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=_SUFFIX)


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
    handle = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield partial
        if path.exists():
            path.rename(earlier)
        partial.rename(path)
        shutil.rmtree(earlier, ignore_errors=True)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        _sweep_folders(path.parent)
        raise
    finally:
        os.close(handle)


def _sweep_folders(parent: Path) -> None:
    for earlier in parent.glob(f".*{_EARLIER}"):
        path = parent / earlier.name[1 : -len(_EARLIER)]
        shutil.rmtree(earlier) if path.exists() else earlier.rename(path)
    for partial in parent.glob(f".*{_NEW}"):
        handle = os.open(partial, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(partial)
        except BlockingIOError:
            pass  # its process lives
        finally:
            os.close(handle)


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
