"""Reading pixels, as all kernels do it: borders, bytes as numbers, and differences that lose nothing."""

from __future__ import annotations

from typing import Any

from .support import jit, tl


@jit
def _source(index: tl.tensor, size: tl.tensor, BORDER: tl.constexpr) -> Any:
    # The pixel that the border puts at an index: -1 and size are the first ones outside.
    if BORDER == "reflect":
        index = tl.where(index < 0, -index, index)
        index = tl.where(index >= size, 2 * size - 2 - index, index)
    elif BORDER == "symmetric":
        index = tl.where(index < 0, -1 - index, index)
        index = tl.where(index >= size, 2 * size - 1 - index, index)
    return index


@jit
def _pixels(line: tl.tensor, byte: tl.tensor, ACC: tl.constexpr) -> Any:
    pixels = line.to(ACC)
    if line.dtype == tl.uint8:
        pixels *= byte
    return pixels


@jit
def _difference(x: tl.tensor, y: tl.tensor, byte: tl.tensor, ACC: tl.constexpr) -> Any:
    if x.dtype == tl.uint8 and y.dtype == tl.uint8:
        # Scaled last: a fused multiply-add would leave the rounding of one product where both are equal.
        return (x.to(ACC) - y.to(ACC)) * byte
    else:
        return _pixels(x, byte, ACC) - _pixels(y, byte, ACC)
