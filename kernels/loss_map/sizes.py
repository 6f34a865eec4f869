"""Choose the sizes of programs and scratch planes from the shape of the images and the card."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Card(NamedTuple):
    """The properties of a card that sizes depend on."""

    processors: int
    """Streaming multiprocessors or compute units."""
    warp_size: int
    l2_bytes: int


class PassSize(NamedTuple):
    """Sizes of every pass over a chunk of planes."""

    lines: int
    """Lines that a program blurs: they share the K - 1 further ones that it reads."""
    lanes: int
    """Pixels of a line. They are the threads of one warp, which transposes its lines by shuffles and never waits."""
    planes: int
    """Planes whose scratch exists at a time."""


_MAX_LINES = 16
"""More lines would spill the registers of a thread."""
_WARPS_PER_PROCESSOR = 8
"""Enough to keep a processor busy; with fewer, programs are made smaller."""
_SCRATCH_BYTES_A_PIXEL = 16
_MIN_SCRATCH_PIXELS = 1 << 22
"""With fewer pixels at a time a pass takes no longer than its launch."""


def choose_pass_size(planes: int, height: int, width: int, card: Card) -> PassSize:
    """Return the sizes of the passes over planes (planes, height, width), along either axis."""
    lines, lanes = _MAX_LINES, card.warp_size
    busy = _WARPS_PER_PROCESSOR * card.processors
    while lines > 4 and (planes * _tiles(height, width, lines, lanes) < busy or lines // 2 >= max(height, width)):
        lines //= 2
    fitting = max(_MIN_SCRATCH_PIXELS, card.l2_bytes // (2 * _SCRATCH_BYTES_A_PIXEL)) // (height * width)
    # Chunks of one size: a small last one would leave the card idle.
    chunks = _ceil_div(planes, max(1, fitting))
    return PassSize(lines, lanes, _ceil_div(planes, chunks))


def _ceil_div(total: int, part: int) -> int:
    return -(-total // part)


def _tiles(height: int, width: int, lines: int, lanes: int) -> int:
    return _ceil_div(height, lines) * _ceil_div(width, lanes)


def card_of(device: torch.device) -> Card:
    """Return the card of a device; on the CPU, for the interpreter, one without processors to keep busy."""
    if device.type == "cpu":
        return Card(processors=0, warp_size=32, l2_bytes=0)
    properties = torch.cuda.get_device_properties(device)
    return Card(properties.multi_processor_count, properties.warp_size, properties.L2_cache_size)
