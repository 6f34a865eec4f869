"""The map of 1 - SSIM and its gradient in Triton: separable passes over tiles, with scratch planes in between.

Forward: a vertical pass blurs the four products of the inputs, a horizontal pass blurs them again and takes the ratio.
Backward: the same two passes up to the weights of the gradient, then their adjoints, vertical and horizontal. Nothing
is kept from the forward pass; no atomics, so equal inputs give equal bits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .ssim_programs import (
    _blur_products_kernel,
    _gradient_kernel,
    _loss_kernel,
    _slopes_kernel,
    _spread_kernel,
    tl,
    triton,
)

_BLOCK_H, _BLOCK_W, _NUM_WARPS = 16, 64, 8
_SCRATCH_PIXELS = 1 << 22
"""Pixels whose scratch planes exist at a time (several images, or one however large): bounds memory, suits the L2."""

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def _launch(kernel: Any, planes: int, height: int, width: int, *arguments: Any, **constants: Any) -> None:
    grid = (planes * triton.cdiv(height, _BLOCK_H) * triton.cdiv(width, _BLOCK_W),)
    # Asked for by name, fused multiply-add draws no warning about its changing default (Triton 3.9).
    kernel[grid](
        *arguments, **constants, BLOCK_H=_BLOCK_H, BLOCK_W=_BLOCK_W, num_warps=_NUM_WARPS, enable_fp_fusion=True
    )


@functools.cache
def _weights_on_device(taps: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    # Kept for good, a few hundred bytes a window: captured CUDA graphs go on reading it, and none could copy it anew.
    return torch.tensor(taps, dtype=dtype, device=device)


def _accumulator(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _constants(x: Tensor, taps: tuple[float, ...], border: str) -> dict[str, Any]:
    accumulator = tl.float64 if x.dtype == torch.float64 else tl.float32
    return {"RADIUS": len(taps) // 2, "BORDER": border, "ACC": accumulator}


def _planes(x: Tensor) -> Tensor:
    return x.reshape(-1, *x.shape[2:]).contiguous()


def _chunks(planes: Tensor) -> Iterator[slice]:
    count = max(1, _SCRATCH_PIXELS // (planes.shape[1] * planes.shape[2]))
    return (slice(first, first + count) for first in range(0, planes.shape[0], count))


def _blur_products(x: Tensor, y: Tensor, map_height: int, weights: Tensor, shift: float, **constants: Any) -> Tensor:
    planes, height, width = x.shape
    blurred = torch.empty((planes, 4, map_height, width), dtype=weights.dtype, device=x.device)
    _launch(
        _blur_products_kernel, planes, map_height, width,
        x, y, blurred, height, width, map_height, weights, shift, **constants,
    )  # fmt: skip
    return blurred


def available(x: Tensor) -> str | None:
    """Return why the kernels cannot serve a tensor, in words, or None if they can.

    Notes
    -----
    They compute in float32. Under Triton's interpreter, which is for tests, they serve tensors on the CPU and float64.
    """
    if triton is None:
        return "triton is not installed"
    if triton.knobs.runtime.interpret:
        return None if x.dtype in (*_DTYPES, torch.float64) else f"needs a floating tensor, got {x.dtype}"
    if x.device.type != "cuda":
        return f"needs a CUDA or ROCm device, got {x.device.type}"
    if x.dtype not in _DTYPES:
        return f"needs float32, bfloat16 or float16, got {x.dtype}"
    capability = torch.cuda.get_device_capability(x.device)
    if torch.version.hip is None and capability < (8, 0):
        return f"needs compute capability 8.0 or higher, got {capability[0]}.{capability[1]}"
    return None


def ssim_loss_map(
    x: Tensor, y: Tensor, taps: tuple[float, ...], c1: float, c2: float, shift: float, border: str
) -> Tensor:
    """Return the map of 1 - SSIM.

    Parameters
    ----------
    x, y : Tensor of shape (N, C, H, W), float32, bfloat16 or float16
        Alike, on a device for which :func:`available` gives None, and no smaller than the window.
    taps : tuple of float
        Weights along one side of the window: K in number, K odd, summing to 1.
    c1, c2 : float
    shift : float
        Subtracted from both before moments are taken: half the data range.
    border : {"reflect", "symmetric", "zero", "valid"}

    Returns
    -------
    Tensor of shape (N, C, h, w), float32 (float64 for float64)
        h, w are H, W, or H - K + 1, W - K + 1 for the border `valid`.

    Notes
    -----
    Each border and window size is compiled once. The first call with given taps also copies them to the device: let it
    come before a CUDA graph is captured.
    """
    lost = len(taps) - 1 if border == "valid" else 0
    width, map_height, map_width = x.shape[3], x.shape[2] - lost, x.shape[3] - lost
    loss = torch.empty((*x.shape[:2], map_height, map_width), dtype=_accumulator(x), device=x.device)
    xs, ys, losses = _planes(x), _planes(y), loss.view(-1, map_height, map_width)
    weights, constants = _weights_on_device(taps, loss.dtype, x.device), _constants(x, taps, border)
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        for chunk in _chunks(xs):
            out = losses[chunk]
            blurred = _blur_products(xs[chunk], ys[chunk], map_height, weights, shift, **constants)
            _launch(
                _loss_kernel, len(out), map_height, map_width,
                blurred, out, width, map_height, map_width, weights, shift, c1, c2, **constants,
            )  # fmt: skip
            del blurred
    return loss


def ssim_loss_map_backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    c1: float,
    c2: float,
    shift: float,
    border: str,
    need_x: bool,
    need_y: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of both inputs, or None for one that is not needed, given that of the map.

    Parameters
    ----------
    grad : Tensor of shape (N, C, h, w), any floating type
        Gradient of the map that :func:`ssim_loss_map` gives for the other parameters.

    Returns
    -------
    tuple of two Tensors of shape (N, C, H, W), or None
        In the type of x and y, contiguous.
    """
    if not need_x:
        # SSIM is symmetric, so that one kernel serves either.
        grad_y = ssim_loss_map_backward(grad, y, x, taps, c1, c2, shift, border, True, False)[0] if need_y else None
        return None, grad_y
    height, width = x.shape[2:]
    map_height, map_width = grad.shape[2:]
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    grad_y = torch.empty(x.shape, dtype=x.dtype, device=x.device) if need_y else grad_x
    grads, xs, ys = _planes(grad), _planes(x), _planes(y)
    grad_xs, grad_ys = grad_x.view(-1, height, width), grad_y.view(-1, height, width)
    weights, constants = _weights_on_device(taps, _accumulator(x), x.device), _constants(x, taps, border)
    terms = 4 if need_y else 3
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        for chunk in _chunks(xs):
            g = grads[chunk]
            blurred = _blur_products(xs[chunk], ys[chunk], map_height, weights, shift, **constants)
            slopes = blurred.new_empty((len(g), terms, map_height, map_width))
            _launch(
                _slopes_kernel, len(g), map_height, map_width,
                g, blurred, slopes, width, map_height, map_width, weights, shift, c1, c2, **constants, BOTH=need_y,
            )  # fmt: skip
            del blurred
            spread = slopes.new_empty((len(g), terms, height, map_width))
            _launch(
                _spread_kernel, len(g) * terms, height, map_width,
                slopes, spread, height, map_height, map_width, weights, **constants,
            )  # fmt: skip
            _launch(
                _gradient_kernel, len(g), height, width,
                xs[chunk], ys[chunk], spread, grad_xs[chunk], grad_ys[chunk], height, width, map_width, weights, shift,
                **constants, BOTH=need_y,
            )  # fmt: skip
            del slopes, spread
    return grad_x, grad_y if need_y else None
