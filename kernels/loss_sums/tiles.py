"""Arrange the same pixels among threads in two ways: for loads and horizontal passes, and for vertical passes.

Tiles: SIDE tensors (SIDE, LANES), of which tensor `i` holds column `i` of each lane, so that a thread holds SIDE
neighbours of one row, and a horizontal window is arithmetic between its registers. Columns: SIDE tensors
(SIDE * LANES,), one for each row, so that a thread holds SIDE neighbours of one column. The way between them is through
shared memory.
"""

# Tuples grow while the kernel is compiled; Triton knows no starred tuples.
# ruff: noqa: RUF005

from __future__ import annotations

from typing import Any

from ..support import jit, tl


@jit
def _split4(tensor: tl.tensor) -> Any:  # (..., 2, 2) -> 4 x (...)
    even, odd = tl.split(tensor)
    t0, t2 = tl.split(even)
    t1, t3 = tl.split(odd)
    return t0, t1, t2, t3


@jit
def _join4(t0: tl.tensor, t1: tl.tensor, t2: tl.tensor, t3: tl.tensor) -> Any:  # 4 x (...) -> (..., 2, 2)
    return tl.join(tl.join(t0, t2), tl.join(t1, t3))


@jit
def to_columns(tiles: tl.tuple, SIDE: tl.constexpr) -> Any:
    """Return SIDE rows (SIDE * LANES,) of each plane, `[SIDE * plane + row]`, from its SIDE columns (SIDE, LANES)."""
    LANES: tl.constexpr = tiles[0].shape[1]
    columns = ()
    for plane in tl.static_range(len(tiles) // SIDE):
        part = take_slice(tiles, SIDE * plane, SIDE * plane + SIDE)
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


@jit
def _interleaved(even: tl.tuple, odd: tl.tuple) -> Any:
    return even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]


@jit
def to_tiles(columns: tl.tuple, SIDE: tl.constexpr) -> Any:
    """Return SIDE columns (SIDE, LANES) of each plane, `[SIDE * plane + column]`: the inverse of to_columns."""
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


@jit
def load_tile(
    image_ptr: tl.tensor,
    rows: tl.tensor,  # (SIDE,) int64: of all planes
    row_inside: tl.tensor,  # (SIDE,)
    first: tl.tensor,  # (LANES,): the first column of each lane
    width: tl.tensor,
    other: tl.constexpr,
    COLUMNS: tl.constexpr,  # a multiple of 4
    ALIGNED: tl.constexpr,
) -> Any:
    """Return COLUMNS columns (SIDE, LANES) of an image; `other` beyond it."""
    tile = ()
    if ALIGNED:
        for column in tl.static_range(0, COLUMNS, 4):
            cols = (first + column)[None, :, None] + tl.arange(0, 4)[None, None, :]
            inside = row_inside[:, None, None] & (cols >= 0) & (cols < width)
            quad = tl.load(image_ptr + (rows[:, None, None] * width + cols), mask=inside, other=other)
            tile = tile + _split4(tl.reshape(quad, [rows.shape[0], first.shape[0], 2, 2]))
    else:
        # Fours that straddle what the memory loads at once would first be put together in shared memory.
        for column in tl.static_range(COLUMNS):
            cols = (first + column)[None, :]
            inside = row_inside[:, None] & (cols >= 0) & (cols < width)
            tile = tile + (tl.load(image_ptr + (rows[:, None] * width + cols), mask=inside, other=other),)
    return tile


@jit
def store_tile(
    image_ptr: tl.tensor,
    tile: tl.tuple,  # SIDE tensors (SIDE, LANES)
    rows: tl.tensor,  # (SIDE,) int64: of all planes
    row_inside: tl.tensor,  # (SIDE,)
    first: tl.tensor,  # (LANES,)
    width: tl.tensor,
    begin: tl.tensor,
    end: tl.tensor,  # columns begin .. end - 1 are stored
    ALIGNED: tl.constexpr,
) -> None:
    """Store the columns of a tile that lie between `begin` and `end`."""
    if ALIGNED:
        for column in tl.static_range(0, len(tile), 4):
            cols = (first + column)[None, :, None] + tl.arange(0, 4)[None, None, :]
            inside = row_inside[:, None, None] & (cols >= begin) & (cols < end)
            quad = tl.reshape(
                _join4(tile[column], tile[column + 1], tile[column + 2], tile[column + 3]),
                [rows.shape[0], first.shape[0], 4],
            )
            quad = quad.to(image_ptr.dtype.element_ty)
            tl.store(image_ptr + (rows[:, None, None] * width + cols), quad, mask=inside)
    else:
        for column in tl.static_range(len(tile)):
            cols = (first + column)[None, :]
            inside = row_inside[:, None] & (cols >= begin) & (cols < end)
            value = tile[column].to(image_ptr.dtype.element_ty)
            tl.store(image_ptr + (rows[:, None] * width + cols), value, mask=inside)


