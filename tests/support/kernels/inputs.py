"""Masks, extra terms and types of the Triton kernels against the specification; run as values.py is."""

import pytest
import torch
from ssimae.kernels.loss_map import launch
from ssimae.similarity.reference import loss_map as specified_map
from ssimae.similarity.window import Window
from torch import Tensor

from support.kernels.values import (
    DEVICE,
    DOUBLE_RTOL,
    SOME_BORDERS,
    VALUE_RTOL,
    Options,
    _unwritten_is_nan,  # noqa: F401 (a fixture of every test)
    gradients,
    options,
    pair,
    relative_l2,
    upstream,
)

# Where a mask leaves a window few pixels, variances are small; the specification in float32 is as far off.
MASKED_GRADIENT_RTOL = 1e-5


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


@pytest.mark.parametrize("border", SOME_BORDERS)
@pytest.mark.parametrize(
    ("window_size", "sigma", "shared"), [pytest.param(3, None, True, marks=pytest.mark.exhaustive), (5, 1.5, False)]
)
def test_masks_are_the_specifications(border: str, window_size: int, sigma: float | None, shared: bool) -> None:
    form = options(border, window_size=window_size, sigma=sigma)
    x, y = pair((1, 2, 13, 18), noise=0.05)
    mask = weights_with_holes((1 if shared else 2, 13, 18))
    grad = upstream(x, form)
    loss, grad_x, grad_y = specified(x, y, grad, form, mask, 0.0, 0.0)
    found = launch.ssim_loss_map(x, y, *form, mask=mask)
    assert relative_l2(found, loss) < VALUE_RTOL
    # Windows without weight: exactly 0, and they exist.
    assert (loss == 0).any()
    assert torch.equal(found == 0, loss == 0)
    found_x, found_y = gradients(grad, x, y, form, mask=mask)
    assert relative_l2(found_x, grad_x) < MASKED_GRADIENT_RTOL
    assert relative_l2(found_y, grad_y) < MASKED_GRADIENT_RTOL


@pytest.mark.skipif(DEVICE != "cpu", reason="needs the interpreter: float64")
@pytest.mark.parametrize("masked", [pytest.param(False, marks=pytest.mark.exhaustive), True], ids=["plain", "masked"])
@pytest.mark.parametrize("border", SOME_BORDERS)
def test_extra_terms_are_the_specifications(border: str, masked: bool) -> None:
    form = options(border, window_size=3)
    x, y = pair((1, 2, 5, 7), torch.float64, noise=0.05)
    y[..., :2] = x[..., :2]
    mask = weights_with_holes((2, 5, 7), torch.float64) if masked else None
    terms = {"mask": mask, "l1": 0.3, "l2": 0.7}
    grad = upstream(x, form, torch.float64)
    wanted = specified(x, y, grad, form, mask, 0.3, 0.7)
    found = launch.ssim_loss_map(x, y, *form, **terms), *gradients(grad, x, y, form, **terms)
    for got, want in zip(found, wanted, strict=True):
        assert relative_l2(got, want) < DOUBLE_RTOL
    only_y = launch.ssim_loss_map_backward(grad, x, y, *form, False, True, **terms)[1]
    assert only_y is not None
    assert relative_l2(only_y, wanted[2]) < DOUBLE_RTOL


def test_a_mask_of_ones_is_no_mask_and_bool_is_a_mask() -> None:
    form = options("zero", window_size=5)
    x, y = pair((1, 1, 9, 11))
    plain, ones = (launch.ssim_loss_map(x, y, *form, mask=mask) for mask in (None, torch.ones_like(x[0])))
    torch.testing.assert_close(ones, plain, rtol=VALUE_RTOL, atol=0)
    holes = weights_with_holes((1, 9, 11)) > 0
    got, want = (launch.ssim_loss_map(x, y, *form, mask=mask) for mask in (holes, holes.float()))
    assert torch.equal(got, want)


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float32,
        *(pytest.param(t, marks=pytest.mark.exhaustive) for t in (torch.float64, torch.float16, torch.bfloat16)),
    ],
)
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
        loss = launch.ssim_loss_map(a, b, *form, **terms)
        assert loss.dtype == accumulator
        # Cards fuse the scaling with the subtraction that follows, and round once less.
        assert relative_l2(loss, launch.ssim_loss_map(want_a, want_b, *form, **terms).double()) < VALUE_RTOL
        found = launch.ssim_loss_map_backward(grad, a, b, *form, True, True, **terms)
        wanted = launch.ssim_loss_map_backward(grad, want_a, want_b, *form, a is x, b is x, **terms)
        for got, want, image in zip(found, wanted, (a, b), strict=True):
            assert (got is None) == (image is y)
            if got is not None and want is not None:
                assert got.dtype == dtype
                # To half precision cards round, and the interpreter truncates.
                rounded = {torch.float16: 2**-10, torch.bfloat16: 2**-7}.get(dtype, VALUE_RTOL)
                assert relative_l2(got, want.double()) < rounded
    assert launch.ssim_loss_map_backward(grad, y, y, *form, True, True) == (None, None)


def test_inputs_of_different_types_get_gradients_of_their_own() -> None:
    form = options("symmetric", window_size=3)
    x, y = pair((1, 1, 6, 9), noise=0.1)
    grad_x, grad_y = gradients(upstream(x, form), x.half(), y, form)
    assert (grad_x.dtype, grad_y.dtype) == (torch.float16, torch.float32)
    want_x, want_y = gradients(upstream(x, form), x.half().float(), y, form)
    assert torch.equal(grad_x, want_x.half())
    assert torch.equal(grad_y, want_y)


def test_identical_bytes_have_no_loss() -> None:
    form = options("reflect", window_size=5)
    x = (255 * pair((1, 1, 6, 9))[0]).clamp(0, 255).to(torch.uint8)
    assert not launch.ssim_loss_map(x, x.clone(), *form, l1=1.0, l2=1.0).any()
