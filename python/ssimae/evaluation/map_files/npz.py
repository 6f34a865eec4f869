"""Read a map from NumPy's ``.npz`` archives."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ssimae.errors import in_short
from ssimae.images.npy import npy_head, read_npy
from ssimae.images.pixels import DEFLATED
from ssimae.reading import open_regular

_NAMES = ("anomaly_map", "anomaly_maps", "map", "arr_0")
"""What the map is called where an archive holds several arrays; the first that is there."""


def read_npz(path: Path) -> NDArray[Any]:
    """Return the map of an archive: its only array, or the one that is called so.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or does not say which array is the map; the message names it.
    """
    with _opened(path) as (stored, size):
        return read_npy(stored, size)


def npz_head(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the map of an archive; raises as :func:`read_npz`."""
    with _opened(path) as (stored, size):
        return npy_head(stored, size)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Yield the array of an archive that is the map, and its size in bytes."""
    with open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                member = _map_in(archive)
                if member.file_size > DEFLATED * os.fstat(file.fileno()).st_size:
                    raise ValueError(f"{member.filename} announces {member.file_size} bytes")
                with archive.open(member) as stored:
                    yield stored, member.file_size
        # What zipfile raises for damaged archives.
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
            raise ValueError(f"{path}: not a readable .npz archive of a map ({in_short(error)})") from error


def _map_in(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
    if len(members) == 1:
        return next(iter(members.values()))
    found = [members[name] for name in _NAMES if name in members]
    if not found:
        raise ValueError(f"holds {', '.join(members) or 'nothing'}, and none is called {_NAMES[0]}")
    return found[0]