@jit
def tile_pixels(tensors: tl.tuple, unit: tl.tensor, ACC: tl.constexpr) -> Any:
    """Return pixels as numbers; bytes are multiples of `unit`, the data range over 255."""
    pixels = ()
    for index in tl.static_range(len(tensors)):
        if tensors[index].dtype == tl.uint8:
            pixels = pixels + (tensors[index].to(ACC) * unit,)
        else:
            pixels = pixels + (tensors[index].to(ACC),)
    return pixels


@jit
def mirror_columns(
    slots: tl.tuple,  # SIDE + 2 * HALO tensors (SIDE, LANES): columns -HALO .. SIDE - 1 + HALO from `first`
    first: tl.tensor,  # (LANES,)
    width: tl.tensor,
    RADIUS: tl.constexpr,
    HALO: tl.constexpr,
    SIDE: tl.constexpr,
    BORDER: tl.constexpr,
    RIM: tl.constexpr,  # (width - 1) % SIDE: where in its lane the last column lies
) -> Any:
    """Return the columns of a tile, mirrored where a lane near the rim reaches beyond it."""
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


@jit
def blur_sequence(line: tl.tuple, TAPS: tl.constexpr, COUNT: tl.constexpr) -> Any:
    """Return the COUNT windows along a sequence of COUNT + len(TAPS) - 1 tensors."""
    blurred = ()
    if TAPS[0] == TAPS[len(TAPS) // 2]:
        # Uniform: sums of 1, 2, 4 ... neighbours by doubling, and of those the ones that make up the window.
        sums = line
        blurred = take_slice(line, 0, COUNT)
        for bit in tl.static_range(1, 5):
            if len(TAPS) >= 1 << bit:
                doubled = ()
                for index in tl.static_range(len(sums) - (1 << bit) // 2):
                    doubled = doubled + (sums[index] + sums[index + (1 << bit) // 2],)
                sums = doubled
            if (len(TAPS) >> bit) % 2 == 1:
                joined = ()
                for index in tl.static_range(COUNT):
                    joined = joined + (blurred[index] + sums[index + len(TAPS) % (1 << bit)],)
                blurred = joined
        joined = ()
        for index in tl.static_range(COUNT):
            joined = joined + (blurred[index] * TAPS[0],)
        blurred = joined
    else:
        for index in tl.static_range(COUNT):
            total = line[index] * TAPS[0]
            for tap in tl.static_range(1, len(TAPS)):
                total += line[index + tap] * TAPS[tap]
            blurred = blurred + (total,)
    return blurred


@jit
def blur_tile(slots: tl.tuple, TAPS: tl.constexpr, HALO: tl.constexpr, SIDE: tl.constexpr) -> Any:
    """Return SIDE neighbouring windows along a row, from the columns of mirror_columns."""
    begin: tl.constexpr = HALO - len(TAPS) // 2
    return blur_sequence(take_slice(slots, begin, begin + SIDE + len(TAPS) - 1), TAPS, SIDE)


@jit
def take_slice(tensors: tl.tuple, BEGIN: tl.constexpr, END: tl.constexpr) -> Any:
    """Return the tensors BEGIN .. END - 1 of a tuple."""
    part = ()
    for index in tl.static_range(BEGIN, END):
        part = part + (tensors[index],)
    return part


@jit
def gather_neighbours(
    tile: tl.tuple,  # SIDE tensors (SIDE, LANES)
    lanes: tl.tensor,  # (LANES,)
    HALO: tl.constexpr,
    RADIUS: tl.constexpr,
    SIDE: tl.constexpr,
    BORDER: tl.constexpr,
) -> Any:
    """Return a tile with HALO columns of the neighbouring lanes on both sides, 0 beyond the strip."""
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
