"""Sums of 1 - SSIM over each plane, and their gradients by the inputs, from one launch of one kernel.

Twelve bytes a pixel cross the memory bus, two images in and one gradient out, and no plane is kept between passes. No
atomics, so equal inputs give equal bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .one_shot_programs import _one_shot_kernel
from .ssim import _weights_on_device  # noqa: F401
from .ssim_programs import tl

MAX_TAPS = 31


class LaunchSize(NamedTuple):
    """How planes are cut into programs."""

    block_rows: int
    """Rows of a program, a multiple of 4."""
    blocks: int
    """Programs down a strip."""
    strips: int
    """Strips of columns across a plane."""
    strip_quads: int
    """Fours of columns from a strip to the next."""
    side: int
    """Rows of a step, and neighbouring columns in a thread."""
    num_warps: int


def launch_size(planes: int, height: int, width: int, window_size: int, processors: int) -> LaunchSize:
    side = 8 if window_size <= 11 else 4
    columns = 32 * 4
    radius = window_size // 2
    strip_quads = columns // 4 - (2 * radius + 3) // 4
    strips = 1 if width <= columns else 1 + -(-(width - columns) // (4 * strip_quads))
    wanted = max(1, -(-2 * processors // (planes * strips)))
    block_rows = max(-(-height // wanted), 4 * window_size, side)
    blocks = -(-height // block_rows)
    block_rows = (-(-height // blocks) + side - 1) // side * side
    return LaunchSize(block_rows, -(-height // block_rows), strips, strip_quads, side, 4)


def _planes(x: Tensor) -> Tensor:
    return x.reshape(-1, *x.shape[-2:]).contiguous()


def ssim_loss_sums(
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    c1: float,
    c2: float,
    shift: float,
    border: str,
    need_x: bool,
    need_y: bool,
    *,
    scale: float = 1.0,
    weights: Tensor | None = None,
    mask: Tensor | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    if need_y and not need_x:
        # SSIM is symmetric, so that one kernel serves either.
        sums, grad_y, _ = ssim_loss_sums(
            y, x, taps, c1, c2, shift, border, True, False, scale=scale, weights=weights, mask=mask, l1=l1, l2=l2
        )
        return sums, None, grad_y
    height, width = x.shape[2:]
    double = torch.float64 in (x.dtype, y.dtype)
    kind = torch.float64 if double else torch.float32
    xs, ys = _planes(x), _planes(y)
    count = xs.shape[0]
    size = launch_size(count, height, width, len(taps), _processors(x.device))
    programs = size.blocks * size.strips
    partial = torch.empty((count, programs), dtype=torch.float64, device=x.device)
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device) if need_x else None
    grad_y = torch.empty(y.shape, dtype=y.dtype, device=y.device) if need_y else None
    map_weights = partial if weights is None else _planes(weights.to(kind))
    window_mask = partial if mask is None else _planes(mask.to(kind))
    constants: dict[str, Any] = {
        "TAPS": taps,
        "BORDER": border,
        "RIM": (width - 1) % size.side,
        "GRADS": int(need_x) + int(need_y),
        "WEIGHTED": weights is not None,
        "MASKED": mask is not None,
        "EXTRA": bool(l1 or l2),
        "SIDE": size.side,
        "LANES": 32 * size.num_warps // size.side,
        "ACC": tl.float64 if double else tl.float32,
    }
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        _one_shot_kernel[(count * programs,)](
            xs, ys, map_weights, window_mask, partial,
            partial if grad_x is None else grad_x, partial if grad_y is None else grad_y,
            height, width, map_weights.shape[0], window_mask.shape[0],
            size.block_rows, size.blocks, size.strips, size.strip_quads,
            shift, c1, c2, scale, l1, l2,
            **constants, num_warps=size.num_warps, enable_fp_fusion=True,
        )  # fmt: skip
    sums = partial.sum(1).mul_(scale).view(x.shape[:2])
    return sums, grad_x, grad_y


def _processors(device: torch.device) -> int:
    """Return the multiprocessors of a card; one for the CPU, where the interpreter runs."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1
