"""Values and gradients of the compiled kernels on a device against the specification in float64."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import ssimae
import torch
from ssimae import kernels
from ssimae.ssim import loss_map, make_window
from torch import Tensor

BORDERS = ("reflect", "symmetric", "zero", "valid")
# Relative L2 for reconstructions off by 0.01: what float32 keeps (SSIM.md, 6).
LOSS_RTOL, GRADIENT_RTOL = 1e-5, 2e-6
# Where a mask leaves a window few pixels, variances are small, and the specification in float32 is as far off.
MASKED_RTOL = 1e-5
# What a byte stands for is rounded to 3e-8, and divided by differences of 0.01.
BYTES_RTOL = 1e-5
# Half a unit in the last place of a gradient that is rounded to its input's type.
ROUNDED_RTOL = {torch.float16: 2**-11, torch.bfloat16: 2**-8}


def images(
    shape: tuple[int, ...], dtype: torch.dtype, other: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return a texture in [0, 1] and one that is off by 0.01; uint8 counts in 255ths."""
    generator = torch.Generator().manual_seed(7)
    rows, cols = torch.arange(shape[2])[:, None], torch.arange(shape[3])
    x = (0.5 + 0.25 * torch.sin(0.7 * rows + 0.3 * cols) + 0.05 * torch.randn(shape, generator=generator)).clamp(0, 1)
    y = (x + 0.01 * torch.randn(shape, generator=generator)).clamp(0, 1)
    found = []
    for image, wanted in ((x, dtype), (y, other)):
        found.append((255 * image).round().to(wanted) if wanted == torch.uint8 else image.to(wanted))
    return [image.to(device) for image in found]


def as_double(image: Tensor) -> Tensor:
    return image.double() / 255 if image.dtype == torch.uint8 else image.double()


def check_kernels(device: torch.device, shapes: tuple[tuple[int, ...], ...]) -> Iterator[str]:
    """Compare the map kernels with the specification: every border, window, type, with masks and extra terms.

    Yields
    ------
    str
        What differs, and by how much.
    """
    half = ((torch.float16, torch.float16), (torch.bfloat16, torch.uint8), (torch.float32, torch.uint8))
    plain = (torch.float32, torch.float32)
    for shape, border in itertools.product(shapes, BORDERS):
        for window, window_size, types, masked in (
            ("gaussian", 11, plain, False),
            ("uniform", 11, plain, False),
            ("gaussian", 7, plain, True),
            *(("gaussian", 5, types, False) for types in half),
        ):
            case = f"{window} {window_size}, {border}, {types[0]} and {types[1]}, {shape}{', masked' if masked else ''}"
            for what, error, allowed in _kernel_errors(device, shape, border, window, window_size, types, masked):
                if not error <= allowed:
                    yield f"{what} of {case}: off by {error:.1e}, allowed {allowed:.1e}"


def _kernel_errors(
    device: torch.device, shape: Any, border: Any, window: Any, window_size: int, types: Any, masked: bool
) -> Iterator[tuple[str, float, float]]:
    form = make_window(
        data_range=1.0, window_size=window_size, window=window, sigma=1.5, k1=0.01, k2=0.03, c1=None, c2=None,
        border=border,
    )  # fmt: skip
    options = (form.taps, form.c1, form.c2, form.shift, form.border)
    x, y = images(shape, *types, device)
    mask = _mask(shape).to(device) if masked else None
    l1, l2 = (0.3, 0.7) if masked else (0.0, 0.0)
    found = kernels.ssim_loss_map(x, y, *options, mask=mask, l1=l1, l2=l2)
    grad = torch.randn(found.shape, generator=torch.Generator().manual_seed(8)).to(device)
    needed = [image.is_floating_point() for image in (x, y)]
    gradients = kernels.ssim_loss_map_backward(grad, x, y, *options, True, True, mask=mask, l1=l1, l2=l2)
    inputs = [as_double(image).requires_grad_(wanted) for image, wanted in zip((x, y), needed, strict=True)]
    expected = loss_map(inputs[0], inputs[1], form, None if mask is None else mask.double().expand(shape))
    lost = (shape[2] - expected.shape[2]) // 2
    d = (inputs[0] - inputs[1])[:, :, lost : shape[2] - lost, lost : shape[3] - lost]
    expected = expected + l1 * d.abs() + l2 * d.square()
    wanted = torch.autograd.grad(expected, [image for image in inputs if image.requires_grad], grad.double())
    rtol = MASKED_RTOL if masked else LOSS_RTOL
    yield "the map", _relative(found, expected.detach()), rtol
    for image, got, want in zip(
        [image for image in (x, y) if image.is_floating_point()], (part for part in gradients if part is not None),
        wanted, strict=True,
    ):  # fmt: skip
        allowed = MASKED_RTOL if masked else BYTES_RTOL if torch.uint8 in types else GRADIENT_RTOL
        allowed += ROUNDED_RTOL.get(image.dtype, 0.0)
        yield "a gradient", _relative(got, want), allowed


def _mask(shape: tuple[int, ...]) -> Tensor:
    weights = torch.rand((1, *shape[2:]), generator=torch.Generator().manual_seed(9))
    weights[weights < 0.2] = 0
    weights[:, : shape[2] // 2, : shape[3] // 2] = 0
    return weights


def _relative(got: Tensor, want: Tensor) -> float:
    return float((got.double() - want).norm() / want.norm())


def check_loss(device: torch.device, shape: tuple[int, ...], backend: Any) -> Iterator[str]:
    """Compare the public loss and its gradients with backend `torch` in float64: every border, window and mask."""
    x, y = images(shape, torch.float32, torch.float32, device)
    for border, window, masked in itertools.product(BORDERS, ("gaussian", "uniform"), (False, True)):
        mask = _mask(shape)[0].to(device) if masked else None
        terms: dict[str, Any] = {"data_range": 1.0, "border": border, "window": window, "mask": mask, "l1_weight": 0.1}
        losses = []
        for dtype, chosen in ((torch.float32, backend), (torch.float64, "torch")):
            inputs = [image.to(dtype).requires_grad_() for image in (x, y)]
            loss = ssimae.ssim_loss(*inputs, backend=chosen, **terms)
            losses.append((loss.detach(), *torch.autograd.grad(loss, inputs)))
        for what, got, want in zip(("the loss", "d/dx", "d/dy"), *losses, strict=True):
            error = _relative(got, want)
            if not error <= LOSS_RTOL:
                yield f"{what} of ssim_loss, {window}, {border}{', masked' if masked else ''}: off by {error:.1e}"
