"""Values of the Triton kernels against the textbook in float64; test_kernels.py runs this file in processes of its own.

Under ``TRITON_INTERPRET=1``, which Triton reads when it is imported, on the CPU; otherwise on a CUDA device.
"""

import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from ssimae import kernels
from ssimae.kernels import ssim as kernel_module
from ssimae.kernels.launching import LaunchSize
from ssimae.ssim import Window
from ssimae.ssim import loss_map as specified_map
from torch import Tensor
from torch.nn import functional as F

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
BORDERS = ("reflect", "symmetric", "zero", "valid")

# Relative L2 against float64 for reconstructions off by 1e-3: what float32 must keep (SSIM.md, 6).
VALUE_RTOL = 1e-5
GRADIENT_RTOL = 2e-6
# Where a mask leaves a window few pixels, variances are small; the specification in float32 is as far off.
MASKED_GRADIENT_RTOL = 1e-5
# Float64 loses little more than its rounding, 1e-16, over the few digits that the textbook's cancellation costs.
DOUBLE_RTOL = 1e-10


class Options(NamedTuple):
    taps: tuple[float, ...]
    c1: float
    c2: float
    shift: float
    border: str


def options(border: str, *, window_size: int = 11, sigma: float | None = 1.5, data_range: float = 1.0) -> Options:
    weights = [1.0 if sigma is None else math.exp(-((tap - window_size // 2) ** 2) / (2 * sigma**2))
               for tap in range(window_size)]  # fmt: skip
    taps = tuple(weight / math.fsum(weights) for weight in weights)
    return Options(taps, (0.01 * data_range) ** 2, (0.03 * data_range) ** 2, data_range / 2, border)


def pair(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, noise: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Return a texture in [0, 1] and a reconstruction that is off by `noise`."""
    generator = torch.Generator().manual_seed(7)
    rows, cols = torch.arange(shape[2])[:, None], torch.arange(shape[3])
    x = 0.5 + 0.25 * torch.sin(0.7 * rows + 0.3 * cols) + 0.1 * torch.randn(shape, generator=generator)
    y = x + noise * torch.randn(shape, generator=generator)
    return x.to(DEVICE, dtype), y.to(DEVICE, dtype)


def upstream(x: Tensor, form: Options, dtype: torch.dtype = torch.float32) -> Tensor:
    lost = len(form.taps) - 1 if form.border == "valid" else 0
    shape = (*x.shape[:2], x.shape[2] - lost, x.shape[3] - lost)
    return torch.randn(shape, generator=torch.Generator().manual_seed(8)).to(DEVICE, dtype)


def blur(plane: Tensor, form: Options) -> Tensor:
    radius = len(form.taps) // 2
    if form.border == "zero":
        plane = F.pad(plane, (radius,) * 4)
    elif form.border != "valid":
        rows, cols = (torch.from_numpy(np.pad(np.arange(side), radius, form.border)) for side in plane.shape[2:])  # type: ignore[call-overload]
        plane = plane[:, :, rows.to(DEVICE)][:, :, :, cols.to(DEVICE)]
    taps = torch.tensor(form.taps, dtype=torch.float64, device=DEVICE)
    window = torch.outer(taps, taps).expand(plane.shape[1], 1, -1, -1)
    return F.conv2d(plane, window, groups=plane.shape[1])


def textbook(x: Tensor, y: Tensor, grad: Tensor, form: Options) -> tuple[Tensor, Tensor, Tensor]:
    """Return 1 - SSIM as Wang et al. 2004 write it, in float64, and the gradients of both inputs by autograd."""
    x, y = x.double().requires_grad_(), y.double().requires_grad_()
    mx, my = blur(x, form), blur(y, form)
    sxx, syy, sxy = blur(x * x, form) - mx * mx, blur(y * y, form) - my * my, blur(x * y, form) - mx * my
    ssim = (2 * mx * my + form.c1) * (2 * sxy + form.c2) / ((mx**2 + my**2 + form.c1) * (sxx + syy + form.c2))
    return (1 - ssim).detach(), *torch.autograd.grad(1 - ssim, (x, y), grad.double())


def relative_l2(got: Tensor, want: Tensor) -> float:
    return float((got.double() - want).norm() / want.norm())


def gradients(grad: Tensor, x: Tensor, y: Tensor, form: Options, **terms: Any) -> tuple[Tensor, Tensor]:
    grad_x, grad_y = kernels.ssim_loss_map_backward(grad, x, y, *form, True, True, **terms)
    assert grad_x is not None
    assert grad_y is not None
    return grad_x, grad_y


@pytest.fixture(autouse=True)
def _unwritten_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs and scratch planes start as NaN, so that a pixel which is read or returned unwritten fails."""

    def unwritten(allocate: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        fresh = allocate(*args, **kwargs)
        return fresh.fill_(math.nan) if fresh.is_floating_point() else fresh

    for owner, name in ((torch, "empty"), (Tensor, "new_empty")):
        allocate = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, allocate=allocate, **k: unwritten(allocate, *a, **k))


CASES = [
    pytest.param(11, 1.5, (1, 1, 11, 11), id="gaussian-K"),
    pytest.param(11, 1.5, (1, 1, 12, 12), id="gaussian-K+1"),
    pytest.param(3, 0.8, (1, 3, 7, 13), id="channels-prime-wide"),
    pytest.param(7, None, (1, 1, 19, 8), id="uniform-tall"),
    pytest.param(3, None, (1, 1, 33, 35), id="uniform-many-tiles"),
    pytest.param(31, 5.0, (1, 1, 31, 32), id="widest"),
    pytest.param(3, 1.5, (2, 1, 3, 3), id="smallest-batch"),
    pytest.param(1, 1.5, (1, 1, 2, 3), id="one-tap"),
]


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("window_size", "sigma", "shape"), CASES)
def test_map_and_gradients_are_the_textbooks(
    border: str, window_size: int, sigma: float | None, shape: tuple[int, ...]
) -> None:
    form = options(border, window_size=window_size, sigma=sigma)
    x, y = pair(shape)
    grad = upstream(x, form)
    loss, grad_x, grad_y = textbook(x, y, grad, form)
    found = kernels.ssim_loss_map(x, y, *form)
    assert found.dtype == torch.float32
    assert found.shape == loss.shape
    assert relative_l2(found, loss) < VALUE_RTOL
    found_x, found_y = gradients(grad, x, y, form)
    assert found_x.shape == found_y.shape == x.shape
    assert relative_l2(found_x, grad_x) < GRADIENT_RTOL
    assert relative_l2(found_y, grad_y) < GRADIENT_RTOL


@pytest.mark.parametrize("border", BORDERS)
def test_float64_keeps_float64(border: str) -> None:
    form = options(border, window_size=7, data_range=255.0)
    x, y = (255 * image for image in pair((1, 1, 18, 9), torch.float64, noise=0.1))
    grad = upstream(x, form, torch.float64)
    found = (kernels.ssim_loss_map(x, y, *form), *gradients(grad, x, y, form))
    for got, want in zip(found, textbook(x, y, grad, form), strict=True):
        assert got.dtype == torch.float64
        assert relative_l2(got, want) < DOUBLE_RTOL


def specified(
    x: Tensor, y: Tensor, grad: Tensor, form: Options, mask: Tensor | None, l1: float, l2: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the map and the gradients of both inputs as plain torch defines them, in float64."""
    x, y = x.double().requires_grad_(), y.double().requires_grad_()
    weights = None if mask is None else mask.double().expand(x.shape[0] * x.shape[1], -1, -1).reshape(x.shape)
    loss = specified_map(x, y, Window(form.taps, form.c1, form.c2, form.shift, form.border), weights)  # type: ignore[arg-type]
    lost = (x.shape[2] - loss.shape[2]) // 2
    d = (x - y)[:, :, lost : lost + loss.shape[2], lost : lost + loss.shape[3]]
    loss = loss + l1 * d.abs() + l2 * d.square()
    return loss.detach(), *torch.autograd.grad(loss, (x, y), grad.double())


def weights_with_holes(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return weights (planes, H, W), some 0, with a corner so empty that windows hold none."""
    weights = torch.rand(shape, generator=torch.Generator().manual_seed(9))
    weights[weights < 0.3] = 0
    weights[:, : shape[1] // 2, : shape[2] // 2] = 0
    return weights.to(DEVICE, dtype)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("window_size", "sigma", "shared"), [(3, None, True), (5, 1.5, False)])
def test_masks_are_the_specifications(border: str, window_size: int, sigma: float | None, shared: bool) -> None:
    form = options(border, window_size=window_size, sigma=sigma)
    x, y = pair((1, 2, 13, 18), noise=0.05)
    mask = weights_with_holes((1 if shared else 2, 13, 18))
    grad = upstream(x, form)
    loss, grad_x, grad_y = specified(x, y, grad, form, mask, 0.0, 0.0)
    found = kernels.ssim_loss_map(x, y, *form, mask=mask)
    assert relative_l2(found, loss) < VALUE_RTOL
    # Windows without weight: exactly 0, and they exist.
    assert (loss == 0).any()
    assert torch.equal(found == 0, loss == 0)
    found_x, found_y = gradients(grad, x, y, form, mask=mask)
    assert relative_l2(found_x, grad_x) < MASKED_GRADIENT_RTOL
    assert relative_l2(found_y, grad_y) < MASKED_GRADIENT_RTOL


@pytest.mark.skipif(DEVICE != "cpu", reason="needs the interpreter: float64")
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("border", BORDERS)
def test_extra_terms_are_the_specifications(border: str, masked: bool) -> None:
    form = options(border, window_size=3)
    x, y = pair((1, 2, 5, 7), torch.float64, noise=0.05)
    y[..., :2] = x[..., :2]
    mask = weights_with_holes((2, 5, 7), torch.float64) if masked else None
    terms = {"mask": mask, "l1": 0.3, "l2": 0.7}
    grad = upstream(x, form, torch.float64)
    wanted = specified(x, y, grad, form, mask, 0.3, 0.7)
    found = kernels.ssim_loss_map(x, y, *form, **terms), *gradients(grad, x, y, form, **terms)
    for got, want in zip(found, wanted, strict=True):
        assert relative_l2(got, want) < DOUBLE_RTOL
    only_y = kernels.ssim_loss_map_backward(grad, x, y, *form, False, True, **terms)[1]
    assert only_y is not None
    assert relative_l2(only_y, wanted[2]) < DOUBLE_RTOL


def test_a_mask_of_ones_is_no_mask_and_bool_is_a_mask() -> None:
    form = options("zero", window_size=5)
    x, y = pair((1, 1, 9, 11))
    plain, ones = (kernels.ssim_loss_map(x, y, *form, mask=mask) for mask in (None, torch.ones_like(x[0])))
    torch.testing.assert_close(ones, plain, rtol=VALUE_RTOL, atol=0)
    holes = weights_with_holes((1, 9, 11)) > 0
    got, want = (kernels.ssim_loss_map(x, y, *form, mask=mask) for mask in (holes, holes.float()))
    assert torch.equal(got, want)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_bytes_stand_for_their_share_of_the_data_range(dtype: torch.dtype) -> None:
    if DEVICE != "cpu" and dtype == torch.float64:
        pytest.skip("float64 is for the interpreter")
    form = options("reflect", window_size=5, data_range=2.0)
    x = pair((1, 1, 6, 9), dtype, noise=0.1)[0]
    y = (127 * pair((1, 1, 6, 9), noise=0.1)[1]).round().clamp(0, 255).to(torch.uint8)
    accumulator = torch.float64 if dtype == torch.float64 else torch.float32
    as_numbers = y.to(accumulator) * torch.tensor(2.0 / 255, dtype=accumulator)
    terms = {"mask": weights_with_holes((1, 6, 9)), "l1": 0.3, "l2": 0.7}
    grad = upstream(x, form)
    for a, b, want_a, want_b in ((x, y, x.to(accumulator), as_numbers), (y, x, as_numbers, x.to(accumulator))):
        loss = kernels.ssim_loss_map(a, b, *form, **terms)
        assert loss.dtype == accumulator
        assert torch.equal(loss, kernels.ssim_loss_map(want_a, want_b, *form, **terms))
        found = kernels.ssim_loss_map_backward(grad, a, b, *form, True, True, **terms)
        wanted = kernels.ssim_loss_map_backward(grad, want_a, want_b, *form, a is x, b is x, **terms)
        for got, want, image in zip(found, wanted, (a, b), strict=True):
            assert (got is None) == (image is y)
            if got is not None and want is not None:
                assert got.dtype == dtype
                # The interpreter truncates to bfloat16 where cards round.
                rtol = 2**-7 if dtype == torch.bfloat16 and DEVICE == "cpu" else 0
                torch.testing.assert_close(got, want.to(dtype), rtol=rtol, atol=0)
    assert kernels.ssim_loss_map_backward(grad, y, y, *form, True, True) == (None, None)


def test_inputs_of_different_types_get_gradients_of_their_own() -> None:
    form = options("symmetric", window_size=3)
    x, y = pair((1, 1, 6, 9), noise=0.1)
    grad_x, grad_y = gradients(upstream(x, form), x.half(), y, form)
    assert (grad_x.dtype, grad_y.dtype) == (torch.float16, torch.float32)
    want_x, want_y = gradients(upstream(x, form), x.half().float(), y, form)
    assert torch.equal(grad_x, want_x.half())
    assert torch.equal(grad_y, want_y)


@pytest.mark.parametrize("window_size", [1, 5, 9, 13, 15, 17, 23, 29])
def test_uniform_windows_of_every_size_are_sums(window_size: int) -> None:
    form = options("valid", window_size=window_size, sigma=None)
    x, y = pair((1, 1, window_size, window_size + 1), noise=0.1)
    if window_size == 1:
        y = x + 1
    grad = upstream(x, form)
    loss = textbook(x, y, grad, form)[0]
    assert relative_l2(kernels.ssim_loss_map(x, y, *form), loss) < VALUE_RTOL


@pytest.mark.parametrize("lines", [2, 8])
def test_sizes_of_programs_change_nothing(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    form = options("reflect", window_size=3)
    x, y = pair((1, 1, 5, 17))
    grad = upstream(x, form)
    usual = (kernels.ssim_loss_map(x, y, *form), *gradients(grad, x, y, form))
    monkeypatch.setattr(kernel_module, "launch_size", lambda *_: LaunchSize(lines, 16, 1))
    assert all(map(torch.equal, usual, (kernels.ssim_loss_map(x, y, *form), *gradients(grad, x, y, form))))


class _LossMap(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, form):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, y)
        ctx.form = form
        return kernels.ssim_loss_map(x, y, *form)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        x, y = ctx.saved_tensors
        return *kernels.ssim_loss_map_backward(grad, x, y, *ctx.form, *ctx.needs_input_grad[:2]), None


@pytest.mark.parametrize(
    ("border", "window_size", "fast"),
    # The whole Jacobian once; elsewhere its projection on a random direction, which costs two evaluations.
    [("reflect", 3, False), *((border, 5, True) for border in BORDERS)],
)
def test_gradcheck(border: str, window_size: int, fast: bool) -> None:
    form = options(border, window_size=window_size)
    x, y = pair((1, 1, 5, 7) if fast else (1, 1, 3, 4), torch.float64, noise=0.1)
    x.requires_grad_()
    y.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, y: _LossMap.apply(x, y, form), (x, y), eps=1e-6, atol=1e-7, fast_mode=fast
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("border", BORDERS)
def test_identical_images_have_no_loss_and_no_gradient(border: str, dtype: torch.dtype) -> None:
    form = options(border, window_size=5)
    x, _ = pair((1, 1, 6, 9), dtype)
    assert not kernels.ssim_loss_map(x, x.clone(), *form).any()
    for grad in gradients(upstream(x, form), x, x.clone(), form):
        assert not grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_float32_on_the_rounded_images(dtype: torch.dtype) -> None:
    form = options("reflect", window_size=5)
    x, y = pair((1, 1, 6, 9), dtype, noise=0.1)
    grad = upstream(x, form)
    assert torch.equal(kernels.ssim_loss_map(x, y, *form), kernels.ssim_loss_map(x.float(), y.float(), *form))
    for half, single in zip(gradients(grad, x, y, form), gradients(grad, x.float(), y.float(), form), strict=True):
        assert half.dtype == dtype
        if dtype == torch.bfloat16 and DEVICE == "cpu":
            # The interpreter truncates where cards round.
            torch.testing.assert_close(half.float(), single, rtol=2**-7, atol=0)
        else:
            assert torch.equal(half, single.to(dtype))


def test_gradients_that_are_not_needed_are_not_computed() -> None:
    form = options("reflect", window_size=5)
    x, y = pair((1, 1, 9, 11))
    grad = upstream(x, form)
    both = gradients(grad, x, y, form)
    only_x, nothing = kernels.ssim_loss_map_backward(grad, x, y, *form, True, False)
    assert nothing is None
    assert only_x is not None
    assert torch.equal(only_x, both[0])
    nothing, only_y = kernels.ssim_loss_map_backward(grad, x, y, *form, False, True)
    assert nothing is None
    assert only_y is not None
    assert relative_l2(only_y, both[1].double()) < GRADIENT_RTOL
    assert kernels.ssim_loss_map_backward(grad, x, y, *form, False, False) == (None, None)


@pytest.mark.parametrize(
    "scatter",
    [
        pytest.param(lambda image: image.contiguous(memory_format=torch.channels_last), id="channels-last"),
        pytest.param(lambda image: image.transpose(2, 3).contiguous().transpose(2, 3), id="transposed"),
        pytest.param(lambda image: F.pad(image, (2, 1))[..., 2:-1], id="cropped"),
    ],
)
def test_memory_layout_changes_nothing(scatter) -> None:  # type: ignore[no-untyped-def]
    form = options("valid", window_size=3)
    x, y = pair((2, 2, 5, 8))
    grad = upstream(x, form)
    assert not scatter(x).is_contiguous()
    assert torch.equal(kernels.ssim_loss_map(scatter(x), y, *form), kernels.ssim_loss_map(x, y, *form))
    found = gradients(scatter(grad), x, scatter(y), form)
    assert all(map(torch.equal, found, gradients(grad, x, y, form)))


def test_expanded_upstream_gradient_is_read_as_what_it_shows() -> None:
    form = options("valid", window_size=3)
    x, y = pair((1, 2, 5, 8))
    one = torch.ones(1, 1, 1, 1, device=DEVICE).expand(1, 2, 3, 6)
    assert all(map(torch.equal, gradients(one, x, y, form), gradients(one.contiguous(), x, y, form)))


def test_planes_in_several_chunks_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    form = options("reflect", window_size=3)
    x, y = pair((1, 3, 5, 8))
    grad = upstream(x, form)
    whole = (kernels.ssim_loss_map(x, y, *form), *gradients(grad, x, y, form))
    monkeypatch.setattr(kernel_module, "launch_size", lambda *_: LaunchSize(4, 32, 2))
    chunked = (kernels.ssim_loss_map(x, y, *form), *gradients(grad, x, y, form))
    assert all(map(torch.equal, whole, chunked))


def test_tiny_data_range_does_not_underflow() -> None:
    form, unit = options("reflect", window_size=5, data_range=1e-6), options("reflect", window_size=5)
    x, y = pair((1, 1, 9, 11), noise=0.1)
    grad = upstream(x, form)
    got, want = gradients(grad, 1e-6 * x, 1e-6 * y, form), gradients(grad, x, y, unit)
    for tiny, usual in zip(got, want, strict=True):
        # Scaling rounds the pixels, 6e-8 of differences of 0.1.
        assert relative_l2(1e-6 * tiny, usual.double()) < VALUE_RTOL


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device: too many pixels for the interpreter")
def test_more_planes_than_a_grid_axis_holds() -> None:
    form = options("reflect", window_size=3)
    x, y = (image.expand(70_000, 1, 5, 8) for image in pair((1, 1, 5, 8)))
    loss = kernels.ssim_loss_map(x, y, *form)
    assert torch.equal(loss, kernels.ssim_loss_map(x[:1], y[:1], *form).expand_as(loss))
