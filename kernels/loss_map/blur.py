"""Blurs along the slow axis of planes, in registers: the pieces that the map kernels are made of.

A program owns `LINES` lines of `LANES` pixels, reads each line that its windows reach once, and keeps the lines as a
tuple. What shall be blurred along the other axis next is stored turned, lines for columns.
"""

from __future__ import annotations

from typing import Any

from ..pixels import _source
from ..support import jit, tl


@jit
def _place(length: tl.tensor, width: tl.tensor, LINES: tl.constexpr, LANES: tl.constexpr) -> Any:
    # All programs lie on grid axis 0, which alone reaches beyond 65535; neighbours share the lines round their own.
    program = tl.program_id(0)
    down = tl.cdiv(length, LINES)
    across = tl.cdiv(width, LANES)
    first = program % down * LINES
    lanes = program // down % across * LANES + tl.arange(0, LANES)
    # Positions along an axis stay int32, which saves registers; what a line or plane is multiplied with is int64.
    return (program // down // across).to(tl.int64), first, lanes


@jit
def _load_lines(
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
    # One load for each power of two in COUNT: the compiler takes time by the square of the number of loads.
    lines = ()
    for bit in tl.static_range(5, -1, -1):
        if COUNT & (1 << bit):
            index = first + COUNT // (2 << bit) * (2 << bit) + tl.arange(0, 1 << bit)
            line = _source(index, size, BORDER)
            end = tl.where((line >= 0) & (line < size), width, 0)
            offsets = line.to(tl.int64)[None, :] * width + lanes[:, None]
            tile = tl.load(plane_ptr + offsets, mask=lanes[:, None] < end[None, :], other=outside)
            lines += _split(tile, 1 << bit, LANES)
    return lines


@jit
def _joined(lines: tl.tuple, LINES: tl.constexpr, LANES: tl.constexpr) -> Any:
    # Lines as the columns of a tile, (LANES, LINES). Joining adds the last axis: lines half of them apart meet first.
    for _halving in tl.static_range(5):
        if len(lines) > 1:
            joined = ()
            for j in tl.static_range(len(lines) // 2):
                joined += (tl.join(lines[j], lines[j + len(lines) // 2]),)
            lines = joined
    return tl.reshape(lines[0], (LANES, LINES))


@jit
def _split(columns: tl.tensor, LINES: tl.constexpr, LANES: tl.constexpr) -> Any:
    # The inverse of _joined.
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
def _columns(first: tl.tensor, lanes: tl.tensor, LINES: tl.constexpr) -> Any:
    return lanes[:, None], first + tl.arange(0, LINES)[None, :]


@jit
def _blur(
    lines: tl.tuple,  # LINES + K - 1 of them
    taps: tl.tuple,  # (K,)
    UNIFORM: tl.constexpr,
    LINES: tl.constexpr,
) -> Any:
    # Each of LINES outputs weighs K lines, the first of them its own number.
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
def _start(first: tl.tensor, taps: tl.tuple, BORDER: tl.constexpr) -> Any:
    # The first line that the window of an output line reads.
    if BORDER != "valid":
        first -= len(taps) // 2
    return first


@jit
def _load_blurred(
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
    start = _start(first, taps, BORDER)
    lines = _load_lines(plane_ptr, start, size, width, lanes, outside, BORDER, LINES + len(taps) - 1, LANES)
    return _blur(lines, taps, UNIFORM, LINES)


@jit
def _load_adjoint(
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
    # The taps are symmetric: but for `valid`, where a pixel lies in the windows of the K before it, the blur is its own
    # adjoint, if the rim is doubled and halved for the border `reflect` (_slopes_kernel, _gradient_kernel).
    if BORDER == "valid":
        lines = _load_lines(
            plane_ptr, first - (len(taps) - 1), map_size, width, lanes, 0.0, BORDER, LINES + len(taps) - 1, LANES
        )
        return _blur(lines, taps, UNIFORM, LINES)
    else:
        return _load_blurred(plane_ptr, first, map_size, width, lanes, 0.0, taps, BORDER, UNIFORM, LINES, LANES)
