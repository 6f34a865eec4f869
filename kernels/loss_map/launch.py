"""Launch the kernels for the map of 1 - SSIM and its gradient: separable passes, with scratch planes in between.

Forward: a vertical pass blurs the products of the inputs, a horizontal pass blurs them again and takes the ratio.
Backward: the same two passes up to the weights of the gradient, then their adjoints, horizontal and vertical. Nothing
is kept from the forward pass; no atomics, so equal inputs give equal bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..support import as_planes, compute_dtype, triton, triton_dtype
from .programs import blur_products_kernel, gradient_kernel, loss_kernel, slopes_kernel, spread_kernel
from .sizes import card_of, choose_pass_size


def ssim_loss_map(
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    c1: float,
    c2: float,
    shift: float,
    border: str,
    *,
    mask: Tensor | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
) -> Tensor:
    """Return the map of 1 - SSIM, plus l1 |x - y| + l2 (x - y)^2.

    Parameters
    ----------
    x, y : Tensor of shape (N, C, H, W), float32, bfloat16, float16 or uint8
        On a device for which ``support.available`` gives None for both, no smaller than the window. Their types may
        differ; uint8 stands for its value times 2 `shift` / 255.
    taps : tuple of float
        Weights along one side of the window: K in number, K odd, symmetric, summing to 1.
    c1, c2 : float
    shift : float
        Subtracted from both before moments are taken: half the data range.
    border : {"reflect", "symmetric", "zero", "valid"}
    mask : Tensor of shape (1, H, W) or (N * C, H, W), at least 0, or None
        Weights of the pixels inside each window: the moments are normalised by them, and the map is 0 where a window
        holds none. Outside pixels of the border `zero` have weight 1.
    l1, l2 : float
        Weights of the extra terms, which the mask leaves alone.

    Returns
    -------
    Tensor of shape (N, C, h, w), float32 (float64 if x or y is)
        h, w are H, W, or H - K + 1, W - K + 1 for the border `valid`.

    Notes
    -----
    Each border, window size and combination of types and options is compiled once.
    """
    arguments = _arguments(x, y, taps, (c1, c2, shift), (l1, l2), border, mask)
    map_size = (arguments["map_height"], arguments["map_width"])
    loss = torch.empty((*x.shape[:2], *map_size), dtype=compute_dtype(x, y), device=x.device)
    arguments |= {"loss_ptr": loss.view(-1, *map_size)}
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        for chunk in _chunks(arguments):
            blurred = _blur_products(chunk)
            _launch(loss_kernel, len(blurred), map_size[::-1], chunk | {"blurred_ptr": blurred})
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
    *,
    mask: Tensor | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of both inputs, or None for one that is not needed, given that of the map.

    Parameters
    ----------
    grad : Tensor of shape (N, C, h, w), any floating type
        Gradient of the map that :func:`ssim_loss_map` gives for the other parameters.

    Returns
    -------
    tuple of two Tensors of shape (N, C, H, W), or None
        Each in the type of its input, contiguous; None for uint8, which has no gradient.
    """
    need_x, need_y = need_x and x.is_floating_point(), need_y and y.is_floating_point()
    if not need_x:
        if not need_y:
            return None, None
        # The loss is symmetric, so one kernel serves either input.
        grad_y = ssim_loss_map_backward(
            grad, y, x, taps, c1, c2, shift, border, True, False, mask=mask, l1=l1, l2=l2
        )[0]  # fmt: skip
        return None, grad_y
    arguments = _arguments(x, y, taps, (c1, c2, shift), (l1, l2), border, mask)
    (height, width), (map_height, map_width) = x.shape[2:], grad.shape[2:]
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    grad_y = torch.empty(y.shape, dtype=y.dtype, device=y.device) if need_y else grad_x
    arguments |= {
        "BOTH": need_y,
        "grad_ptr": as_planes(grad),
        "grad_x_ptr": grad_x.view(-1, height, width),
        "grad_y_ptr": grad_y.view(-1, height, width),
    }
    terms = 4 if need_y else 3
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        for chunk in _chunks(arguments):
            blurred = _blur_products(chunk)
            planes = len(blurred)
            slopes = blurred.new_empty((planes, terms, map_width, map_height))
            _launch(
                slopes_kernel, planes, (map_width, map_height), chunk | {"blurred_ptr": blurred, "slopes_ptr": slopes}
            )
            del blurred
            spread = slopes.new_empty((planes, terms, map_height, width))
            _launch(
                spread_kernel, planes * terms, (width, map_height), chunk | {"slopes_ptr": slopes, "spread_ptr": spread}
            )
            del slopes
            _launch(gradient_kernel, planes, (height, width), chunk | {"spread_ptr": spread})
            del spread
    return grad_x, grad_y if need_y else None


def _arguments(
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    constants: tuple[float, float, float],
    extra: tuple[float, float],
    border: str,
    mask: Tensor | None,
) -> dict[str, Any]:
    """Return what the kernels take, by the names of their parameters; scratch and results are added by the callers."""
    height, width = x.shape[2:]
    lost = len(taps) - 1 if border == "valid" else 0
    xs, ys = as_planes(x), as_planes(y)
    if mask is not None:
        # A mask of one plane serves all: the step from plane to plane is then 0.
        mask = (mask.view(torch.uint8) if mask.dtype == torch.bool else mask).contiguous().expand(len(xs), -1, -1)
    size = choose_pass_size(len(xs), height, width, card_of(x.device))
    return {
        "x_ptr": xs,
        "y_ptr": ys,
        "mask_ptr": xs if mask is None else mask,
        "mask_step": 0 if mask is None else mask.stride(0),
        "height": height,
        "width": width,
        "map_height": height - lost,
        "map_width": width - lost,
        "taps": taps,
        "constants": (*constants, 2 * constants[2] / 255, *extra),
        "BORDER": border,
        "UNIFORM": min(taps) == max(taps),
        "MASKED": mask is not None,
        "EXTRA": any(extra),
        "ACC": triton_dtype(compute_dtype(x, y)),
        "LINES": size.lines,
        "LANES": size.lanes,
        "planes": size.planes,
    }


def _chunks(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the arguments for a few planes at a time, so that their scratch planes stay small."""
    total, count = len(arguments["x_ptr"]), arguments["planes"]
    for first in range(0, total, count):
        yield {
            name: value[first : first + count] if isinstance(value, Tensor) else value
            for name, value in arguments.items()
        }


def _blur_products(arguments: dict[str, Any]) -> Tensor:
    xs, map_height, width = arguments["x_ptr"], arguments["map_height"], arguments["width"]
    dtype = compute_dtype(xs, arguments["y_ptr"])
    products = 5 if arguments["MASKED"] else 4
    blurred = torch.empty((len(xs), products, width, map_height), dtype=dtype, device=xs.device)
    _launch(blur_products_kernel, len(xs), (map_height, width), arguments | {"blurred_ptr": blurred})
    return blurred


def _launch(kernel: Any, planes: int, size: tuple[int, int], arguments: dict[str, Any]) -> None:
    """Run a kernel for the outputs (planes, *size), of which the first axis is blurred."""
    grid = (planes * triton.cdiv(size[0], arguments["LINES"]) * triton.cdiv(size[1], arguments["LANES"]),)
    # Asked for by name, fused multiply-add draws no warning about its changing default (Triton 3.9).
    kernel[grid](
        **{name: arguments[name] for name in kernel.arg_names},
        num_warps=1,
        enable_fp_fusion=True,
    )
