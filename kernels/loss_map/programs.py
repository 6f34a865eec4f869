"""The kernels of the map of 1 - SSIM and its gradient: separable passes over transposed planes, without atomics."""

from __future__ import annotations

from typing import Any

from ..pixels import pixel_difference, pixel_values
from ..support import jit, tl
from .blur import (
    blur_lines,
    join_lines,
    load_adjoint,
    load_blurred,
    load_lines,
    locate_program,
    tile_indices,
    window_start,
)


@jit
def blur_products_kernel(
    x_ptr: tl.tensor,  # (planes, height, width)
    y_ptr: tl.tensor,  # (planes, height, width)
    mask_ptr: tl.tensor,  # (1 or planes, height, width), unread unless MASKED
    blurred_ptr: tl.tensor,  # (planes, 4 or 5, width, map_height): x', d, d^2, x'y', if MASKED the mask; transposed
    height: tl.tensor,
    width: tl.tensor,
    map_height: tl.tensor,
    mask_step: tl.tensor,  # elements from the mask of a plane to that of the next
    taps: tl.tuple,
    constants: tl.tuple,
    BORDER: tl.constexpr,
    UNIFORM: tl.constexpr,
    MASKED: tl.constexpr,
    ACC: tl.constexpr,
    LINES: tl.constexpr,
    LANES: tl.constexpr,
) -> None:
    """Blur the products of the images, the first half of their moments, along the vertical axis."""
    shift, byte = constants[2], constants[3]
    plane, first, lanes = locate_program(map_height, width, LINES, LANES)
    start = window_start(first, taps, BORDER)
    COUNT: tl.constexpr = LINES + len(taps) - 1
    # Outside, for the border `zero`: black pixels of weight 1.
    xs = load_lines(x_ptr + plane * height * width, start, height, width, lanes, 0, BORDER, COUNT, LANES)
    ys = load_lines(y_ptr + plane * height * width, start, height, width, lanes, 0, BORDER, COUNT, LANES)
    weights = ()
    if MASKED:
        weights = load_lines(mask_ptr + plane * mask_step, start, height, width, lanes, 1, BORDER, COUNT, LANES)
    ux = ()
    du = ()
    dd = ()
    xy = ()
    total = ()
    for j in tl.static_range(COUNT):
        x = pixel_values(xs[j], byte, ACC)
        y = pixel_values(ys[j], byte, ACC)
        # Differences before products: near-equal images lose nothing, and neither does a bright background.
        d = pixel_difference(xs[j], ys[j], byte, ACC)
        x -= shift
        y -= shift
        xw = x
        dw = d
        if MASKED:
            weight = weights[j].to(ACC)
            total += (weight,)
            xw *= weight
            dw *= weight
        ux += (xw,)
        du += (dw,)
        dd += (dw * d,)
        xy += (xw * y,)
    step = tl.cast(map_height, tl.int64) * width
    planes: tl.constexpr = 5 if MASKED else 4
    cols, rows = tile_indices(first, lanes, LINES)
    inside = (rows < map_height) & (cols < width)
    out_ptr = blurred_ptr + plane * planes * step + cols.to(tl.int64) * map_height + rows
    tl.store(out_ptr, join_lines(blur_lines(ux, taps, UNIFORM, LINES), LINES, LANES), mask=inside)
    tl.store(out_ptr + step, join_lines(blur_lines(du, taps, UNIFORM, LINES), LINES, LANES), mask=inside)
    tl.store(out_ptr + 2 * step, join_lines(blur_lines(dd, taps, UNIFORM, LINES), LINES, LANES), mask=inside)
    tl.store(out_ptr + 3 * step, join_lines(blur_lines(xy, taps, UNIFORM, LINES), LINES, LANES), mask=inside)
    if MASKED:
        tl.store(out_ptr + 4 * step, join_lines(blur_lines(total, taps, UNIFORM, LINES), LINES, LANES), mask=inside)


