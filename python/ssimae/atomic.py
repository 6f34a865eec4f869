"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX, _SUFFIX = ".", ".partial"
"""Of the names of files that are being written, with eight characters between."""


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
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=_SUFFIX)
        os.close(handle)
        try:
            yield Path(name)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
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


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder and below; only where no other process writes."""
    for path in folder.rglob(f"{_PREFIX}{'?' * 8}{_SUFFIX}"):
        path.unlink()


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file as :func:`write_bytes` does."""
    write_bytes(path, content.encode())
