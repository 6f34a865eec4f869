"""The kernel for sums of 1 - SSIM together with their gradient: one launch, nothing saved in between.

A program owns 128 columns of a plane and streams down a block of rows, SIDE rows a step. Horizontal passes run on
tiles, vertical passes on columns whose last rows stay in registers (tiles.py has both arrangements). The
gradient follows a window behind.

Mirrors. The window's adjoint at a mirroring border is the window itself, up to factors at the rim: with E halving the
first and last pixel of an axis, the blur K satisfies K^T = E K E^-1 for `reflect` and K^T = K for `symmetric`. Rows
beyond the rim are computed like those inside (the map is mirrored with the images); columns are copied within a thread.
"""

# Tuples grow, and options branch, while the kernel is compiled; Triton knows no starred tuples.
# ruff: noqa: RUF005, PLR0912, PLR0915

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..pixels import pixel_difference, pixel_values, source_index
from ..support import jit, tl
from .tiles import (
    blur_sequence,
    blur_tile,
    gather_neighbours,
    load_tile,
    mirror_columns,
    store_tile,
    take_slice,
    tile_pixels,
    to_columns,
    to_tiles,
)

# Sizes of 1 and multiples of 16 are compiled apart, which takes seconds and gains nothing but for the width.
_ANY_SIZE = ("height", "weights_planes", "mask_planes", "block_rows", "blocks", "strips", "strip_quads")


def _jit_any_size(function: Callable[..., Any]) -> Any:
    return jit(function, do_not_specialize=_ANY_SIZE)


@jit
def _blurred_products(
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    mask_ptr: tl.tensor,
    plane: tl.tensor,
    row: tl.tensor,  # the first of SIDE
    first: tl.tensor,  # (LANES,)
    height: tl.tensor,
    width: tl.tensor,
    mask_plane: tl.tensor,
    shift: tl.tensor,
    unit: tl.tensor,
    TAPS: tl.constexpr,
    BORDER: tl.constexpr,
    RIM: tl.constexpr,
    MASKED: tl.constexpr,
    SIDE: tl.constexpr,
    ACC: tl.constexpr,
) -> Any:
    # SIDE rows (SIDE * LANES,) each of x', d, d^2 and x'y', and of the mask if MASKED, blurred along the rows.
    RADIUS: tl.constexpr = len(TAPS) // 2
    HALO: tl.constexpr = (RADIUS + 3) // 4 * 4
    rows = source_index(row + tl.arange(0, SIDE), height, BORDER)
    row_inside = (rows >= 0) & (rows < height)
    image_rows = plane * height + rows
    mask_rows = mask_plane * height + rows
    begin = first - HALO
    xs = load_tile(x_ptr, image_rows, row_inside, begin, width, 0, SIDE + 2 * HALO, RIM % 4 == 3)
    ys = load_tile(y_ptr, image_rows, row_inside, begin, width, 0, SIDE + 2 * HALO, RIM % 4 == 3)
    xs = mirror_columns(xs, first, width, RADIUS, HALO, SIDE, BORDER, RIM)
    ys = mirror_columns(ys, first, width, RADIUS, HALO, SIDE, BORDER, RIM)
    if MASKED:
        ms = load_tile(mask_ptr, mask_rows, row_inside, begin, width, 1, SIDE + 2 * HALO, RIM % 4 == 3)
        ms = mirror_columns(ms, first, width, RADIUS, HALO, SIDE, BORDER, RIM)
    ux = ()
    du = ()
    dd = ()
    xy = ()
    for index in tl.static_range(SIDE + 2 * HALO):
        # Differences before products: near-equal images lose nothing, and neither does a bright background.
        d = pixel_difference(xs[index], ys[index], unit, ACC)
        x = pixel_values(xs[index], unit, ACC) - shift
        y = pixel_values(ys[index], unit, ACC) - shift
        if MASKED:
            ux = ux + (ms[index] * x,)
            du = du + (ms[index] * d,)
        else:
            ux = ux + (x,)
            du = du + (d,)
        dd = dd + (du[index] * d,)
        xy = xy + (ux[index] * y,)
    tiles = blur_tile(ux, TAPS, HALO, SIDE) + blur_tile(du, TAPS, HALO, SIDE)
    tiles = tiles + blur_tile(dd, TAPS, HALO, SIDE) + blur_tile(xy, TAPS, HALO, SIDE)
    if MASKED:
        tiles = tiles + blur_tile(ms, TAPS, HALO, SIDE)
    return to_columns(tiles, SIDE)


