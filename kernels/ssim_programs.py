"""What runs on the GPU for 1 - SSIM and its gradient: one program a tile, separable passes, no atomics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import triton
    import triton.language as tl
except ImportError:  # The kernels below then stay plain functions that nobody calls.
    triton = tl = None

__all__ = [
    "_blur_products_kernel",
    "_gradient_kernel",
    "_loss_kernel",
    "_slopes_kernel",
    "_spread_kernel",
    "tl",
    "triton",
]


def _jit(function: Callable[..., Any]) -> Any:
    return function if triton is None else triton.jit(function)


@_jit
def _tile(height: tl.tensor, width: tl.tensor, BLOCK_H: tl.constexpr, BLOCK_W: tl.constexpr) -> Any:
    # All programs lie on grid axis 0, which alone reaches beyond 65535; neighbours share their halo in the L2.
    program = tl.program_id(0)
    across = tl.cdiv(width, BLOCK_W)
    down = tl.cdiv(height, BLOCK_H)
    rows = program // across % down * BLOCK_H + tl.arange(0, BLOCK_H)[:, None]
    cols = program % across * BLOCK_W + tl.arange(0, BLOCK_W)[None, :]
    # Positions along an axis stay int32, which saves registers; what a row or plane is multiplied with is int64.
    return (program // (across * down)).to(tl.int64), rows, cols


@_jit
def _source(index: tl.tensor, size: tl.tensor, BORDER: tl.constexpr) -> Any:
    # The pixel that the border puts at an index: -1 and size are the first ones outside.
    if BORDER == "reflect":
        index = tl.where(index < 0, -index, index)
        index = tl.where(index >= size, 2 * size - 2 - index, index)
    elif BORDER == "symmetric":
        index = tl.where(index < 0, -1 - index, index)
        index = tl.where(index >= size, 2 * size - 1 - index, index)
    return index


@_jit
def _blur_adjoint(
    line_ptr: tl.tensor,  # the pixel 0 of each line of the map, a line running along the blurred axis
    line_inside: tl.tensor,
    pixels: tl.tensor,  # indices into the image along that axis
    size: tl.tensor,
    map_size: tl.tensor,
    stride: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> Any:
    # A pixel gathers from every map pixel whose window reads it: as itself (image 0), as its mirror image below 0
    # (image -1) and as the one beyond the end (image 1). Only tiles near a mirror look for the latter two.
    mirrored: tl.constexpr = BORDER == "reflect" or BORDER == "symmetric"  # noqa: PLR1714 (Triton knows no `in`)
    skipped: tl.constexpr = 1 if BORDER == "reflect" else 0
    begin = 0
    end = 1
    if mirrored:
        begin = tl.where(tl.min(pixels) <= RADIUS, -1, 0)
        end = tl.where(tl.max(pixels) + RADIUS >= size - 1, 2, 1)
    total = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    for image in range(begin, end):
        where = pixels
        if BORDER == "valid":
            where = pixels - RADIUS
        exists = pixels < size
        if mirrored:
            above = 2 * size - 1 - skipped - pixels
            where = tl.where(image < 0, skipped - 1 - pixels, tl.where(image > 0, above, pixels))
            exists = exists & tl.where(image < 0, where < 0, tl.where(image > 0, where >= size, True))
        for tap in range(2 * RADIUS + 1):
            reader = where + (RADIUS - tap)
            inside = line_inside & exists & (reader >= 0) & (reader < map_size)
            weight = tl.load(taps_ptr + tap)
            total += weight * tl.load(line_ptr + reader.to(tl.int64) * stride, mask=inside, other=0.0)
    return total


@_jit
def _moments(
    blurred_ptr: tl.tensor,  # (planes, 4, map_height, width)
    plane: tl.tensor,
    rows: tl.tensor,
    cols: tl.tensor,
    width: tl.tensor,
    map_height: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    shift: tl.tensor,
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> Any:
    step = tl.cast(map_height, tl.int64) * width
    row_ptr = blurred_ptr + plane * 4 * step + rows.to(tl.int64) * width
    first = cols if BORDER == "valid" else cols - RADIUS
    ux = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    du = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    dd = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    xy = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    for tap in range(2 * RADIUS + 1):
        source = _source(first + tap, width, BORDER)
        inside = (rows < map_height) & (source >= 0) & (source < width)
        source_ptr = row_ptr + source
        weight = tl.load(taps_ptr + tap)
        # Border `zero`: a black pixel is -shift in x', 0 in d, shift^2 in x'y'.
        ux += weight * tl.load(source_ptr, mask=inside, other=-shift)
        du += weight * tl.load(source_ptr + step, mask=inside, other=0.0)
        dd += weight * tl.load(source_ptr + 2 * step, mask=inside, other=0.0)
        xy += weight * tl.load(source_ptr + 3 * step, mask=inside, other=shift * shift)
    return ux, du, dd - du * du, xy - ux * (ux - du)


@_jit
def _blur_products_kernel(
    x_ptr: tl.tensor,  # (planes, height, width)
    y_ptr: tl.tensor,  # (planes, height, width)
    blurred_ptr: tl.tensor,  # (planes, 4, map_height, width): x', d, d^2 and x'y', blurred vertically
    height: tl.tensor,
    width: tl.tensor,
    map_height: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    shift: tl.float64,
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    plane, rows, cols = _tile(map_height, width, BLOCK_H, BLOCK_W)
    shift = tl.full([1, 1], shift, ACC)
    first = rows if BORDER == "valid" else rows - RADIUS
    ux = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    du = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    dd = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    xy = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    for tap in range(2 * RADIUS + 1):
        source = _source(first + tap, height, BORDER)
        inside = (source >= 0) & (source < height) & (cols < width)
        offsets = (plane * height + source) * width + cols
        x = tl.load(x_ptr + offsets, mask=inside, other=0.0).to(ACC)
        y = tl.load(y_ptr + offsets, mask=inside, other=0.0).to(ACC)
        # Differences before products: near-equal images lose nothing, and neither does a bright background.
        d = x - y
        x -= shift
        y -= shift
        weight = tl.load(taps_ptr + tap)
        ux += weight * x
        du += weight * d
        dd += weight * (d * d)
        xy += weight * (x * y)
    inside = (rows < map_height) & (cols < width)
    step = tl.cast(map_height, tl.int64) * width
    out_ptr = blurred_ptr + plane * 4 * step + rows.to(tl.int64) * width + cols
    tl.store(out_ptr, ux, mask=inside)
    tl.store(out_ptr + step, du, mask=inside)
    tl.store(out_ptr + 2 * step, dd, mask=inside)
    tl.store(out_ptr + 3 * step, xy, mask=inside)


@_jit
def _loss_kernel(
    blurred_ptr: tl.tensor,  # (planes, 4, map_height, width)
    loss_ptr: tl.tensor,  # (planes, map_height, map_width)
    width: tl.tensor,
    map_height: tl.tensor,
    map_width: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    shift: tl.float64,
    c1: tl.float64,
    c2: tl.float64,
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    plane, rows, cols = _tile(map_height, map_width, BLOCK_H, BLOCK_W)
    shift = tl.full([1, 1], shift, ACC)
    c1 = tl.full([1, 1], c1, ACC)
    c2 = tl.full([1, 1], c2, ACC)
    ux, du, dv, sxy = _moments(
        blurred_ptr, plane, rows, cols, width, map_height, taps_ptr, shift, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W
    )
    luminance = du * du / (2 * (ux + shift) * (ux - du + shift) + c1 + du * du)
    structure = dv / (2 * sxy + c2 + dv)
    loss = luminance + structure - luminance * structure
    offsets = (plane * map_height + rows) * map_width + cols
    tl.store(loss_ptr + offsets, loss, mask=(rows < map_height) & (cols < map_width))


@_jit
def _slopes_kernel(
    grad_ptr: tl.tensor,  # (planes, map_height, map_width)
    blurred_ptr: tl.tensor,  # (planes, 4, map_height, width)
    slopes_ptr: tl.tensor,  # (planes, 3 or 4, map_height, map_width): g e, g c, mean terms of x and, if BOTH, y
    width: tl.tensor,
    map_height: tl.tensor,
    map_width: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    shift: tl.float64,
    c1: tl.float64,
    c2: tl.float64,
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    BOTH: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    plane, rows, cols = _tile(map_height, map_width, BLOCK_H, BLOCK_W)
    shift = tl.full([1, 1], shift, ACC)
    c1 = tl.full([1, 1], c1, ACC)
    c2 = tl.full([1, 1], c2, ACC)
    ux, du, dv, sxy = _moments(
        blurred_ptr, plane, rows, cols, width, map_height, taps_ptr, shift, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W
    )
    inside = (rows < map_height) & (cols < map_width)
    offsets = (plane * map_height + rows) * map_width + cols
    # The formulas are those of SSIM; the loss is one minus it.
    g = -tl.load(grad_ptr + offsets, mask=inside, other=0.0).to(ACC)
    uy = ux - du
    a1 = 2 * (ux + shift) * (uy + shift) + c1
    b1 = a1 + du * du
    a2 = 2 * sxy + c2
    b2 = a2 + dv
    c = 2 * (a1 / b1) / b2
    e = c * (dv / b2)
    if RADIUS == 0:
        # A single pixel has no variance; the terms that would cancel leave their rounding otherwise.
        c = tl.zeros_like(c)
        e = tl.zeros_like(e)
    # Ratios one by one: b2 b1^2 would underflow for a small data range.
    k_du = 2 * (a2 / b2) * (du / b1)
    TERMS: tl.constexpr = 4 if BOTH else 3
    step = tl.cast(map_height, tl.int64) * map_width
    out_ptr = slopes_ptr + plane * TERMS * step + rows.to(tl.int64) * map_width + cols
    tl.store(out_ptr, g * e, mask=inside)
    tl.store(out_ptr + step, g * c, mask=inside)
    ax = k_du * (((uy + shift) * du - a1) / b1)
    tl.store(out_ptr + 2 * step, g * (ax - e * ux + c * du), mask=inside)
    if BOTH:
        ay = k_du * (((ux + shift) * du + a1) / b1)
        tl.store(out_ptr + 3 * step, g * (ay - e * uy - c * du), mask=inside)


@_jit
def _spread_kernel(
    slopes_ptr: tl.tensor,  # (planes, map_height, map_width)
    spread_ptr: tl.tensor,  # (planes, height, map_width): the adjoint of the vertical blur
    height: tl.tensor,
    map_height: tl.tensor,
    map_width: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    plane, rows, cols = _tile(height, map_width, BLOCK_H, BLOCK_W)
    inside = cols < map_width
    total = _blur_adjoint(
        slopes_ptr + plane * map_height * map_width + cols, inside, rows, height, map_height, map_width,
        taps_ptr, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W,
    )  # fmt: skip
    tl.store(spread_ptr + (plane * height + rows) * map_width + cols, total, mask=(rows < height) & inside)


@_jit
def _gradient_kernel(
    x_ptr: tl.tensor,  # (planes, height, width)
    y_ptr: tl.tensor,  # (planes, height, width)
    spread_ptr: tl.tensor,  # (planes, 3 or 4, height, map_width)
    grad_x_ptr: tl.tensor,  # (planes, height, width)
    grad_y_ptr: tl.tensor,  # (planes, height, width), untouched unless BOTH
    height: tl.tensor,
    width: tl.tensor,
    map_width: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    shift: tl.float64,
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    BOTH: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    plane, rows, cols = _tile(height, width, BLOCK_H, BLOCK_W)
    shift = tl.full([1, 1], shift, ACC)
    inside = (rows < height) & (cols < width)
    offsets = (plane * height + rows) * width + cols
    x = tl.load(x_ptr + offsets, mask=inside, other=0.0).to(ACC)
    y = tl.load(y_ptr + offsets, mask=inside, other=0.0).to(ACC)
    TERMS: tl.constexpr = 4 if BOTH else 3
    step = tl.cast(height, tl.int64) * map_width
    row_ptr = spread_ptr + plane * TERMS * step + rows.to(tl.int64) * map_width
    row_inside = rows < height
    e = _blur_adjoint(
        row_ptr, row_inside, cols, width, map_width, 1,
        taps_ptr, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W,
    )  # fmt: skip
    c = _blur_adjoint(
        row_ptr + step, row_inside, cols, width, map_width, 1,
        taps_ptr, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W,
    )  # fmt: skip
    mean = _blur_adjoint(
        row_ptr + 2 * step, row_inside, cols, width, map_width, 1,
        taps_ptr, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W,
    )  # fmt: skip
    grad_x = (x - shift) * e - (x - y) * c + mean
    tl.store(grad_x_ptr + offsets, grad_x.to(grad_x_ptr.dtype.element_ty), mask=inside)
    if BOTH:
        mean = _blur_adjoint(
            row_ptr + 3 * step, row_inside, cols, width, map_width, 1,
            taps_ptr, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W,
        )  # fmt: skip
        grad_y = (y - shift) * e + (x - y) * c + mean
        tl.store(grad_y_ptr + offsets, grad_y.to(grad_y_ptr.dtype.element_ty), mask=inside)
