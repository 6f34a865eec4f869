"""Launch the kernel for the sums of 1 - SSIM over each plane and their gradients by the inputs.

About twelve bytes a pixel cross the memory bus, two images in and one gradient out; no plane is kept between passes. No
atomics, so equal inputs give equal bits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..loss_map.launch import ssim_loss_map, ssim_loss_map_backward
from ..support import as_planes, compute_dtype, triton_dtype
from .programs import loss_sums_kernel
from .sizes import choose_grid, fits_registers


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
        Weights along one side of the window: K in number, K odd, symmetric, summing to 1. The
        kernels of the map compute windows that do not fit the registers (``sizes.fits_registers``).
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
        # SSIM is symmetric, so one kernel serves either input.
        sums, grad_y, _ = ssim_loss_sums(
            y, x, taps, c1, c2, shift, border, True, False, scale=scale, weights=weights, mask=mask, l1=l1, l2=l2
        )
        return sums, None, grad_y
    if not fits_registers(len(taps), need_x + need_y, mask is not None):
        return _from_maps(
            x, y, (taps, c1, c2, shift, border), need_y, scale=scale, weights=weights, mask=mask, l1=l1, l2=l2
        )
    height, width = x.shape[2:]
    dtype = compute_dtype(x, y)
    xs, ys = as_planes(x), as_planes(y)
    gradients, masked = int(need_x) + int(need_y), mask is not None
    grid = choose_grid(
        len(xs), height, width, len(taps),
        processors=_processors(x.device), gradients=gradients, masked=masked,
    )  # fmt: skip
    partial = torch.empty((len(xs), grid.blocks * grid.strips), dtype=torch.float64, device=x.device)
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device) if need_x else None
    grad_y = torch.empty(y.shape, dtype=y.dtype, device=x.device) if need_y else None
    map_weights = partial if weights is None else as_planes(weights.to(dtype))
    window_mask = partial if mask is None else as_planes(mask.to(dtype))
    constants: dict[str, Any] = {
        "TAPS": taps,
        "BORDER": border,
        "RIM": (width - 1) % grid.side,
        "GRADS": gradients,
        "WEIGHTED": weights is not None,
        "MASKED": masked,
        "EXTRA": bool(l1 or l2),
        "SIDE": grid.side,
        "LANES": grid.columns // grid.side,
        "ACC": triton_dtype(dtype),
    }
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        # Asked for by name, fused multiply-add draws no warning about its changing default (Triton 3.9).
        loss_sums_kernel[(partial.numel(),)](
            xs, ys, map_weights, window_mask, partial,
            partial if grad_x is None else grad_x, partial if grad_y is None else grad_y,
            height, width, len(map_weights), len(window_mask),
            grid.block_rows, grid.blocks, grid.strips, grid.strip_quads, shift, c1, c2, scale, l1, l2,
            **constants, num_warps=grid.num_warps, enable_fp_fusion=True,
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
    """Return the same from the map and its gradient: several launches, with scratch planes between them."""
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
