"""What the numbers of SSIM keep: digits, zeros, bits, whatever the window, the layout, the threads and the size."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import ssimae
import torch
from ssimae.similarity import operators
from ssimae.similarity.window import BORDERS, Window
from support.threads import printed_on_threads
from torch import Tensor

# Of float64: rounding of moments over the few digits that differing orders of summation cost.
DOUBLE = {"rtol": 1e-10, "atol": 1e-13}


def pair(shape: tuple[int, ...], noise: float, dtype: torch.dtype = torch.float64, seed: int = 0) -> Iterator[Tensor]:
    """Textures in [0, 1] and their rebuilds, off by `noise`."""
    rng = np.random.default_rng(seed)
    rows, columns = np.arange(shape[2])[:, None], np.arange(shape[3])
    x = 0.5 + 0.3 * np.sin(rows / 3) * np.cos(columns / 4) + 0.1 * rng.standard_normal(shape)
    x = x.clip(0, 1)
    return (torch.from_numpy(part).to(dtype) for part in (x, x + noise * rng.standard_normal(shape)))


def answers(x: Tensor, y: Tensor, **options: Any) -> tuple[Tensor, ...]:
    """Loss, and gradients by x and y of a weighted sum of it."""
    x, y = x.detach().clone().requires_grad_(), y.detach().clone().requires_grad_()
    loss = ssimae.ssim_loss(x, y, data_range=1.0, **options)
    weights = torch.linspace(0.5, 1.5, loss.numel(), dtype=loss.dtype).view(loss.shape)
    (loss * weights).sum().backward()
    return loss.detach(), x.grad, y.grad


@pytest.mark.parametrize("window", ["gaussian", "uniform"])
@pytest.mark.parametrize("size", range(1, 32, 2))
def test_every_window_on_images_as_large_as_itself_and_larger(window: str, size: int) -> None:
    for border in BORDERS:
        for height, width in ((size, size), (size + 1, size), (size, size + 1), (size + 6, size + 19)):
            x, y = pair((1, 2, height, width), 0.1)
            options = {"window": window, "window_size": size, "sigma": 1 + size / 7, "border": border}
            for reduction in ("mean", "none"):
                want = answers(x, y, backend="torch", reduction=reduction, **options)
                got = answers(x, y, backend="rust", reduction=reduction, **options)
                for ours, theirs in zip(got, want, strict=True):
                    torch.testing.assert_close(ours, theirs, **DOUBLE)
    if size > 1:
        with pytest.raises(ValueError, match="larger than the image"):
            ssimae.ssim_loss(x[..., : size - 1], y[..., : size - 1], data_range=1.0, window_size=size)


@pytest.mark.parametrize("backend", ["torch", "rust"])
@pytest.mark.parametrize(
    "border",
    [pytest.param(name, marks=pytest.mark.exhaustive if name in ("symmetric", "zero") else []) for name in BORDERS],
)
@pytest.mark.parametrize("window", ["gaussian", "uniform"])
def test_gradcheck_of_strided_inputs(backend: str, border: str, window: str) -> None:
    x, y = pair((2, 2, 6, 7), 0.2)
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    y = y.transpose(2, 3).contiguous().transpose(2, 3).requires_grad_()
    mask = torch.rand(2, 1, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    mask[0, 0, :, :3] = 0
    for mask_mode in ("weight", "window"):
        assert torch.autograd.gradcheck(
            lambda x, y, mask_mode=mask_mode: ssimae.ssim_loss(
                x, y, data_range=1.0, window_size=5, window=window, border=border, backend=backend,
                reduction="image", mask=mask, mask_mode=mask_mode, l2_weight=0.5,
            ),
            (x, y), eps=1e-6, atol=1e-7,
        )  # fmt: skip


@pytest.mark.parametrize("noise", [1e-1, 1e-3, 1e-4])
@pytest.mark.parametrize("window", ["gaussian", "uniform"])
def test_float32_keeps_the_digits_of_the_specification(noise: float, window: str) -> None:
    x, y = pair((2, 1, 128, 128), noise, torch.float32)
    want = answers(x.double(), y.double(), backend="torch", reduction="none", window=window)
    got = answers(x, y, backend="rust", reduction="none", window=window)
    for ours, theirs, limit in zip(got, want, (1e-5, 2e-6, 2e-6), strict=True):
        assert float((ours.double() - theirs).norm() / theirs.norm()) < limit
    if noise == 1e-1:
        assert (got[0].double() - want[0]).abs().max() < 1e-6


def test_mean_before_rounding_is_that_of_float64() -> None:
    x, y = pair((32, 1, 128, 128), 0.1, torch.float32)
    want = ssimae.ssim_loss(x.double(), y.double(), data_range=1.0, backend="torch")
    window = operators_window()
    sums = operators.loss_sums(x, y, window, scale=1 / x.numel())
    assert sums.dtype == torch.float64
    assert float(sums.sum()) == pytest.approx(float(want), rel=1e-7)
    # float32 rounds every pixel; the mean of many keeps more digits than any of them.
    assert abs(float(sums.sum()) - float(want)) < 1e-8


def operators_window() -> Window:
    from ssimae.similarity.window import make_window

    return make_window(
        data_range=1.0, window_size=11, window="gaussian", sigma=1.5, k1=0.01, k2=0.03, c1=None, c2=None,
        border="reflect",
    )  # fmt: skip


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("mask_mode", ["weight", "window"])
def test_every_pixel_of_the_outputs_is_written(border: str, mask_mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    empty, new_empty = torch.empty, torch.Tensor.new_empty
    monkeypatch.setattr(torch, "empty", lambda *a, **k: empty(*a, **k).fill_(torch.nan))
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda *a, **k: new_empty(*a, **k).fill_(torch.nan))
    x, y = pair((2, 1, 67, 149), 0.1, torch.float32)
    mask = torch.ones(67, 149)
    mask[20:50, 30:90] = 0
    for reduction in ("mean", "none"):
        for part in answers(x, y, border=border, mask=mask, mask_mode=mask_mode, reduction=reduction):
            assert torch.isfinite(part).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_identical_images_have_no_loss_and_no_gradient(dtype: torch.dtype) -> None:
    x, _ = pair((2, 1, 150, 133), 0.0, dtype)
    for window in ("gaussian", "uniform"):
        for part in answers(x, x, window=window, backend="rust"):
            assert not part.any()


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("window", ["gaussian", "uniform"])
@pytest.mark.parametrize("reduction", ["mean", "image", "none"])
def test_masks_inside_windows_are_those_of_the_specification(border: str, window: str, reduction: str) -> None:
    x, y = pair((2, 3, 31, 40), 0.1)
    one = (torch.rand(31, 40, generator=torch.Generator().manual_seed(5)) > 0.3).double()
    one[5:25, 8:30] = 0
    each = torch.rand(2, 3, 31, 40, generator=torch.Generator().manual_seed(6)).double()
    for mask in (one, each, each[:, :1]):
        options = {"border": border, "window": window, "reduction": reduction, "mask": mask, "mask_mode": "window"}
        want = answers(x, y, backend="torch", **options)
        for ours, theirs in zip(answers(x, y, backend="rust", **options), want, strict=True):
            torch.testing.assert_close(ours, theirs, **DOUBLE)


def test_what_a_window_mask_hides_has_no_influence_at_all() -> None:
    x, y = pair((1, 1, 40, 60), 0.1, torch.float32)
    mask = torch.ones(40, 60)
    mask[:, 25:33] = 0
    found = []
    for value in (0.0, 1.0, 1e4):
        x[..., 25:33], y[..., 25:33] = value, -value
        found.append(answers(x, y, mask=mask, mask_mode="window", reduction="none", backend="rust"))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert torch.equal(one, two)


def test_a_small_data_range_does_not_underflow() -> None:
    x, y = pair((1, 1, 40, 40), 0.1, torch.float32)
    unit = answers(x, y, backend="rust")
    scale = 1e-6
    x, y = (scale * x).requires_grad_(), (scale * y).requires_grad_()
    loss = ssimae.ssim_loss(x, y, data_range=scale, backend="rust")
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(unit[0]), rel=1e-5)
    torch.testing.assert_close(scale * x.grad, 2 * unit[1], rtol=1e-4, atol=1e-9)


def test_uint8_stands_for_its_share_of_the_data_range() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.integers(0, 256, (1, 1, 20, 21), dtype=np.uint8))
    y = torch.rand(1, 1, 20, 21).requires_grad_()
    got = ssimae.ssim_loss(x, y, data_range=1.0)
    assert torch.equal(got, ssimae.ssim_loss(x.float() * (1 / 255), y, data_range=1.0))
    got.backward()
    assert y.grad is not None
    other = x.flip(3)
    both = ssimae.ssim_loss(x, other, data_range=255.0)
    assert both.dtype == torch.float32
    assert float(both) == pytest.approx(float(ssimae.ssim_loss(x, other, data_range=1.0)), rel=1e-5)


def test_types_may_differ_and_the_finer_one_decides() -> None:
    x, y = pair((1, 1, 20, 21), 0.1)
    for first, second, computed in (
        (torch.float32, torch.float64, torch.float64),
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.float16, torch.bfloat16, torch.float32),
    ):
        a, b = x.to(first), y.clone().to(second).requires_grad_()
        got = ssimae.ssim_loss(a, b, data_range=1.0)
        assert got.dtype == computed
        assert torch.equal(got, ssimae.ssim_loss(a.to(computed), b.to(computed), data_range=1.0))
        got.backward()
        assert b.grad.dtype == second


def test_gradients_come_for_those_who_want_them() -> None:
    x, y = pair((2, 1, 20, 21), 0.1)
    _, want_x, want_y = answers(x, y, backend="rust")
    for reduction in ("mean", "none"):
        for want, first, second in ((want_x, True, False), (want_y, False, True)):
            a, b = x.clone().requires_grad_(first), y.clone().requires_grad_(second)
            loss = ssimae.ssim_loss(a, b, data_range=1.0, backend="rust", reduction=reduction)
            (loss.mean() * 0.5 if reduction == "none" else loss * 0.5).backward()
            torch.testing.assert_close(a.grad if first else b.grad, want, rtol=1e-10, atol=1e-16)
            assert (b.grad if first else a.grad) is None


def test_a_graph_that_is_kept_gives_the_same_gradient_again() -> None:
    x, y = pair((1, 1, 20, 21), 0.1)
    y.requires_grad_()
    loss = ssimae.ssim_loss(x, y, data_range=1.0, backend="rust")
    loss.backward(retain_graph=True)
    first = y.grad.clone()
    # In place, as optimizers may: the gradient is the caller's.
    y.grad.zero_()
    (3 * loss).backward(retain_graph=True)
    torch.testing.assert_close(y.grad, 3 * first, rtol=1e-14, atol=0)
    y.grad.zero_()
    loss.backward()
    assert torch.equal(y.grad, first)


def test_threads_do_not_change_a_bit() -> None:
    script = """
