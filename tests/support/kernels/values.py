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
from ssimae.kernels.loss_map import launch
from ssimae.kernels.loss_map.sizes import PassSize
from torch import Tensor
from torch.nn import functional as F

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
BORDERS = ("reflect", "symmetric", "zero", "valid")
SOME_BORDERS = [pytest.param(border, marks=[] if border == "reflect" else pytest.mark.exhaustive) for border in BORDERS]
"""All of them, of which the ordinary suite takes the default."""

# Relative L2 against float64 for reconstructions off by 1e-3: what float32 must keep (docs/ssim.md, "Tolerances").
VALUE_RTOL = 1e-5
GRADIENT_RTOL = 2e-6
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
    grad_x, grad_y = launch.ssim_loss_map_backward(grad, x, y, *form, True, True, **terms)
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


# The ordinary suite takes each border once, with windows of both kinds, several channels and several tiles.
ORDINARY = {("gaussian-K+1", "reflect"), ("uniform-tall", "symmetric"), ("uniform-many-tiles", "zero"),
            ("channels-prime-wide", "valid")}  # fmt: skip


@pytest.mark.parametrize(
    ("border", "window_size", "sigma", "shape"),
    [
        pytest.param(
            border, *case.values, id=f"{case.id}-{border}",
            marks=[] if (case.id, border) in ORDINARY else pytest.mark.exhaustive,
        )
        for case in CASES
        for border in BORDERS
    ],
)  # fmt: skip
def test_map_and_gradients_are_the_textbooks(
    border: str, window_size: int, sigma: float | None, shape: tuple[int, ...]
) -> None:
    form = options(border, window_size=window_size, sigma=sigma)
    x, y = pair(shape)
    grad = upstream(x, form)
    loss, grad_x, grad_y = textbook(x, y, grad, form)
    found = launch.ssim_loss_map(x, y, *form)
    assert found.dtype == torch.float32
    assert found.shape == loss.shape
    assert relative_l2(found, loss) < VALUE_RTOL
    found_x, found_y = gradients(grad, x, y, form)
    assert found_x.shape == found_y.shape == x.shape
    assert relative_l2(found_x, grad_x) < GRADIENT_RTOL
    assert relative_l2(found_y, grad_y) < GRADIENT_RTOL


@pytest.mark.parametrize("border", SOME_BORDERS)
def test_float64_keeps_float64(border: str) -> None:
    form = options(border, window_size=7, data_range=255.0)
    x, y = (255 * image for image in pair((1, 1, 18, 9), torch.float64, noise=0.1))
    grad = upstream(x, form, torch.float64)
    found = (launch.ssim_loss_map(x, y, *form), *gradients(grad, x, y, form))
    for got, want in zip(found, textbook(x, y, grad, form), strict=True):
        assert got.dtype == torch.float64
        assert relative_l2(got, want) < DOUBLE_RTOL


@pytest.mark.parametrize(
    "window_size", [1, 13, *(pytest.param(size, marks=pytest.mark.exhaustive) for size in (5, 15, 17, 27))]
)
def test_uniform_windows_of_every_size_are_sums(window_size: int) -> None:
    form = options("valid", window_size=window_size, sigma=None)
    x, y = pair((1, 1, window_size, window_size + 1), noise=0.1)
    if window_size == 1:
        y = x + 1
    grad = upstream(x, form)
    loss = textbook(x, y, grad, form)[0]
    assert relative_l2(launch.ssim_loss_map(x, y, *form), loss) < VALUE_RTOL


@pytest.mark.exhaustive
@pytest.mark.parametrize("lines", [2, 8])
def test_sizes_of_programs_change_nothing(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    form = options("reflect", window_size=3)
    x, y = pair((1, 1, 5, 17))
    grad = upstream(x, form)
    usual = (launch.ssim_loss_map(x, y, *form), *gradients(grad, x, y, form))
    monkeypatch.setattr(launch, "choose_pass_size", lambda *_: PassSize(lines, 16, 1))
    assert all(map(torch.equal, usual, (launch.ssim_loss_map(x, y, *form), *gradients(grad, x, y, form))))


class _LossMap(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, form):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, y)
        ctx.form = form
        return launch.ssim_loss_map(x, y, *form)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        x, y = ctx.saved_tensors
        return *launch.ssim_loss_map_backward(grad, x, y, *ctx.form, *ctx.needs_input_grad[:2]), None


