"""What runs on the GPU for sums of 1 - SSIM together with their gradient: one launch, nothing saved in between.

A program owns 128 columns of a plane and streams down a block of rows, four rows a step. Horizontal passes run with four
neighbouring columns in a thread, so that a pixel is loaded once or twice instead of once a tap; vertical passes run with
one column in a thread, whose last rows stay in registers. Tensors change from one arrangement to the other in shared
memory, through :func:`_to_columns` and :func:`_to_rows`.

Mirrors. The window's adjoint at a mirroring border is the window itself, up to factors at the rim: with E halving the
first and last pixel of an axis, the blur K satisfies K^T = E K E^-1 for `reflect` and K^T = K for `symmetric`. Rows
beyond the rim are computed like those inside (the map is mirrored with the images); columns are copied within a thread.
"""

from __future__ import annotations

from typing import Any

from .ssim_programs import _jit, _source, tl

__all__ = ["_one_shot_kernel"]


@_jit
def _split4(tensor: tl.tensor) -> Any:  # (..., 2, 2) -> 4 x (...)
    even, odd = tl.split(tensor)
    t0, t2 = tl.split(even)
    t1, t3 = tl.split(odd)
    return t0, t1, t2, t3


@_jit
def _join4(t0: tl.tensor, t1: tl.tensor, t2: tl.tensor, t3: tl.tensor) -> Any:  # 4 x (...) -> (..., 2, 2)
    return tl.join(tl.join(t0, t2), tl.join(t1, t3))


@_jit
def _to_columns(tiles: tl.tuple, SIDE: tl.constexpr) -> Any:
    # SIDE columns (SIDE, LANES) of each plane -> SIDE rows (SIDE * LANES,): columns[SIDE * plane + row].
    LANES: tl.constexpr = tiles[0].shape[1]
    columns = ()
    for plane in tl.static_range(len(tiles) // SIDE):
        part = _part(tiles, SIDE * plane, SIDE * plane + SIDE)
        if SIDE == 4:
            tensor = _join4(part[0], part[1], part[2], part[3])
        else:
            tensor = tl.join(_join4(part[0], part[2], part[4], part[6]), _join4(part[1], part[3], part[5], part[7]))
        tensor = tl.trans(tl.reshape(tensor, [SIDE, SIDE * LANES]))
        if SIDE == 4:
            columns = columns + _split4(tl.reshape(tensor, [SIDE * LANES, 2, 2]))
        else:
            even, odd = tl.split(tl.reshape(tensor, [SIDE * LANES, 2, 2, 2]))
            columns = columns + _interleaved(_split4(even), _split4(odd))
    return columns


@_jit
def _interleaved(even: tl.tuple, odd: tl.tuple) -> Any:
    return even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]