@jit
def _moments(
    blurred_ptr: tl.tensor,  # (planes, 4 or 5, width, map_height)
    plane: tl.tensor,
    first: tl.tensor,
    lanes: tl.tensor,
    width: tl.tensor,
    map_height: tl.tensor,
    taps: tl.tuple,
    shift: tl.tensor,
    BORDER: tl.constexpr,
    UNIFORM: tl.constexpr,
    MASKED: tl.constexpr,
    LINES: tl.constexpr,
    LANES: tl.constexpr,
) -> Any:
    step = tl.cast(map_height, tl.int64) * width
    planes: tl.constexpr = 5 if MASKED else 4
    ptr = blurred_ptr + plane * planes * step
    # Border `zero`: a black pixel is -shift in x', 0 in d, shift^2 in x'y', and its weight is 1.
    ux = load_blurred(ptr, first, width, map_height, lanes, -shift, taps, BORDER, UNIFORM, LINES, LANES)
    du = load_blurred(ptr + step, first, width, map_height, lanes, 0.0, taps, BORDER, UNIFORM, LINES, LANES)
    dd = load_blurred(ptr + 2 * step, first, width, map_height, lanes, 0.0, taps, BORDER, UNIFORM, LINES, LANES)
    xy = load_blurred(
        ptr + 3 * step, first, width, map_height, lanes, shift * shift, taps, BORDER, UNIFORM, LINES, LANES
    )
    total = ux
    if MASKED:
        total = load_blurred(ptr + 4 * step, first, width, map_height, lanes, 1.0, taps, BORDER, UNIFORM, LINES, LANES)
    return ux, du, dd, xy, total


@jit
def _centred(ux: tl.tensor, du: tl.tensor, dd: tl.tensor, xy: tl.tensor, total: tl.tensor, MASKED: tl.constexpr) -> Any:
    # Blurred x' and d, the variance of d, the covariance, and the factor that normalised them.
    inverse = 1.0
    if MASKED:
        # Windows that hold no weight have moments of 0, hence a loss of exactly 0 and no slope.
        inverse = tl.where(total > 0, 1 / tl.where(total > 0, total, 1.0), 0.0)
        ux *= inverse
        du *= inverse
        dd *= inverse
        xy *= inverse
    return ux, du, dd - du * du, xy - ux * (ux - du), inverse


@jit
def loss_kernel(
    blurred_ptr: tl.tensor,  # (planes, 4 or 5, width, map_height)
    x_ptr: tl.tensor,  # (planes, height, width), unread unless EXTRA
    y_ptr: tl.tensor,  # (planes, height, width), unread unless EXTRA
    loss_ptr: tl.tensor,  # (planes, map_height, map_width)
    height: tl.tensor,
    width: tl.tensor,
    map_height: tl.tensor,
    map_width: tl.tensor,
    taps: tl.tuple,
    constants: tl.tuple,
    BORDER: tl.constexpr,
    UNIFORM: tl.constexpr,
    MASKED: tl.constexpr,
    EXTRA: tl.constexpr,
    ACC: tl.constexpr,
    LINES: tl.constexpr,
    LANES: tl.constexpr,
) -> None:
    """Blur the products along the horizontal axis and take the loss from them."""
    c1, c2, shift, byte, l1, l2 = constants
    plane, first, lanes = locate_program(map_width, map_height, LINES, LANES)
    ux, du, dd, xy, total = _moments(
        blurred_ptr, plane, first, lanes, width, map_height, taps, shift, BORDER, UNIFORM, MASKED, LINES, LANES
    )
    # Line by line, so that only the loss is transposed.
    losses = ()
    for j in tl.static_range(LINES):
        mx, d, dv, sxy, _ = _centred(ux[j], du[j], dd[j], xy[j], total[j], MASKED)
        luminance = d * d / (2 * (mx + shift) * (mx - d + shift) + c1 + d * d)
        structure = dv / (2 * sxy + c2 + dv)
        losses += (luminance + structure - luminance * structure,)
    loss = join_lines(losses, LINES, LANES)
    rows, cols = tile_indices(first, lanes, LINES)
    inside = (rows < map_height) & (cols < map_width)
    if EXTRA:
        lost: tl.constexpr = len(taps) // 2 if BORDER == "valid" else 0
        offsets = (plane * height + rows + lost) * width + cols + lost
        x = tl.load(x_ptr + offsets, mask=inside, other=0)
        d = pixel_difference(x, tl.load(y_ptr + offsets, mask=inside, other=0), byte, ACC)
        loss += l1 * tl.abs(d) + l2 * (d * d)
    tl.store(loss_ptr + (plane * map_height + rows) * map_width + cols, loss, mask=inside)


@jit
def _rim(index: tl.tensor, size: tl.tensor, factor: tl.constexpr) -> Any:
    return tl.where(index == 0, factor, tl.where(index == size - 1, factor, 1.0))