@pytest.mark.parametrize(
    ("border", "window_size", "fast"),
    # The whole Jacobian once; elsewhere its projection on a random direction, which costs two evaluations.
    [
        ("reflect", 5, True),
        pytest.param("reflect", 3, False, marks=pytest.mark.exhaustive),
        *(pytest.param(border, 5, True, marks=pytest.mark.exhaustive) for border in BORDERS[1:]),
    ],
)
def test_gradcheck(border: str, window_size: int, fast: bool) -> None:
    form = options(border, window_size=window_size)
    x, y = pair((1, 1, 5, 7) if fast else (1, 1, 3, 3), torch.float64, noise=0.1)
    x.requires_grad_()
    y.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, y: _LossMap.apply(x, y, form), (x, y), eps=1e-6, atol=1e-7, fast_mode=fast
    )


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, *(pytest.param(half, marks=pytest.mark.exhaustive) for half in (torch.float16, torch.bfloat16))],
)
@pytest.mark.parametrize("border", SOME_BORDERS)
def test_identical_images_have_no_loss_and_no_gradient(border: str, dtype: torch.dtype) -> None:
    form = options(border, window_size=5)
    x, _ = pair((1, 1, 6, 9), dtype)
    assert not launch.ssim_loss_map(x, x.clone(), *form).any()
    for grad in gradients(upstream(x, form), x, x.clone(), form):
        assert not grad.any()


@pytest.mark.parametrize("dtype", [pytest.param(torch.float16, marks=pytest.mark.exhaustive), torch.bfloat16])
def test_half_precision_is_float32_on_the_rounded_images(dtype: torch.dtype) -> None:
    form = options("reflect", window_size=5)
    x, y = pair((1, 1, 6, 9), dtype, noise=0.1)
    grad = upstream(x, form)
    assert torch.equal(launch.ssim_loss_map(x, y, *form), launch.ssim_loss_map(x.float(), y.float(), *form))
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
    only_x, nothing = launch.ssim_loss_map_backward(grad, x, y, *form, True, False)
    assert nothing is None
    assert only_x is not None
    assert torch.equal(only_x, both[0])
    nothing, only_y = launch.ssim_loss_map_backward(grad, x, y, *form, False, True)
    assert nothing is None
    assert only_y is not None
    assert relative_l2(only_y, both[1].double()) < GRADIENT_RTOL
    assert launch.ssim_loss_map_backward(grad, x, y, *form, False, False) == (None, None)


@pytest.mark.parametrize(
    "scatter",
    [
        pytest.param(
            lambda image: image.contiguous(memory_format=torch.channels_last),
            id="channels-last", marks=pytest.mark.exhaustive,
        ),
        pytest.param(lambda image: image.transpose(2, 3).contiguous().transpose(2, 3), id="transposed"),
        pytest.param(
            lambda image: F.pad(image, (2, 1))[..., 2:-1], id="cropped", marks=pytest.mark.exhaustive
        ),
    ],
)  # fmt: skip
def test_memory_layout_changes_nothing(scatter) -> None:  # type: ignore[no-untyped-def]
    form = options("valid", window_size=3)
    x, y = pair((2, 2, 5, 8))
    grad = upstream(x, form)
    assert not scatter(x).is_contiguous()
    assert torch.equal(launch.ssim_loss_map(scatter(x), y, *form), launch.ssim_loss_map(x, y, *form))
    found = gradients(scatter(grad), x, scatter(y), form)
    assert all(map(torch.equal, found, gradients(grad, x, y, form)))


@pytest.mark.exhaustive
def test_expanded_upstream_gradient_is_read_as_what_it_shows() -> None:
    form = options("valid", window_size=3)
    x, y = pair((1, 2, 5, 8))
    one = torch.ones(1, 1, 1, 1, device=DEVICE).expand(1, 2, 3, 6)
    assert all(map(torch.equal, gradients(one, x, y, form), gradients(one.contiguous(), x, y, form)))


def test_planes_in_several_chunks_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    form = options("reflect", window_size=3)
    x, y = pair((1, 3, 5, 8))
    grad = upstream(x, form)
    whole = (launch.ssim_loss_map(x, y, *form), *gradients(grad, x, y, form))
    monkeypatch.setattr(launch, "choose_pass_size", lambda *_: PassSize(4, 32, 2))
    chunked = (launch.ssim_loss_map(x, y, *form), *gradients(grad, x, y, form))
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
    loss = launch.ssim_loss_map(x, y, *form)
    assert torch.equal(loss, launch.ssim_loss_map(x[:1], y[:1], *form).expand_as(loss))