@_jit
def _to_tiles(columns: tl.tuple, SIDE: tl.constexpr) -> Any:
    # The way back: tiles[SIDE * plane + column].
    LANES: tl.constexpr = columns[0].shape[0] // SIDE
    row = tl.arange(0, SIDE)[:, None]
    tiles = ()
    for plane in tl.static_range(len(columns) // SIDE):
        # Each thread knows its rows when the kernel is compiled: nothing is selected at run time.
        tensor = tl.broadcast_to(columns[SIDE * plane][None, :], [SIDE, SIDE * LANES])
        for index in tl.static_range(1, SIDE):
            tensor = tl.where(row == index, columns[SIDE * plane + index][None, :], tensor)
        if SIDE == 4:
            tiles = tiles + _split4(tl.reshape(tensor, [SIDE, LANES, 2, 2]))
        else:
            even, odd = tl.split(tl.reshape(tensor, [SIDE, LANES, 2, 2, 2]))
            tiles = tiles + _interleaved(_split4(even), _split4(odd))
    return tiles


@_jit
def _load_quad(
    image_ptr: tl.tensor,
    rows: tl.tensor,  # (SIDE,) int64: of all planes
    row_inside: tl.tensor,  # (SIDE,)
    first: tl.tensor,  # (LANES,): the first of four columns
    width: tl.tensor,
    other: tl.constexpr,
) -> Any:
    cols = first[None, :, None] + tl.arange(0, 4)[None, None, :]
    inside = row_inside[:, None, None] & (cols >= 0) & (cols < width)
    tensor = tl.load(image_ptr + rows[:, None, None] * width + cols, mask=inside, other=other)
    return _split4(tl.reshape(tensor, [rows.shape[0], first.shape[0], 2, 2]))


@_jit
def _load_tile(
    image_ptr: tl.tensor,
    rows: tl.tensor,
    row_inside: tl.tensor,
    first: tl.tensor,
    width: tl.tensor,
    other: tl.constexpr,
    SIDE: tl.constexpr,
) -> Any:
    tile = ()
    for column in tl.static_range(0, SIDE, 4):
        tile = tile + _load_quad(image_ptr, rows, row_inside, first + column, width, other)
    return tile


@_jit
def _as_pixels(tensors: tl.tuple, eighth: tl.tensor, ACC: tl.constexpr) -> Any:
    # Bytes stand for multiples of `eighth`, the data range over 255.
    pixels = ()
    for index in tl.static_range(len(tensors)):
        if tensors[index].dtype == tl.uint8:
            pixels = pixels + (tensors[index].to(ACC) * eighth,)
        else:
            pixels = pixels + (tensors[index].to(ACC),)
    return pixels


@_jit
def _mirror(
    slots: tl.tuple,  # SIDE + 2 * HALO tensors (SIDE, LANES): columns -HALO .. SIDE - 1 + HALO from `first`
    first: tl.tensor,  # (LANES,)
    width: tl.tensor,
    RADIUS: tl.constexpr,
    HALO: tl.constexpr,
    SIDE: tl.constexpr,
    BORDER: tl.constexpr,
    RIM: tl.constexpr,  # (width - 1) % SIDE: where in its lane the last column lies
) -> Any:
    # A lane near the rim holds the mirror images of the columns that it misses.
    mirrored: tl.constexpr = BORDER == "reflect" or BORDER == "symmetric"  # noqa: PLR1714 (Triton knows no `in`)
    repeated: tl.constexpr = 1 if BORDER == "symmetric" else 0
    filled = ()
    for index in tl.static_range(SIDE + 2 * HALO):
        slot = slots[index]
        if mirrored:
            # `near`: columns between this lane and that of the rim.
            for near in tl.static_range(0, RADIUS + SIDE, SIDE):
                if index < HALO - near and index >= HALO - RADIUS:
                    image = slots[2 * HALO - 2 * near - repeated - index]
                    slot = tl.where((first == near)[None, :], image, slot)
                if index > HALO + RIM + near and index <= HALO + RADIUS + min(SIDE - 1, RIM + near):
                    image = slots[2 * (HALO + RIM + near) + repeated - index]
                    slot = tl.where((first + (RIM + 1 + near) == width)[None, :], image, slot)
        filled = filled + (slot,)
    return filled


@_jit
def _blur_tile(slots: tl.tuple, TAPS: tl.constexpr, HALO: tl.constexpr, SIDE: tl.constexpr) -> Any:
    # SIDE neighbouring windows along a row.
    RADIUS: tl.constexpr = len(TAPS) // 2
    blurred = ()
    for column in tl.static_range(SIDE):
        total = slots[HALO + column - RADIUS] * TAPS[0]
        for tap in tl.static_range(1, len(TAPS)):
            total += slots[HALO + column - RADIUS + tap] * TAPS[tap]
        blurred = blurred + (total,)
    return blurred


@_jit
def _blur_rows(rows: tl.tuple, TAPS: tl.constexpr, SIDE: tl.constexpr) -> Any:
    # From the last len(TAPS) - 1 rows and the SIDE new ones, SIDE windows along each column.
    blurred = ()
    for row in tl.static_range(SIDE):
        total = rows[row] * TAPS[0]
        for tap in tl.static_range(1, len(TAPS)):
            total += rows[row + tap] * TAPS[tap]
        blurred = blurred + (total,)
    return blurred


@_jit
def _part(tensors: tl.tuple, BEGIN: tl.constexpr, END: tl.constexpr) -> Any:
    part = ()
    for index in tl.static_range(BEGIN, END):
        part = part + (tensors[index],)
    return part


@_jit
def _neighbours(
    tile: tl.tuple,  # SIDE tensors (SIDE, LANES)
    lanes: tl.tensor,  # (LANES,)
    HALO: tl.constexpr,
    RADIUS: tl.constexpr,
    SIDE: tl.constexpr,
    BORDER: tl.constexpr,
) -> Any:
    # The columns of the lanes on both sides; those beyond the strip are 0.
    slots = ()
    for index in tl.static_range(SIDE + 2 * HALO):
        slot = tile[(index - HALO) % SIDE]
        if (index - HALO) // SIDE != 0 and index >= HALO - RADIUS and index < HALO + SIDE + RADIUS:
            wanted = lanes + (index - HALO) // SIDE
            source = tl.minimum(tl.maximum(wanted, 0), lanes.shape[0] - 1)
            slot = tl.gather(slot, tl.broadcast_to(source[None, :], slot.shape), 1)
            if BORDER == "zero" or BORDER == "valid":  # noqa: PLR1714
                slot = tl.where((source == wanted)[None, :], slot, 0.0)
        slots = slots + (slot,)
    return slots


@_jit
def _blurred_products(
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    mask_ptr: tl.tensor,
    plane: tl.tensor,
    row: tl.tensor,  # the first of SIDE
    first: tl.tensor,  # (LANES,)
    height: tl.tensor,
    width: tl.tensor,
    mask_planes: tl.tensor,
    shift: tl.tensor,
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
    rows = _source(row + tl.arange(0, SIDE), height, BORDER)
    row_inside = (rows >= 0) & (rows < height)
    image_rows = plane * height + rows
    mask_rows = (plane % mask_planes) * height + rows
    xs = ()
    ys = ()
    ms = ()
    for group in tl.static_range((SIDE + 2 * HALO) // 4):
        place = first + (4 * group - HALO)
        xs = xs + _load_quad(x_ptr, image_rows, row_inside, place, width, 0)
        ys = ys + _load_quad(y_ptr, image_rows, row_inside, place, width, 0)
        if MASKED:
            ms = ms + _load_quad(mask_ptr, mask_rows, row_inside, place, width, 1)
    eighth = shift * (2 / 255)
    xs = _as_pixels(_mirror(xs, first, width, RADIUS, HALO, SIDE, BORDER, RIM), eighth, ACC)
    ys = _as_pixels(_mirror(ys, first, width, RADIUS, HALO, SIDE, BORDER, RIM), eighth, ACC)
    if MASKED:
        ms = _mirror(ms, first, width, RADIUS, HALO, SIDE, BORDER, RIM)
    ux = ()
    du = ()
    dd = ()
    xy = ()
    for index in tl.static_range(SIDE + 2 * HALO):
        # Differences before products: near-equal images lose nothing, and neither does a bright background.
        d = xs[index] - ys[index]
        x = xs[index] - shift
        y = ys[index] - shift
        if MASKED:
            ux = ux + (ms[index] * x,)
            du = du + (ms[index] * d,)
        else:
            ux = ux + (x,)
            du = du + (d,)
        dd = dd + (du[index] * d,)
        xy = xy + (ux[index] * y,)
    tiles = _blur_tile(ux, TAPS, HALO, SIDE) + _blur_tile(du, TAPS, HALO, SIDE)
    tiles = tiles + _blur_tile(dd, TAPS, HALO, SIDE) + _blur_tile(xy, TAPS, HALO, SIDE)
    if MASKED:
        tiles = tiles + _blur_tile(ms, TAPS, HALO, SIDE)
    return _to_columns(tiles, SIDE)


@_jit
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
    # SSIM.md, 2. Two reciprocals; every product of them with a numerator stays in range for a tiny data range.
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


@_jit
def _extra(d: tl.tensor, l1: tl.tensor, l2: tl.tensor) -> Any:
    return l1 * tl.abs(d) + l2 * (d * d)


@_jit
def _extra_slope(d: tl.tensor, l1: tl.tensor, l2: tl.tensor) -> Any:
    return tl.where(d > 0, l1, tl.where(d < 0, -l1, 0.0)) + 2 * l2 * d


@_jit
def _store_quad(grad_ptr: tl.tensor, offsets: tl.tensor, inside: tl.tensor, quad: tl.tuple) -> None:
    tensor = tl.reshape(_join4(quad[0], quad[1], quad[2], quad[3]), offsets.shape)
    tl.store(grad_ptr + offsets, tensor.to(grad_ptr.dtype.element_ty), mask=inside)


@_jit
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
    weights_planes: tl.tensor,
    mask_planes: tl.tensor,
    shift: tl.tensor,
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
    LANES: tl.constexpr = lanes.shape[0]
    eighth = shift * (2 / 255)
    tiles = _to_tiles(spread, SIDE)
    blurred = ()
    for term in tl.static_range(GRADS + 2):
        slots = _neighbours(_part(tiles, SIDE * term, SIDE * term + SIDE), lanes, HALO, RADIUS, SIDE, BORDER)
        slots = _mirror(slots, first, width, RADIUS, HALO, SIDE, BORDER, RIM)
        blurred = blurred + _blur_tile(slots, TAPS, HALO, SIDE)
    rows = row + tl.arange(0, SIDE)
    row_inside = (rows >= begin) & (rows < end)
    image_rows = plane * height + rows
    xs = _as_pixels(_load_tile(x_ptr, image_rows, row_inside, first, width, 0, SIDE), eighth, ACC)
    ys = _as_pixels(_load_tile(y_ptr, image_rows, row_inside, first, width, 0, SIDE), eighth, ACC)
    if MASKED:
        mask_rows = (plane % mask_planes) * height + rows
        ms = _load_tile(mask_ptr, mask_rows, row_inside, first, width, 0, SIDE)
    if EXTRA:
        if WEIGHTED:
            weight_rows = (plane % weights_planes) * (height - 2 * LOST) + (rows - LOST)
            weights_inside = row_inside & (rows >= LOST) & (rows < height - LOST)
            ws = _load_tile(weights_ptr, weight_rows, weights_inside, first - LOST, width - 2 * LOST, 0, SIDE)
    grads_x = ()
    grads_y = ()
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
            on_quad = ((col >= LOST) & (col < width - LOST))[None, :]
            on_quad = on_quad & ((rows >= LOST) & (rows < height - LOST))[:, None]
            slope = tl.where(on_quad, scale, 0.0) * _extra_slope(d, l1, l2)
            if WEIGHTED:
                slope *= ws[column]
            grad_x += slope
            if GRADS > 1:
                grad_y -= slope
        grads_x = grads_x + (grad_x,)
        if GRADS > 1:
            grads_y = grads_y + (grad_y,)
    for half in tl.static_range(0, SIDE, 4):
        cols = (first + half)[None, :, None] + tl.arange(0, 4)[None, None, :]
        inside = row_inside[:, None, None] & (cols >= own_begin) & (cols < own_end)
        offsets = image_rows[:, None, None] * width + cols
        _store_quad(grad_x_ptr, offsets, inside, _part(grads_x, half, half + 4))
        if GRADS > 1:
            _store_quad(grad_y_ptr, offsets, inside, _part(grads_y, half, half + 4))


@_jit
def _one_shot_kernel(
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
    RADIUS: tl.constexpr = len(TAPS) // 2
    HALO: tl.constexpr = (RADIUS + 3) // 4 * 4
    HELD: tl.constexpr = 2 * RADIUS
    PLANES: tl.constexpr = 5 if MASKED else 4
    TERMS: tl.constexpr = GRADS + 2 if GRADS > 0 else 0
    LOST: tl.constexpr = RADIUS if BORDER == "valid" else 0
    if RIM % 4 == 3:
        # Says to the compiler what lets it load four pixels at a time.
        width = width // 4 * 4
    program = tl.program_id(0)
    plane = (program // (blocks * strips)).to(tl.int64)
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
    shift = tl.cast(shift, ACC)
    c1 = tl.cast(c1, ACC)
    c2 = tl.cast(c2, ACC)
    l1 = tl.cast(l1, ACC)
    l2 = tl.cast(l2, ACC)
    scale = tl.cast(scale, ACC)
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

    row = begin - 2 * RADIUS
    for _ in range(2 * RADIUS // SIDE):
        new = _blurred_products(
            x_ptr, y_ptr, mask_ptr, plane, row, first, height, width, mask_planes, shift,
            TAPS, BORDER, RIM, MASKED, SIDE, ACC,
        )  # fmt: skip
        kept = ()
        for p in tl.static_range(PLANES):
            kept = kept + _part(held, p * HELD + SIDE, (p + 1) * HELD) + _part(new, SIDE * p, SIDE * p + SIDE)
        held = kept
        row += SIDE
    for row in range(row, end + 2 * RADIUS, SIDE):
        new = _blurred_products(
            x_ptr, y_ptr, mask_ptr, plane, row, first, height, width, mask_planes, shift,
            TAPS, BORDER, RIM, MASKED, SIDE, ACC,
        )  # fmt: skip
        moments = ()
        kept = ()
        for p in tl.static_range(PLANES):
            rows = _part(held, p * HELD, (p + 1) * HELD) + _part(new, SIDE * p, SIDE * p + SIDE)
            moments = moments + _blur_rows(rows, TAPS, SIDE)
            kept = kept + _part(rows, SIDE, SIDE + HELD)
        held = kept

        slopes = ()  # slopes[TERMS * row + term]
        step_total = tl.zeros([SIDE * LANES], ACC)
        for j in tl.static_range(SIDE):
            map_row = row + (j - RADIUS)
            gain = col_gain
            real = (map_row >= LOST) & (map_row < height - LOST)
            source = _source(map_row, height, BORDER)
            if BORDER == "zero" or BORDER == "valid":  # noqa: PLR1714
                gain = tl.where(real, gain, 0.0)
            elif BORDER == "reflect":
                gain = tl.where((map_row == 0) | (map_row == height - 1), 2 * gain, gain)
            if WEIGHTED:
                weight_row = (plane % weights_planes) * (height - 2 * LOST) + (source - LOST)
                on_row = on_map & (source >= LOST) & (source < height - LOST)
                weights = tl.load(
                    weights_ptr + weight_row * (width - 2 * LOST) + (cols - LOST), mask=on_row, other=0.0
                )
                gain *= weights
            ux, du, dd, xy = moments[j], moments[SIDE + j], moments[2 * SIDE + j], moments[3 * SIDE + j]
            if MASKED:
                seen = moments[4 * SIDE + j]
                inverse = tl.where(seen > 0, 1 / tl.where(seen > 0, seen, 1.0), 0.0)
                ux *= inverse
                du *= inverse
                dd *= inverse
                xy *= inverse
                gain *= inverse
            loss, new_slopes = _loss_and_slopes(ux, du, dd, xy, gain, shift, c1, c2, RADIUS, GRADS)
            slopes = slopes + new_slopes
            if EXTRA:
                at = (plane * height + map_row) * width + cols
                inside = (map_row >= 0) & (map_row < height) & (cols < width)
                pair = (tl.load(x_ptr + at, mask=inside, other=0), tl.load(y_ptr + at, mask=inside, other=0))
                pair = _as_pixels(pair, shift * (2 / 255), ACC)
                loss += _extra(pair[0] - pair[1], l1, l2)
            if WEIGHTED:
                loss *= weights
            step_total += tl.where((map_row >= begin) & (map_row < end) & real, loss, 0.0)
        # Few rows are summed before the sum goes on in float64.
        total += step_total.to(tl.float64)

        if GRADS > 0:
            spread = ()
            kept = ()
            for term in tl.static_range(TERMS):
                rows = _part(slopes_held, term * HELD, (term + 1) * HELD)
                for j in tl.static_range(SIDE):
                    rows = rows + (slopes[TERMS * j + term],)
                spread = spread + _blur_rows(rows, TAPS, SIDE)
                kept = kept + _part(rows, SIDE, SIDE + HELD)
            slopes_held = kept
            grad_row = row - 2 * RADIUS
            if grad_row > begin - SIDE:
                _store_gradients(
                    x_ptr, y_ptr, weights_ptr, mask_ptr, grad_x_ptr, grad_y_ptr, spread, plane, grad_row, begin, end,
                    lanes, first, own_begin, own_end, height, width, weights_planes, mask_planes, shift, scale, l1, l2,
                    TAPS, BORDER, RIM, GRADS, WEIGHTED, MASKED, EXTRA, SIDE, ACC,
                )  # fmt: skip
    owned = on_map & (cols >= own_begin) & (cols < own_end)
    tl.store(partial_ptr + program, tl.sum(tl.where(owned, total, 0.0), 0))
