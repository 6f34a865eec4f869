"""Choose how planes are cut into programs, and tell which windows fit the registers of a thread."""

from __future__ import annotations

import functools
from typing import NamedTuple

NUM_WARPS = 4
"""Warps of a program; 32 columns each. Registers let two programs share a multiprocessor."""
_HELD_WITH_EIGHT, _HELD_WITH_FOUR = 80, 126
"""Rows of blurred planes and slopes that fit the registers of a thread in steps of eight and of four rows."""


class ProgramGrid(NamedTuple):
    """How planes are cut into programs."""

    side: int
    """Rows of a step, and neighbouring columns of a thread in horizontal passes: 4 or 8."""
    block_rows: int
    """Rows of a program, a multiple of `side`."""
    blocks: int
    """Programs down a strip."""
    strips: int
    """Strips of columns across a plane; neighbours overlap by twice the radius or a little more."""
    strip_quads: int
    """Fours of columns from a strip to the next."""
    num_warps: int

    @property
    def columns(self) -> int:
        """Columns of a strip."""
        return 32 * self.num_warps


def make_grid(
    height: int, width: int, window_size: int, *, block_rows: int, side: int, num_warps: int = NUM_WARPS
) -> ProgramGrid:
    """Return how planes (height, width) are cut into blocks of so many rows, rounded up to whole steps."""
    columns = 32 * num_warps
    # A strip begins where a thread of a whole plane would: the last column then has one index in its thread.
    fours = side // 4
    strip_quads = (columns // 4 - (window_size - 1 + 3) // 4) // fours * fours
    strips = 1 + max(0, -(-(width - columns) // (4 * strip_quads)))
    block_rows = -(-block_rows // side) * side
    return ProgramGrid(side, block_rows, -(-height // block_rows), strips, strip_quads, num_warps)


def rows_in_registers(window_size: int, gradients: int, masked: bool) -> int:
    """Return how many rows of one pixel a thread holds, of four or five blurred planes and three or four slopes."""
    return (window_size - 1) * (4 + masked + (gradients + 2 if gradients else 0))


def fits_registers(window_size: int, gradients: int, masked: bool) -> bool:
    """Return whether the kernel keeps all it holds in registers: without gradients always, of one up to 19 taps.

    Wider windows would be computed right but slowly, from spilled registers; the kernels of the map serve them.
    """
    return rows_in_registers(window_size, gradients, masked) <= _HELD_WITH_FOUR


@functools.cache
def choose_grid(
    planes: int, height: int, width: int, window_size: int, *, processors: int, gradients: int = 1, masked: bool = False
) -> ProgramGrid:
    """Return how to cut planes into programs on a card with so many multiprocessors.

    Notes
    -----
    Tall blocks compute fewer rows twice, short ones fill the card: the number of blocks that gives the busiest
    multiprocessor the fewest steps is taken. A lone program on a multiprocessor waits for its loads and barriers with
    nothing else to run, so its steps count half as much again.
    """
    side = 8 if rows_in_registers(window_size, gradients, masked) <= _HELD_WITH_EIGHT else 4

    def cost(grid: ProgramGrid) -> float:
        programs = planes * grid.strips * grid.blocks
        steps = -(-(grid.block_rows + 2 * (window_size - 1)) // side)
        each = -(-programs // processors)
        return steps * (each + 0.5 * (each % 2))

    most = min(-(-height // side), 256)
    grids = (
        make_grid(height, width, window_size, block_rows=-(-height // blocks), side=side)
        for blocks in range(1, most + 1)
    )
    return min(grids, key=cost)