@jit
def slopes_kernel(
    grad_ptr: tl.tensor,  # (planes, map_height, map_width)
    blurred_ptr: tl.tensor,  # (planes, 4 or 5, width, map_height)
    slopes_ptr: tl.tensor,  # (planes, 3 or 4, map_width, map_height): g e, g c, mean terms of x and, if BOTH, y
    width: tl.tensor,
    map_height: tl.tensor,
    map_width: tl.tensor,
    taps: tl.tuple,
    constants: tl.tuple,
    BORDER: tl.constexpr,
    UNIFORM: tl.constexpr,
    MASKED: tl.constexpr,
    BOTH: tl.constexpr,
    ACC: tl.constexpr,
    LINES: tl.constexpr,
    LANES: tl.constexpr,
) -> None:
    """Blur the products along the horizontal axis and take the slopes of the loss from them."""
    c1, c2, shift = constants[0], constants[1], constants[2]
    plane, first, lanes = locate_program(map_width, map_height, LINES, LANES)
    ux, du, dd, xy, total = _moments(
        blurred_ptr, plane, first, lanes, width, map_height, taps, shift, BORDER, UNIFORM, MASKED, LINES, LANES
    )
    ux, du, dv, sxy, inverse = _centred(
        join_lines(ux, LINES, LANES), join_lines(du, LINES, LANES), join_lines(dd, LINES, LANES),
        join_lines(xy, LINES, LANES), join_lines(total, LINES, LANES), MASKED,
    )  # fmt: skip
    rows, cols = tile_indices(first, lanes, LINES)
    inside = (rows < map_height) & (cols < map_width)
    offsets = (plane * map_height + rows) * map_width + cols
    # The formulas are those of SSIM; the loss is one minus it.
    g = -tl.load(grad_ptr + offsets, mask=inside, other=0.0).to(ACC)
    if MASKED:
        g *= inverse
    if BORDER == "reflect":
        # A reflected pixel is read from both sides, one on the rim once: the adjoint of the blur is the blur of planes
        # whose rim counts twice, halved on the rim.
        g *= _rim(cols, map_width, 2.0) * _rim(rows, map_height, 2.0)
    uy = ux - du
    a1 = 2 * (ux + shift) * (uy + shift) + c1
    a2 = 2 * sxy + c2
    # Ratios one by one: b2 b1^2 would underflow for a small data range.
    b1 = 1 / (a1 + du * du)
    b2 = 1 / (a2 + dv)
    c = 2 * (a1 * b1) * b2
    e = c * (dv * b2)
    if len(taps) == 1:
        # A single pixel has no variance; the terms that would cancel leave their rounding otherwise.
        c = tl.zeros_like(c)
        e = tl.zeros_like(e)
    k_du = 2 * (a2 * b2) * (du * b1)
    step = tl.cast(map_height, tl.int64) * map_width
    terms: tl.constexpr = 4 if BOTH else 3
    out_ptr = slopes_ptr + plane * terms * step + cols.to(tl.int64) * map_height + rows
    tl.store(out_ptr, g * e, mask=inside)
    tl.store(out_ptr + step, g * c, mask=inside)
    ax = k_du * (((uy + shift) * du - a1) * b1)
    tl.store(out_ptr + 2 * step, g * (ax - e * ux + c * du), mask=inside)
    if BOTH:
        ay = k_du * (((ux + shift) * du + a1) * b1)
        tl.store(out_ptr + 3 * step, g * (ay - e * uy - c * du), mask=inside)


@jit
def spread_kernel(
    slopes_ptr: tl.tensor,  # (planes, map_width, map_height)
    spread_ptr: tl.tensor,  # (planes, map_height, width): the adjoint of the horizontal blur
    width: tl.tensor,
    map_height: tl.tensor,
    map_width: tl.tensor,
    taps: tl.tuple,
    BORDER: tl.constexpr,
    UNIFORM: tl.constexpr,
    LINES: tl.constexpr,
    LANES: tl.constexpr,
) -> None:
    """Apply the adjoint of the horizontal blur to the slopes."""
    plane, first, lanes = locate_program(width, map_height, LINES, LANES)
    plane_ptr = slopes_ptr + plane * map_width * map_height
    spread = join_lines(
        load_adjoint(plane_ptr, first, map_width, map_height, lanes, taps, BORDER, UNIFORM, LINES, LANES), LINES, LANES
    )
    rows, cols = tile_indices(first, lanes, LINES)
    offsets = (plane * map_height + rows) * width + cols
    tl.store(spread_ptr + offsets, spread, mask=(rows < map_height) & (cols < width))


