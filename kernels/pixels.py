"""Read pixels for all kernels: borders, bytes as numbers, and differences without rounding where images are equal."""

from __future__ import annotations

from typing import Any

from .support import jit, tl


@jit
def source_index(index: tl.tensor, size: tl.tensor, BORDER: tl.constexpr) -> Any:
    """Return which pixel the border puts at an index; -1 and `size` are the first ones outside."""
    if BORDER == "reflect":
        index = tl.where(index < 0, -index, index)
        index = tl.where(index >= size, 2 * size - 2 - index, index)
    elif BORDER == "symmetric":
        index = tl.where(index < 0, -1 - index, index)
        index = tl.where(index >= size, 2 * size - 1 - index, index)
    return index


@jit
def pixel_values(line: tl.tensor, byte: tl.tensor, ACC: tl.constexpr) -> Any:
    """Return pixels as numbers; bytes are multiples of `byte`."""
    pixels = line.to(ACC)
    if line.dtype == tl.uint8:
        pixels *= byte
    return pixels


@jit
def pixel_difference(x: tl.tensor, y: tl.tensor, byte: tl.tensor, ACC: tl.constexpr) -> Any:
    """Return x - y, exactly 0 where both are equal."""
    if x.dtype == tl.uint8 and y.dtype == tl.uint8:
        # Scaled last: a fused multiply-add would leave the rounding of one product where both are equal.
        return (x.to(ACC) - y.to(ACC)) * byte
    else:
        return pixel_values(x, byte, ACC) - pixel_values(y, byte, ACC)