import hashlib, torch, ssimae
found = hashlib.sha256()
for shape in ((5, 2, 128, 96), (1, 1, 700, 1030)):
    x, y = (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    losses = ssimae.ssim_loss(x, y, data_range=1.0, backend="rust", reduction="none")
    loss = ssimae.ssim_loss(x, y.requires_grad_(), data_range=1.0, backend="rust")
    loss.backward()
    for part in (losses, loss.detach(), y.grad):
        found.update(part.numpy().tobytes())
print(found.hexdigest())
"""
    assert len(set(printed_on_threads(script, 1, 2, 5))) == 1


def test_shapes_beyond_32_bits_are_worked_out() -> None:
    x = torch.empty((3, 1, 40_000, 70_000), device="meta")
    assert x.numel() > 2**32
    y = x.clone().requires_grad_()
    window = ([0.2] * 5, 1e-4, 9e-4, 0.5, "valid", 0.0, 0.0)
    assert torch.ops.ssimae.loss_map(x, y, None, *window).shape == (3, 1, 39_996, 69_996)
    sums, grad_x, grad_y = torch.ops.ssimae.loss_sums(x, y, None, None, *window, 1.0, False, True)
    assert (sums.shape, grad_x.numel(), grad_y.shape) == ((3, 1), 0, y.shape)


def test_autocast_changes_nothing() -> None:
    x, y = pair((1, 1, 20, 21), 0.1, torch.float32)
    for backend in ("torch", "rust"):
        want = ssimae.ssim_loss(x, y, data_range=1.0, backend=backend)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(ssimae.ssim_loss(x, y, data_range=1.0, backend=backend), want)
            # As an autocast network hands it over.
            half = ssimae.ssim_loss(x, y.bfloat16(), data_range=1.0, backend=backend)
        assert half.dtype == torch.float32


@pytest.mark.parametrize("reduction", ["mean", "image", "none"])
@pytest.mark.parametrize("masked", [None, "weight", "window"])
def test_compiled_values_and_gradients_are_those_of_eager(reduction: str, masked: str | None) -> None:
    x, y = pair((2, 1, 24, 24), 0.1, torch.float32)
    options = {"data_range": 1.0, "reduction": reduction}
    if masked:
        options |= {"mask": torch.rand(24, 24, generator=torch.Generator().manual_seed(4)), "mask_mode": masked}

    torch.compiler.reset()  # torch compiles one function only so often

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return 2 * ssimae.ssim_loss(x, y, **options).sum()

    found = []
    for function in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
        a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
        value = function(a, b)
        value.backward()
        found.append((value.detach(), a.grad, b.grad))
    for eager, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-6, atol=1e-9)