@jit
def gradient_kernel(
    grad_ptr: tl.tensor,  # (planes, map_height, map_width), unread unless EXTRA
    x_ptr: tl.tensor,  # (planes, height, width)
    y_ptr: tl.tensor,  # (planes, height, width)
    mask_ptr: tl.tensor,  # (1 or planes, height, width), unread unless MASKED
    spread_ptr: tl.tensor,  # (planes, 3 or 4, map_height, width)
    grad_x_ptr: tl.tensor,  # (planes, height, width)
    grad_y_ptr: tl.tensor,  # (planes, height, width), untouched unless BOTH
    height: tl.tensor,
    width: tl.tensor,
    map_height: tl.tensor,
    map_width: tl.tensor,
    mask_step: tl.tensor,
    taps: tl.tuple,
    constants: tl.tuple,
    BORDER: tl.constexpr,
    UNIFORM: tl.constexpr,
    MASKED: tl.constexpr,
    EXTRA: tl.constexpr,
    BOTH: tl.constexpr,
    ACC: tl.constexpr,
    LINES: tl.constexpr,
    LANES: tl.constexpr,
) -> None:
    """Apply the adjoint of the vertical blur and put the gradients together."""
    shift, byte, l1, l2 = constants[2], constants[3], constants[4], constants[5]
    plane, first, lanes = locate_program(height, width, LINES, LANES)
    terms: tl.constexpr = 4 if BOTH else 3
    step = tl.cast(map_height, tl.int64) * width
    ptr = spread_ptr + plane * terms * step
    e = join_lines(
        load_adjoint(ptr, first, map_height, width, lanes, taps, BORDER, UNIFORM, LINES, LANES), LINES, LANES
    )
    c = join_lines(
        load_adjoint(ptr + step, first, map_height, width, lanes, taps, BORDER, UNIFORM, LINES, LANES), LINES, LANES
    )
    mean_x = join_lines(
        load_adjoint(ptr + 2 * step, first, map_height, width, lanes, taps, BORDER, UNIFORM, LINES, LANES),
        LINES,
        LANES,
    )
    cols, rows = tile_indices(first, lanes, LINES)
    inside = (rows < height) & (cols < width)
    offsets = (plane * height + rows) * width + cols
    x = tl.load(x_ptr + offsets, mask=inside, other=0)
    y = tl.load(y_ptr + offsets, mask=inside, other=0)
    d = pixel_difference(x, y, byte, ACC)
    x = pixel_values(x, byte, ACC)
    y = pixel_values(y, byte, ACC)
    # Both gradients are multiplied by the weight of the pixel and, for `reflect`, by a half on the rim.
    weight = 1.0
    if MASKED:
        weight = tl.load(mask_ptr + plane * mask_step + rows.to(tl.int64) * width + cols, mask=inside, other=0).to(ACC)
    if BORDER == "reflect":
        weight *= _rim(rows, height, 0.5) * _rim(cols, width, 0.5)
    grad_x = ((x - shift) * e - d * c + mean_x) * weight
    extra = 0.0
    if EXTRA:
        # Pixels that the map of `valid` lacks have no extra term.
        lost: tl.constexpr = len(taps) // 2 if BORDER == "valid" else 0
        rows -= lost
        cols -= lost
        within = (rows >= 0) & (rows < map_height) & (cols >= 0) & (cols < map_width)
        map_offsets = (plane * map_height + rows) * map_width + cols
        g = tl.load(grad_ptr + map_offsets, mask=within, other=0.0).to(ACC)
        sign = (d > 0).to(ACC) - (d < 0).to(ACC)
        extra = g * (l1 * sign + 2 * l2 * d)
        grad_x += extra
    tl.store(grad_x_ptr + offsets, grad_x.to(grad_x_ptr.dtype.element_ty), mask=inside)
    if BOTH:
        mean_y = join_lines(
            load_adjoint(ptr + 3 * step, first, map_height, width, lanes, taps, BORDER, UNIFORM, LINES, LANES),
            LINES,
            LANES,
        )
        grad_y = ((y - shift) * e + d * c + mean_y) * weight
        if EXTRA:
            grad_y -= extra
        tl.store(grad_y_ptr + offsets, grad_y.to(grad_y_ptr.dtype.element_ty), mask=inside)
