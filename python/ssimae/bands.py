"""Work on images of any size: in bands of rows, with maps of large ones in temporary files instead of memory."""

from __future__ import annotations

import math
import mmap
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ssimae.host import system

LARGE = 2**24
"""Values from which on a map lies in a temporary file."""

BAND = 2**22
"""Values of a map or image that are worked on at a time."""

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True)
class Band:
    """Rows of an image that are computed together."""

    rows: slice
    seen: slice
    """Rows that they depend on: some more on either side, as far as the image goes."""

    @property
    def inner(self) -> slice:
        """Where the rows lie among those that are seen."""
        return slice(self.rows.start - self.seen.start, self.rows.stop - self.seen.start)


def bands(height: int, width: int, *, halo: int = 0, step: int = 1) -> Iterator[Band]:
    """Yield the bands of an image from top to bottom, each as high as :data:`BAND` allows.

    Parameters
    ----------
    height, width : int
    halo : int
        Rows beyond a band, above and below, that it depends on.
    step : int
        What the first row of each band and of what it sees is a multiple of.
    """
    rows = max(band_rows(width) // step, 1) * step
    halo = -(-halo // step) * step
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        yield Band(slice(top, bottom), slice(max(top - halo, 0), min(bottom + halo, height)))


def band_rows(width: int) -> int:
    """Return how many rows of an image are worked on at a time."""
    return max(BAND // width, 1)


def new_map(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return room for a map of a shape (h, w) or (h, w, C), whatever it holds.

    On Linux that of a large image is a temporary file, mapped into memory, which vanishes with the array: the system
    can write back what it keeps of it in memory.

    Raises
    ------
    OSError
        If the folder of temporary files, which ``TMPDIR`` names, has no room for it.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if math.prod(shape) < LARGE:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="ssimae-") as file:
        try:
            # Reserved at once: a page for which there is no room later would end the process.
            reserved = system.reserve(file.fileno(), size)
        except OSError as error:
            raise OSError(
                error.errno,
                f"no room for {size} bytes of a large image's map ({error.strerror}); TMPDIR may name another folder",
                tempfile.gettempdir(),
            ) from error
        if not reserved:
            return np.empty(shape, dtype)
        return np.frombuffer(mmap.mmap(file.fileno(), size), dtype).reshape(shape)


def let_go(*images: object) -> None:
    """Tell the system that what was read or written of maps in files is not needed in memory for now.

    Images and maps that lie elsewhere are passed over.
    """
    for image in images:
        base: Any = image
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, memoryview) and isinstance(base.obj, mmap.mmap):
            system.let_go(base.obj)


def in_bands(
    work: Callable[[Band], NDArray[_Value]], out: NDArray[_Value], *read: object, halo: int = 0, step: int = 1
) -> NDArray[_Value]:
    """Return `out` with what `work` gives for the rows of each band, which it computes from those that are seen.

    Parameters
    ----------
    work : callable
        Returns the rows of a band, (rows, w) or (rows, w, C).
    out : ndarray of shape (h, w) or (h, w, C)
    *read : ndarray or Pixels
        What is read; these and `out` are let go after each band.
    halo, step : int
        As for :func:`bands`.
    """
    for band in bands(out.shape[0], _values_a_row(out, *read), halo=halo, step=step):
        out[band.rows] = work(band)
        let_go(out, *read)
    return out


def _values_a_row(out: NDArray[Any], *read: Any) -> int:
    """Return how many values of what has most of them belong to a row of `out`."""
    most: int = max(math.prod(image.shape) // out.shape[0] for image in (out, *read) if image is not None)
    return most


def extremes(map_: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """Return the lowest and the highest value of a map (h, w)."""
    lows, highs = [], []
    for band in bands(*map_.shape):
        rows = map_[band.rows]
        lows.append(rows.min())
        highs.append(rows.max())
        let_go(map_)
    return min(lows), max(highs)


class Room:
    """Room for so many pixels at once, whatever the number of threads; an image of more has it alone."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until there is room, and hold it."""
        pixels = min(pixels, self._size)
        with self._changed:
            self._changed.wait_for(lambda: pixels <= self._free)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()
