"""Sums of 1 - SSIM over each plane, and their gradients by the inputs, from one launch of one kernel.

About twelve bytes a pixel cross the memory bus, two images in and one gradient out; no plane is kept between passes. No
atomics, so equal inputs give equal bits.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..loss_map.launch import ssim_loss_map, ssim_loss_map_backward
from ..support import as_planes, compute_dtype, triton_dtype
from .programs import _one_shot_kernel

NUM_WARPS = 4
"""Warps of a program; 32 columns each. Registers let two programs share a multiprocessor."""
_HELD_WITH_EIGHT, _HELD_WITH_FOUR = 80, 126
"""Rows of blurred planes and slopes that fit the registers of a thread in steps of eight and of four rows."""


class LaunchSize(NamedTuple):
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


def cut(
    height: int, width: int, window_size: int, *, block_rows: int, side: int, num_warps: int = NUM_WARPS
) -> LaunchSize:
    """Return the launch size of given blocks for planes (height, width)."""
    columns = 32 * num_warps
    # A strip begins where a thread of a whole plane would: the last column is then at one place in its thread.
    fours = side // 4
    strip_quads = (columns // 4 - (window_size - 1 + 3) // 4) // fours * fours
    strips = 1 + max(0, -(-(width - columns) // (4 * strip_quads)))
    block_rows = -(-block_rows // side) * side
    return LaunchSize(side, block_rows, -(-height // block_rows), strips, strip_quads, num_warps)


def held_rows(window_size: int, gradients: int, masked: bool) -> int:
    """Return how many rows of one pixel a thread holds, of four or five blurred planes and three or four slopes."""
    return (window_size - 1) * (4 + masked + (gradients + 2 if gradients else 0))


def fits(window_size: int, gradients: int, masked: bool) -> bool:
    """Return whether the kernel keeps all it holds in registers: without gradients always, of one up to 19 taps.

    Wider windows would be computed right but slowly, from spilled registers; the kernels of the map serve them.
    """
    return held_rows(window_size, gradients, masked) <= _HELD_WITH_FOUR


@functools.cache
def launch_size(
    planes: int, height: int, width: int, window_size: int, *, processors: int, gradients: int = 1, masked: bool = False
) -> LaunchSize:
    """Return how to cut planes into programs on a card with so many multiprocessors.

    Notes
    -----
    Tall blocks compute fewer rows twice, short ones fill the card: the number of blocks that gives the busiest
    multiprocessor the fewest steps is taken. A lone program on a multiprocessor waits for its loads and barriers with
    nothing else to run, so its steps count half as much again.
    """
    side = 8 if held_rows(window_size, gradients, masked) <= _HELD_WITH_EIGHT else 4

    def cost(size: LaunchSize) -> float:
        programs = planes * size.strips * size.blocks
        steps = -(-(size.block_rows + 2 * (window_size - 1)) // side)
        each = -(-programs // processors)
        return steps * (each + 0.5 * (each % 2))

    most = min(-(-height // side), 256)
    sizes = (
        cut(height, width, window_size, block_rows=-(-height // blocks), side=side) for blocks in range(1, most + 1)
    )
    return min(sizes, key=cost)


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
    """Return the sum over each plane of 1 - SSIM plus an extra term, and the gradients of the total of these sums.

    Parameters
    ----------
    x, y : Tensor of shape (N, C, H, W), float32, bfloat16, float16, or uint8 where no gradient is needed
        Of the same shape, no smaller than the window; types may differ. A byte stands for its value times
        2 * `shift` / 255. On the CPU, under Triton's interpreter, also float64.
    taps : tuple of float
        Weights along one side of the window: K in number, K odd, symmetric, summing to 1; see :func:`fits`.
    c1, c2 : float
    shift : float
        Subtracted from both before moments are taken: half the data range.
    border : {"reflect", "symmetric", "zero", "valid"}
    need_x, need_y : bool
        Which gradients to compute; without any, it is a pure forward pass.
    scale : float
        Factor of the sums.
    weights : Tensor of shape (1, h, w) or (N * C, h, w), or None
        Factors of the map's pixels, extra term included; h, w are H, W, or less K - 1 for the border `valid`.
    mask : Tensor of shape (1, H, W) or (N * C, H, W), at least 0, or None
        Weights of the pixels inside each window; where a window holds none, 1 - SSIM is 0. The extra term is not
        masked. Pixels beyond the border `zero` count with weight 1.
    l1, l2 : float
        Weights of |x - y| and (x - y)^2 in the extra term.

    Returns
    -------
    tuple of Tensor of shape (N, C), float64, and two Tensors of shape (N, C, H, W) or None
        The gradients are contiguous, in the type of x and y.

    Notes
    -----
    Computed in float32; sums of a few rows go on in float64. Each window, border, set of types and options, and width
    modulo the step is compiled once, which takes seconds: let the first call come before a CUDA graph is captured.
    """
    if need_y and not need_x:
        # SSIM is symmetric, so that one kernel serves either.
        sums, grad_y, _ = ssim_loss_sums(
            y, x, taps, c1, c2, shift, border, True, False, scale=scale, weights=weights, mask=mask, l1=l1, l2=l2
        )
        return sums, None, grad_y
    if not fits(len(taps), need_x + need_y, mask is not None):
        return _from_maps(
            x, y, (taps, c1, c2, shift, border), need_y, scale=scale, weights=weights, mask=mask, l1=l1, l2=l2
        )
    height, width = x.shape[2:]
    dtype = compute_dtype(x, y)
    xs, ys = as_planes(x), as_planes(y)
    gradients, masked = int(need_x) + int(need_y), mask is not None
    size = launch_size(
        len(xs), height, width, len(taps),
        processors=_processors(x.device), gradients=gradients, masked=masked,
    )  # fmt: skip
    partial = torch.empty((len(xs), size.blocks * size.strips), dtype=torch.float64, device=x.device)
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device) if need_x else None
    grad_y = torch.empty(y.shape, dtype=y.dtype, device=x.device) if need_y else None
    map_weights = partial if weights is None else as_planes(weights.to(dtype))
    window_mask = partial if mask is None else as_planes(mask.to(dtype))
    constants: dict[str, Any] = {
        "TAPS": taps,
        "BORDER": border,
        "RIM": (width - 1) % size.side,
        "GRADS": gradients,
        "WEIGHTED": weights is not None,
        "MASKED": masked,
        "EXTRA": bool(l1 or l2),
        "SIDE": size.side,
        "LANES": size.columns // size.side,
        "ACC": triton_dtype(dtype),
    }
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        # Asked for by name, fused multiply-add draws no warning about its changing default (Triton 3.9).
        _one_shot_kernel[(partial.numel(),)](
            xs, ys, map_weights, window_mask, partial,
            partial if grad_x is None else grad_x, partial if grad_y is None else grad_y,
            height, width, len(map_weights), len(window_mask),
            size.block_rows, size.blocks, size.strips, size.strip_quads, shift, c1, c2, scale, l1, l2,
            **constants, num_warps=size.num_warps, enable_fp_fusion=True,
        )  # fmt: skip
    return partial.sum(1).mul_(scale).view(x.shape[:2]), grad_x, grad_y


def _from_maps(
    x: Tensor,
    y: Tensor,
    window: tuple[tuple[float, ...], float, float, float, str],
    need_y: bool,
    *,
    scale: float,
    weights: Tensor | None,
    **options: Any,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the same from the map and its gradient, several launches with planes in between."""
    losses = ssim_loss_map(x, y, *window, **options)
    one = losses.new_ones(()) if weights is None else weights
    # One for all planes, or one each.
    each = (one if one.ndim == 0 or len(one) == 1 else one.view(losses.shape)).expand(losses.shape)
    grad_x, grad_y = ssim_loss_map_backward(scale * each, x, y, *window, True, need_y, **options)
    assert grad_x is not None  # It was asked for.
    return scale * (losses * each).sum((2, 3), dtype=torch.float64), grad_x, grad_y


def _processors(device: torch.device) -> int:
    """Return the multiprocessors of a card; 1 for the CPU, where the interpreter runs."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1