@jit
def _loss_and_slopes(
    ux: tl.tensor,
    du: tl.tensor,
    dd: tl.tensor,
    xy: tl.tensor,
    g: tl.tensor,  # twice the gradient of SSIM
    shift: tl.tensor,
    c1: tl.tensor,
    c2: tl.tensor,
    RADIUS: tl.constexpr,
    GRADS: tl.constexpr,
) -> Any:
    # docs/ssim.md, "The stable form". Two reciprocals; every product of them with a numerator stays in range for a
    # tiny data range.
    uy = ux - du
    mx = ux + shift
    my = uy + shift
    a1 = 2 * mx * my + c1
    b1 = 1 / (a1 + du * du)
    dv = dd - du * du
    a2 = 2 * (xy - ux * uy) + c2
    if RADIUS == 0:
        # A single pixel has no variance, only the rounding of what would cancel.
        dv = tl.zeros_like(dv)
        a2 = tl.zeros_like(dv) + c2
    b2 = 1 / (a2 + dv)
    du_b1 = du * b1
    luminance = du * du_b1
    structure = dv * b2
    loss = luminance + structure - luminance * structure
    slopes = ()
    if GRADS > 0:
        c = g * (a1 * b1) * b2
        if RADIUS == 0:
            c = tl.zeros_like(c)
        e = c * structure
        k_du = g * (a2 * b2) * du_b1
        slopes = (e, c, k_du * ((my * du - a1) * b1) - e * ux + c * du)
        if GRADS > 1:
            slopes = slopes + (k_du * ((mx * du + a1) * b1) - e * uy - c * du,)
    return loss, slopes


