"""Blur planes along their slow axis, in registers: the building blocks of the map's kernels.

A program owns `LINES` lines of `LANES` pixels, reads each line that its windows reach once, and keeps the lines as a
tuple. Planes that are blurred along the other axis next are stored transposed.
"""

from __future__ import annotations

from typing import Any

from ..pixels import source_index
from ..support import jit, tl


@jit
def locate_program(length: tl.tensor, width: tl.tensor, LINES: tl.constexpr, LANES: tl.constexpr) -> Any:
    """Return the plane of a program, its first line, and its lanes."""
    # All programs lie on grid axis 0, which alone reaches beyond 65535; neighbours share the lines round their own.
    program = tl.program_id(0)
    down = tl.cdiv(length, LINES)
    across = tl.cdiv(width, LANES)
    first = program % down * LINES
    lanes = program // down % across * LANES + tl.arange(0, LANES)
    # Positions along an axis stay int32, which saves registers; what a line or plane is multiplied with is int64.
    return (program // down // across).to(tl.int64), first, lanes


@jit
def load_lines(
    plane_ptr: tl.tensor,  # (size, width)
    first: tl.tensor,
    size: tl.tensor,
    width: tl.tensor,
    lanes: tl.tensor,  # (LANES,)
    outside: tl.tensor,
    BORDER: tl.constexpr,
    COUNT: tl.constexpr,
    LANES: tl.constexpr,
) -> Any:
    """Return COUNT lines (LANES,) from `first` on, with what the border puts beyond the plane."""
    # One load for each power of two in COUNT: the compiler takes time by the square of the number of loads.
    lines = ()
    for bit in tl.static_range(5, -1, -1):
        if COUNT & (1 << bit):
            index = first + COUNT // (2 << bit) * (2 << bit) + tl.arange(0, 1 << bit)
            line = source_index(index, size, BORDER)
            end = tl.where((line >= 0) & (line < size), width, 0)
            offsets = line.to(tl.int64)[None, :] * width + lanes[:, None]
            tile = tl.load(plane_ptr + offsets, mask=lanes[:, None] < end[None, :], other=outside)
            lines += split_lines(tile, 1 << bit, LANES)
    return lines


@jit
def join_lines(lines: tl.tuple, LINES: tl.constexpr, LANES: tl.constexpr) -> Any:
    """Return lines as the columns of a tile (LANES, LINES)."""
    # Joining adds the last axis: lines half of them apart meet first.
    for _halving in tl.static_range(5):
        if len(lines) > 1:
            joined = ()
            for j in tl.static_range(len(lines) // 2):
                joined += (tl.join(lines[j], lines[j + len(lines) // 2]),)
            lines = joined
    return tl.reshape(lines[0], (LANES, LINES))


@jit
def split_lines(columns: tl.tensor, LINES: tl.constexpr, LANES: tl.constexpr) -> Any:
    """Return the columns of a tile (LANES, LINES) as lines: the inverse of join_lines."""
    parts = (columns,)
    for _halving in tl.static_range(5):
        if len(parts) < LINES:
            even = ()
            odd = ()
            for j in tl.static_range(len(parts)):
                a, b = tl.split(tl.reshape(parts[j], (LANES, LINES // len(parts) // 2, 2)))
                even += (a,)
                odd += (b,)
            parts = even + odd
    lines = ()
    for j in tl.static_range(LINES):
        lines += (tl.reshape(parts[j], (LANES,)),)
    return lines


@jit
def tile_indices(first: tl.tensor, lanes: tl.tensor, LINES: tl.constexpr) -> Any:
    """Return the lanes and the lines of a tile, as indices that broadcast to (LANES, LINES)."""
    return lanes[:, None], first + tl.arange(0, LINES)[None, :]


@jit
def blur_lines(
    lines: tl.tuple,  # LINES + K - 1 of them
    taps: tl.tuple,  # (K,)
    UNIFORM: tl.constexpr,
    LINES: tl.constexpr,
) -> Any:
    """Return LINES weighted sums: sum j weighs the K lines from line j on."""
    K: tl.constexpr = len(taps)
    blurred = ()
    if UNIFORM:
        # Sums over 1, 2, 4.. lines by doubling; those in the binary form of K make up the window.
        sums = lines
        for j in tl.static_range(LINES):
            blurred += (lines[j],)
        for bit in tl.static_range(1, 5):
            if (1 << bit) <= K:
                doubled = ()
                for j in tl.static_range(LINES + K - (1 << bit)):
                    doubled += (sums[j] + sums[j + (1 << (bit - 1))],)
                sums = doubled
                if K & (1 << bit):
                    longer = ()
                    for j in tl.static_range(LINES):
                        longer += (blurred[j] + sums[j + K % (1 << bit)],)
                    blurred = longer
        weighted = ()
        for j in tl.static_range(LINES):
            weighted += (blurred[j] * taps[0],)
        return weighted
    else:
        for j in tl.static_range(LINES):
            total = lines[j] * taps[0]
            for tap in tl.static_range(1, K):
                total += lines[j + tap] * taps[tap]
            blurred += (total,)
        return blurred


@jit
def window_start(first: tl.tensor, taps: tl.tuple, BORDER: tl.constexpr) -> Any:
    """Return the first line that the window of an output line reads."""
    if BORDER != "valid":
        first -= len(taps) // 2
    return first


@jit
def load_blurred(
    plane_ptr: tl.tensor,  # (size, lanes)
    first: tl.tensor,
    size: tl.tensor,
    width: tl.tensor,
    lanes: tl.tensor,
    outside: tl.tensor,
    taps: tl.tuple,
    BORDER: tl.constexpr,
    UNIFORM: tl.constexpr,
    LINES: tl.constexpr,
    LANES: tl.constexpr,
) -> Any:
    """Return LINES lines, blurred across lines."""
    start = window_start(first, taps, BORDER)
    lines = load_lines(plane_ptr, start, size, width, lanes, outside, BORDER, LINES + len(taps) - 1, LANES)
    return blur_lines(lines, taps, UNIFORM, LINES)


@jit
def load_adjoint(
    plane_ptr: tl.tensor,  # (map_size, width)
    first: tl.tensor,
    map_size: tl.tensor,
    width: tl.tensor,
    lanes: tl.tensor,
    taps: tl.tuple,
    BORDER: tl.constexpr,
    UNIFORM: tl.constexpr,
    LINES: tl.constexpr,
    LANES: tl.constexpr,
) -> Any:
    """Return LINES lines under the adjoint of the blur: what pixels receive from the windows that hold them."""
    # The taps are symmetric, so the blur is its own adjoint: for `reflect` if the rim is doubled and halved
    # (slopes_kernel, gradient_kernel), and not for `valid`, where a pixel lies in the windows of the K lines before it.
    if BORDER == "valid":
        lines = load_lines(
            plane_ptr, first - (len(taps) - 1), map_size, width, lanes, 0.0, BORDER, LINES + len(taps) - 1, LANES
        )
        return blur_lines(lines, taps, UNIFORM, LINES)
    else:
        return load_blurred(plane_ptr, first, map_size, width, lanes, 0.0, taps, BORDER, UNIFORM, LINES, LANES)
