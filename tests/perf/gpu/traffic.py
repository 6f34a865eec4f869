"""Bytes that the map kernels move, by their launch sizes; support/kernels/traffic.py compares with real launches."""

from __future__ import annotations

from typing import NamedTuple

from ssimae.kernels.loss_map.sizes import PassSize

ACCUMULATOR_BYTES = 4


class Traffic(NamedTuple):
    """Bytes of one call."""

    distinct: int
    """Every element that a pass reads or writes, once: the DRAM's share if nothing stays in the L2 between passes."""
    scratch: int
    """What of these are scratch planes, which stay in the L2 if it holds a chunk's."""
    requested: int
    """Every element as often as programs ask for it: the L2's share."""

    def __add__(self, other: object) -> Traffic:
        if not isinstance(other, Traffic):
            return NotImplemented
        return Traffic(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def times(self, planes: int) -> Traffic:
        return Traffic(*(planes * part for part in self))


def map_traffic(
    planes: int, height: int, width: int, *, window_size: int, border: str, size: PassSize, image_bytes: int = 4
) -> Traffic:
    """Return what the map takes: vertical pass and horizontal pass."""
    map_height, map_width = _map_size(height, width, window_size, border)
    moved = (
        _windows(2 * image_bytes, map_height, height, width, window_size, border, size, scratch=False)
        + _points(4 * ACCUMULATOR_BYTES * width * map_height, scratch=True)
        + _windows(4 * ACCUMULATOR_BYTES, map_width, width, map_height, window_size, border, size, scratch=True)
        + _points(ACCUMULATOR_BYTES * map_height * map_width, scratch=False)
    )
    return moved.times(planes)


def gradient_traffic(
    planes: int,
    height: int,
    width: int,
    *,
    window_size: int,
    border: str,
    size: PassSize,
    both: bool,
    image_bytes: int = 4,
) -> Traffic:
    """Return what the gradient of one or both inputs takes, given that of the map: four passes."""
    map_height, map_width = _map_size(height, width, window_size, border)
    terms, images = (4, 2) if both else (3, 1)
    adjoint = "zero" if border == "valid" else border
    moved = (
        _windows(2 * image_bytes, map_height, height, width, window_size, border, size, scratch=False)
        + _points(4 * ACCUMULATOR_BYTES * width * map_height, scratch=True)
        + _windows(4 * ACCUMULATOR_BYTES, map_width, width, map_height, window_size, border, size, scratch=True)
        + _points(ACCUMULATOR_BYTES * map_height * map_width, scratch=False)
        + _points(terms * ACCUMULATOR_BYTES * map_height * map_width, scratch=True)
    )
    for length, source, lanes in ((width, map_width, map_height), (height, map_height, width)):
        before = window_size - 1 if border == "valid" else None
        moved += _windows(
            terms * ACCUMULATOR_BYTES, length, source, lanes, window_size, adjoint, size, scratch=True, before=before
        )
    moved += _points(terms * ACCUMULATOR_BYTES * map_height * width, scratch=True)
    moved += _points((2 + images) * image_bytes * height * width, scratch=False)
    return moved.times(planes)


def _map_size(height: int, width: int, window_size: int, border: str) -> tuple[int, int]:
    lost = window_size - 1 if border == "valid" else 0
    return height - lost, width - lost


def _points(size: int, *, scratch: bool) -> Traffic:
    """Return what pixels take that are read or written once, outside of windows."""
    return Traffic(size, size if scratch else 0, size)


def _windows(
    element_bytes: int,
    length: int,
    source: int,
    lanes: int,
    window_size: int,
    border: str,
    size: PassSize,
    *,
    scratch: bool,
    before: int | None = None,
) -> Traffic:
    """Return what programs take that blur `source` lines of `lanes` pixels to `length` lines."""
    if before is None:
        before = 0 if border == "valid" else window_size // 2
    read: set[int] = set()
    asked = 0
    for first in range(0, length, size.lines):
        for line in range(first - before, first - before + size.lines + window_size - 1):
            found = _source(line, source, border)
            if 0 <= found < source:
                asked += 1
                read.add(found)
    distinct = len(read) * lanes * element_bytes
    return Traffic(distinct, distinct if scratch else 0, asked * lanes * element_bytes)


def _source(line: int, size: int, border: str) -> int:
    skipped = {"reflect": 1, "symmetric": 0}.get(border)
    if skipped is None:
        return line
    line = skipped - 1 - line if line < 0 else line
    return 2 * size - 1 - skipped - line if line >= size else line