@jit
def _store_gradients(
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    weights_ptr: tl.tensor,
    mask_ptr: tl.tensor,
    grad_x_ptr: tl.tensor,
    grad_y_ptr: tl.tensor,
    spread: tl.tuple,  # spread[SIDE * term + row]: tensors (SIDE * LANES,), the slopes through the vertical adjoint
    plane: tl.tensor,
    row: tl.tensor,  # the first of SIDE
    begin: tl.tensor,
    end: tl.tensor,
    lanes: tl.tensor,  # (LANES,)
    first: tl.tensor,  # (LANES,)
    own_begin: tl.tensor,
    own_end: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    weights_plane: tl.tensor,
    mask_plane: tl.tensor,
    shift: tl.tensor,
    unit: tl.tensor,
    scale: tl.tensor,
    l1: tl.tensor,
    l2: tl.tensor,
    TAPS: tl.constexpr,
    BORDER: tl.constexpr,
    RIM: tl.constexpr,
    GRADS: tl.constexpr,
    WEIGHTED: tl.constexpr,
    MASKED: tl.constexpr,
    EXTRA: tl.constexpr,
    SIDE: tl.constexpr,
    ACC: tl.constexpr,
) -> None:
    RADIUS: tl.constexpr = len(TAPS) // 2
    HALO: tl.constexpr = (RADIUS + 3) // 4 * 4
    LOST: tl.constexpr = RADIUS if BORDER == "valid" else 0
    tiles = to_tiles(spread, SIDE)
    blurred = ()
    for term in tl.static_range(GRADS + 2):
        slots = gather_neighbours(take_slice(tiles, SIDE * term, SIDE * term + SIDE), lanes, HALO, RADIUS, SIDE, BORDER)
        slots = mirror_columns(slots, first, width, RADIUS, HALO, SIDE, BORDER, RIM)
        blurred = blurred + blur_tile(slots, TAPS, HALO, SIDE)
    rows = row + tl.arange(0, SIDE)
    row_inside = (rows >= begin) & (rows < end)
    image_rows = plane * height + rows
    xs = tile_pixels(load_tile(x_ptr, image_rows, row_inside, first, width, 0, SIDE, RIM % 4 == 3), unit, ACC)
    ys = tile_pixels(load_tile(y_ptr, image_rows, row_inside, first, width, 0, SIDE, RIM % 4 == 3), unit, ACC)
    if MASKED:
        mask_rows = mask_plane * height + rows
        ms = load_tile(mask_ptr, mask_rows, row_inside, first, width, 0, SIDE, RIM % 4 == 3)
    if EXTRA and WEIGHTED:
        weight_rows = weights_plane * (height - 2 * LOST) + (rows - LOST)
        weights_inside = row_inside & (rows >= LOST) & (rows < height - LOST)
        ws = load_tile(weights_ptr, weight_rows, weights_inside, first - LOST, width - 2 * LOST, 0, SIDE, False)
    grads_x = ()
    grads_y = ()
    map_rows = ((rows >= LOST) & (rows < height - LOST))[:, None]
    row_half = tl.where((rows == 0) | (rows == height - 1), 0.5, 1.0)[:, None]
    for column in tl.static_range(SIDE):
        d = xs[column] - ys[column]
        e, c = blurred[column], blurred[SIDE + column]
        grad_x = (xs[column] - shift) * e - d * c + blurred[2 * SIDE + column]
        if GRADS > 1:
            grad_y = (ys[column] - shift) * e + d * c + blurred[3 * SIDE + column]
        if BORDER == "reflect":
            col = first + column
            half = row_half * tl.where((col == 0) | (col == width - 1), 0.5, 1.0)[None, :]
            grad_x *= half
            if GRADS > 1:
                grad_y *= half
        if MASKED:
            grad_x *= ms[column]
            if GRADS > 1:
                grad_y *= ms[column]
        if EXTRA:
            col = first + column
            on_map = ((col >= LOST) & (col < width - LOST))[None, :] & map_rows
            slope = tl.where(d > 0, l1, tl.where(d < 0, -l1, 0.0)) + 2 * l2 * d
            slope *= tl.where(on_map, scale, 0.0)
            if WEIGHTED:
                slope *= ws[column]
            grad_x += slope
            if GRADS > 1:
                grad_y -= slope
        grads_x = grads_x + (grad_x,)
        if GRADS > 1:
            grads_y = grads_y + (grad_y,)
    store_tile(grad_x_ptr, grads_x, image_rows, row_inside, first, width, own_begin, own_end, RIM % 4 == 3)
    if GRADS > 1:
        store_tile(grad_y_ptr, grads_y, image_rows, row_inside, first, width, own_begin, own_end, RIM % 4 == 3)


@_jit_any_size
def loss_sums_kernel(
    x_ptr: tl.tensor,  # (planes, height, width)
    y_ptr: tl.tensor,  # (planes, height, width)
    weights_ptr: tl.tensor,  # (weights_planes, map_height, map_width), unread unless WEIGHTED
    mask_ptr: tl.tensor,  # (mask_planes, height, width), unread unless MASKED
    partial_ptr: tl.tensor,  # (programs,) float64
    grad_x_ptr: tl.tensor,  # (planes, height, width), untouched unless GRADS
    grad_y_ptr: tl.tensor,  # (planes, height, width), untouched unless GRADS > 1
    height: tl.tensor,
    width: tl.tensor,
    weights_planes: tl.tensor,  # 1, or that of the images
    mask_planes: tl.tensor,
    block_rows: tl.tensor,  # rows of a program
    blocks: tl.tensor,  # programs down a strip
    strips: tl.tensor,
    strip_quads: tl.tensor,  # fours of columns from a strip to the next
    shift: tl.float64,
    c1: tl.float64,
    c2: tl.float64,
    scale: tl.float64,
    l1: tl.float64,
    l2: tl.float64,
    TAPS: tl.constexpr,
    BORDER: tl.constexpr,
    RIM: tl.constexpr,  # (width - 1) % SIDE
    GRADS: tl.constexpr,  # 0, 1 (of x) or 2 (of both)
    WEIGHTED: tl.constexpr,
    MASKED: tl.constexpr,
    EXTRA: tl.constexpr,
    SIDE: tl.constexpr,  # rows of a step, and columns of a lane: 4 or 8
    LANES: tl.constexpr,  # SIDE * LANES columns of a program
    ACC: tl.constexpr,
) -> None:
    """Sum the loss over the pixels that a program owns, and store their gradients."""
    RADIUS: tl.constexpr = len(TAPS) // 2
    HELD: tl.constexpr = 2 * RADIUS
    PLANES: tl.constexpr = 5 if MASKED else 4
    TERMS: tl.constexpr = GRADS + 2 if GRADS > 0 else 0
    LOST: tl.constexpr = RADIUS if BORDER == "valid" else 0
    if RIM % 4 == 3:
        # Tells the compiler that it may load four pixels at a time.
        width = width // 4 * 4
    program = tl.program_id(0)
    plane = (program // (blocks * strips)).to(tl.int64)
    mask_plane = plane % mask_planes
    weights_plane = plane % weights_planes
    begin = program // strips % blocks * block_rows
    end = tl.minimum(begin + block_rows, height)
    strip = program % strips
    strip_step = 4 * strip_quads
    origin = strip * strip_step
    lanes = tl.arange(0, LANES)
    first = origin + SIDE * lanes
    cols = origin + tl.arange(0, SIDE * LANES)
    # Of two strips that overlap, the left one owns the columns up to the radius before its end.
    own_begin = tl.where(strip == 0, 0, origin + (SIDE * LANES - RADIUS - strip_step))
    own_end = tl.where(strip == strips - 1, width, origin + (SIDE * LANES - RADIUS))
    unit = tl.full((), shift * (2 / 255), ACC)
    shift = tl.full((), shift, ACC)
    c1 = tl.full((), c1, ACC)
    c2 = tl.full((), c2, ACC)
    l1 = tl.full((), l1, ACC)
    l2 = tl.full((), l2, ACC)
    scale = tl.full((), scale, ACC)
    on_map = (cols >= LOST) & (cols < width - LOST)
    col_gain = tl.where(on_map, -2 * scale, 0.0)
    if BORDER == "reflect":
        col_gain = tl.where((cols == 0) | (cols == width - 1), 2 * col_gain, col_gain)

    zero = tl.zeros([SIDE * LANES], ACC)
    held = ()  # the last HELD rows of each blurred product
    for _ in tl.static_range(PLANES * HELD):
        held = held + (zero,)
    slopes_held = ()
    for _ in tl.static_range(TERMS * HELD):
        slopes_held = slopes_held + (zero,)
    total = tl.zeros([SIDE * LANES], tl.float64)

    start = begin - 2 * RADIUS
    # Narrow windows hold less than a step; a loop of no rounds would still be compiled, with tuples of other lengths.
    if 2 * RADIUS >= SIDE:
        for _ in range(2 * RADIUS // SIDE):
            new = _blurred_products(
                x_ptr, y_ptr, mask_ptr, plane, start, first, height, width, mask_plane, shift, unit,
                TAPS, BORDER, RIM, MASKED, SIDE, ACC,
            )  # fmt: skip
            kept = ()
            for p in tl.static_range(PLANES):
                kept = (
                    kept
                    + take_slice(held, p * HELD + SIDE, (p + 1) * HELD)
                    + take_slice(new, SIDE * p, SIDE * p + SIDE)
                )
            held = kept
            start += SIDE
    for row in range(start, end + 2 * RADIUS, SIDE):
        new = _blurred_products(
            x_ptr, y_ptr, mask_ptr, plane, row, first, height, width, mask_plane, shift, unit,
            TAPS, BORDER, RIM, MASKED, SIDE, ACC,
        )  # fmt: skip
        moments = ()
        kept = ()
        for p in tl.static_range(PLANES):
            rows = take_slice(held, p * HELD, (p + 1) * HELD) + take_slice(new, SIDE * p, SIDE * p + SIDE)
            moments = moments + blur_sequence(rows, TAPS, SIDE)
            kept = kept + take_slice(rows, SIDE, SIDE + HELD)
        held = kept

        slopes = ()  # slopes[TERMS * row + term]
        step_total = tl.zeros([SIDE * LANES], ACC)
        for j in tl.static_range(SIDE):
            map_row = row + (j - RADIUS)
            gain = col_gain
            real = (map_row >= LOST) & (map_row < height - LOST)
            source = source_index(map_row, height, BORDER)
            if BORDER == "zero" or BORDER == "valid":  # noqa: PLR1714
                gain = tl.where(real, gain, 0.0)
            elif BORDER == "reflect":
                gain = tl.where((map_row == 0) | (map_row == height - 1), 2 * gain, gain)
            # A row that is not on the map counts for nothing; it reads from one that is.
            source = tl.minimum(tl.maximum(source, LOST), height - LOST - 1)
            if WEIGHTED:
                weight_row = weights_plane * (height - 2 * LOST) + (source - LOST)
                offsets = weight_row * (width - 2 * LOST) + (cols - LOST)
                weights = tl.load(weights_ptr + offsets, mask=on_map, other=0.0)
                gain *= weights
            ux, du, dd, xy = moments[j], moments[SIDE + j], moments[2 * SIDE + j], moments[3 * SIDE + j]
            if MASKED:
                seen = moments[4 * SIDE + j]
                inverse = tl.where(seen > 0, 1 / tl.where(seen > 0, seen, 1.0), 0.0)
                ux, du, dd, xy = ux * inverse, du * inverse, dd * inverse, xy * inverse
                gain *= inverse
            loss, new_slopes = _loss_and_slopes(ux, du, dd, xy, gain, shift, c1, c2, RADIUS, GRADS)
            slopes = slopes + new_slopes
            if EXTRA:
                at = (plane * height + source) * width + cols
                x = tl.load(x_ptr + at, mask=on_map, other=0)
                d = pixel_difference(x, tl.load(y_ptr + at, mask=on_map, other=0), unit, ACC)
                loss += l1 * tl.abs(d) + l2 * (d * d)
            if WEIGHTED:
                loss *= weights
            step_total += tl.where((map_row >= begin) & (map_row < end) & real, loss, 0.0)
        # Few rows are summed before the sum goes on in float64.
        total += step_total.to(tl.float64)

        if GRADS > 0:
            spread = ()
            kept = ()
            for term in tl.static_range(TERMS):
                rows = take_slice(slopes_held, term * HELD, (term + 1) * HELD)
                for j in tl.static_range(SIDE):
                    rows = rows + (slopes[TERMS * j + term],)
                spread = spread + blur_sequence(rows, TAPS, SIDE)
                kept = kept + take_slice(rows, SIDE, SIDE + HELD)
            slopes_held = kept
            grad_row = row - 2 * RADIUS
            if grad_row > begin - SIDE:
                _store_gradients(
                    x_ptr, y_ptr, weights_ptr, mask_ptr, grad_x_ptr, grad_y_ptr, spread, plane, grad_row, begin, end,
                    lanes, first, own_begin, own_end, height, width, weights_plane, mask_plane,
                    shift, unit, scale, l1, l2, TAPS, BORDER, RIM, GRADS, WEIGHTED, MASKED, EXTRA, SIDE, ACC,
                )  # fmt: skip
    owned = on_map & (cols >= own_begin) & (cols < own_end)
    tl.store(partial_ptr + program, tl.sum(tl.where(owned, total, 0.0), 0))
