"""Values of the one-shot kernel against the textbook in float64; test_kernels.py runs this file.

Under ``TRITON_INTERPRET=1``, which Triton reads when it is imported, on the CPU; otherwise on a CUDA device.
"""

import math
import os

import pytest
import torch
from ssimae.kernels.loss_sums import launch
from ssimae.kernels.loss_sums.launch import ssim_loss_sums
from ssimae.kernels.loss_sums.sizes import make_grid
from ssimae.similarity.reference import loss_map
from ssimae.similarity.window import BORDERS, Window, make_window
from torch import Tensor

SOME_BORDERS = [pytest.param(border, marks=[] if border == "reflect" else pytest.mark.exhaustive) for border in BORDERS]
"""All of them, of which the ordinary suite takes the default."""
DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"

# Relative L2 against float64 for reconstructions off by 1e-3: what float32 must keep (docs/ssim.md, "Tolerances").
SUM_RTOL = 1e-6
GRADIENT_RTOL = 2e-6
DOUBLE_RTOL = 1e-10


def window(border: str, window_size: int = 5, data_range: float = 1.0, kind: str = "gaussian") -> Window:
    return make_window(
        data_range=data_range, window_size=window_size, window=kind, sigma=1.5, k1=0.01, k2=0.03, c1=None, c2=None,
        border=border,
    )  # type: ignore[arg-type]  # fmt: skip


def options(form: Window) -> tuple[tuple[float, ...], float, float, float, str]:
    return form.taps, form.c1, form.c2, form.shift, form.border


def pair(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, noise: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Return a texture in [0, 1] and a reconstruction that is off by `noise`."""
    generator = torch.Generator().manual_seed(7)
    rows, cols = torch.arange(shape[2])[:, None], torch.arange(shape[3])
    x = 0.5 + 0.25 * torch.sin(0.7 * rows + 0.3 * cols) + 0.1 * torch.randn(shape, generator=generator)
    y = x + noise * torch.randn(shape, generator=generator)
    return x.to(DEVICE, dtype), y.to(DEVICE, dtype)


def textbook(
    x: Tensor, y: Tensor, form: Window, scale: float = 1.0, weights: Tensor | None = None, mask: Tensor | None = None,
    l1: float = 0.0, l2: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the sums and both gradients from the specification in float64, by autograd."""
    x, y = x.double().requires_grad_(), y.double().requires_grad_()

    def batched(planes: Tensor) -> Tensor:
        planes = planes.double().expand(x.shape[0] * x.shape[1], -1, -1)
        return planes.reshape(*x.shape[:2], *planes.shape[1:])

    losses = loss_map(x, y, form, None if mask is None else batched(mask))
    lost = form.radius if form.border == "valid" else 0
    d = (x - y)[:, :, lost : x.shape[2] - lost, lost : x.shape[3] - lost]
    losses = losses + l1 * d.abs() + l2 * d.square()
    if weights is not None:
        losses = losses * batched(weights)
    sums = scale * losses.sum(dim=(2, 3))
    return sums.detach(), *torch.autograd.grad(sums.sum(), (x, y))


def relative_l2(got: Tensor | None, want: Tensor) -> float:
    assert got is not None
    assert got.shape == want.shape
    return float((got.double() - want).norm() / want.norm())


def check(x: Tensor, y: Tensor, form: Window, **extra: object) -> None:
    sums, grad_x, grad_y = ssim_loss_sums(x, y, *options(form), True, True, **extra)  # type: ignore[arg-type]
    want = textbook(x, y, form, **extra)  # type: ignore[arg-type]
    assert sums.dtype == torch.float64
    double = x.dtype == torch.float64
    assert relative_l2(sums, want[0]) < (DOUBLE_RTOL if double else SUM_RTOL)
    for got, gradient in ((grad_x, want[1]), (grad_y, want[2])):
        assert relative_l2(got, gradient) < (DOUBLE_RTOL if double else GRADIENT_RTOL)


@pytest.fixture(autouse=True)
def _unwritten_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs start as NaN, so that a pixel which is returned unwritten fails."""
    allocate = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *a, **k: allocate(*a, **k).fill_(math.nan))


@pytest.fixture
def _small_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes are cut into programs of 32 columns and 8 rows."""
    monkeypatch.setattr(
        launch,
        "choose_grid",
        lambda _, height, width, window_size, **__: make_grid(
            height, width, window_size, block_rows=8, side=4, num_warps=1
        ),
    )


CASES = [
    pytest.param(11, (1, 1, 11, 11), id="K"),
    pytest.param(11, (1, 1, 12, 12), id="K+1"),
    pytest.param(3, (1, 2, 7, 13), id="channels-prime-wide"),
    pytest.param(7, (2, 1, 19, 8), id="batch-tall"),
    pytest.param(5, (1, 1, 9, 16), id="aligned"),
    pytest.param(1, (1, 1, 2, 3), id="one-tap"),
]
# The ordinary suite takes each border once, with the default window, several planes and both ways of loading.
ORDINARY = {("K+1", "reflect"), ("batch-tall", "symmetric"), ("aligned", "zero"), ("channels-prime-wide", "valid")}


@pytest.mark.parametrize(
    ("border", "window_size", "shape"),
    [
        pytest.param(
            border, *case.values, id=f"{case.id}-{border}",
            marks=[] if (case.id, border) in ORDINARY else pytest.mark.exhaustive,
        )
        for case in CASES
        for border in BORDERS
    ],
)  # fmt: skip
def test_sums_and_gradients_are_the_textbooks(border: str, window_size: int, shape: tuple[int, ...]) -> None:
    check(*pair(shape), window(border, window_size))


@pytest.mark.parametrize("border", SOME_BORDERS[:2])
@pytest.mark.parametrize(
    ("window_size", "width"), [(3, 131), *(pytest.param(11, w, marks=pytest.mark.exhaustive) for w in (131, 245))]
)
def test_mirrors_at_the_end_of_a_later_strip(border: str, window_size: int, width: int) -> None:
    # As cut for a card: strips of 128 columns, eight of them a thread.
    check(*pair((1, 1, 12, width)), window(border, window_size))


@pytest.mark.exhaustive
def test_widest_window() -> None:
    x, y = pair((1, 1, 31, 32))
    form = window("reflect", 31)
    sums, grad_x, _ = ssim_loss_sums(x, y, *options(form), True, False)
    want = textbook(x, y, form)
    assert relative_l2(sums, want[0]) < SUM_RTOL
    assert relative_l2(grad_x, want[1]) < GRADIENT_RTOL


@pytest.mark.usefixtures("_small_programs")
@pytest.mark.parametrize("border", SOME_BORDERS)
@pytest.mark.parametrize(
    ("window_size", "width", "kind"),
    [
        (7, 36, "uniform"),
        pytest.param(5, 61, "gaussian", marks=pytest.mark.exhaustive),
        pytest.param(9, 33, "uniform", marks=pytest.mark.exhaustive),
    ],
)
def test_several_strips_and_blocks_give_the_textbook(border: str, window_size: int, width: int, kind: str) -> None:
    check(*pair((1, 1, 11, width)), window(border, window_size, kind=kind))


@pytest.mark.parametrize("border", SOME_BORDERS)
@pytest.mark.parametrize("shared", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_weights_extra_term_and_scale_are_the_textbooks(border: str, shared: bool) -> None:
    form = window(border)
    x, y = pair((2, 1, 7, 14))
    lost = form.radius if border == "valid" else 0
    weights = torch.rand(1 if shared else 2, 7 - 2 * lost, 14 - 2 * lost, generator=torch.Generator().manual_seed(3))
    check(x, y, form, weights=weights.to(DEVICE), l1=0.3, l2=0.7, scale=0.01)


@pytest.mark.parametrize("border", SOME_BORDERS)
@pytest.mark.parametrize("shared", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_window_mask_is_the_textbooks(border: str, shared: bool) -> None:
    form = window(border)
    # In float64: a window that sees one pixel or two has no variance but what is left of its cancellation.
    x, y = pair((2, 1, 7, 14), torch.float64, noise=0.1)
    mask = (torch.rand(1 if shared else 2, 7, 14, generator=torch.Generator().manual_seed(3)) > 0.3).double()
    # A hole wider than the window: no pixel at all in some.
    mask[:, :, 5:11] = 0
    check(x, y, form, mask=mask.to(DEVICE))


@pytest.mark.parametrize("border", SOME_BORDERS)
def test_float64_keeps_float64(border: str) -> None:
    x, y = (255 * image for image in pair((1, 1, 9, 10), torch.float64, noise=0.1))
    check(x, y, window(border, data_range=255.0))


class _LossSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, form):  # type: ignore[no-untyped-def]
        sums, *grads = ssim_loss_sums(x, y, *options(form), True, True)
        ctx.save_for_backward(*grads)
        return sums.sum()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return *(grad * saved for saved in ctx.saved_tensors), None


@pytest.mark.parametrize("border", [pytest.param("reflect", marks=pytest.mark.exhaustive), "valid"])
def test_gradcheck(border: str) -> None:
    x, y = (image.requires_grad_() for image in pair((1, 1, 5, 6), torch.float64, noise=0.1))
    form = window(border)
    assert torch.autograd.gradcheck(
        lambda x, y: _LossSum.apply(x, y, form), (x, y), eps=1e-6, atol=1e-7, fast_mode=True
    )


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, *(pytest.param(half, marks=pytest.mark.exhaustive) for half in (torch.float16, torch.bfloat16))],
)
@pytest.mark.parametrize("border", SOME_BORDERS)
def test_identical_images_have_no_loss_and_no_gradient(border: str, dtype: torch.dtype) -> None:
    x, _ = pair((1, 1, 6, 9), dtype)
    for result in ssim_loss_sums(x, x.clone(), *options(window(border)), True, True, l1=1.0, l2=1.0):
        assert result is not None
        assert not result.any()


def test_flat_black_images_give_numbers() -> None:
    x = torch.zeros(1, 1, 6, 9, device=DEVICE)
    for result in ssim_loss_sums(x, x + 1, *options(window("zero")), True, True):
        assert result is not None
        assert result.isfinite().all()


def test_half_precision_and_bytes_are_float32_on_the_same_values() -> None:
    form = window("reflect", data_range=255.0)
    x, y = pair((1, 1, 9, 12), noise=0.1)
    target = (255 * y).clamp(0, 255).to(torch.uint8)
    x = (255 * x).half()
    sums, grad_x, nothing = ssim_loss_sums(x, target, *options(form), True, False)
    want, want_x, _ = ssim_loss_sums(x.float(), target.float(), *options(form), True, False)
    assert nothing is None
    assert grad_x is not None
    assert want_x is not None
    assert grad_x.dtype == torch.float16
    assert torch.equal(sums, want)
    assert torch.equal(grad_x, want_x.half())


def test_gradients_that_are_not_needed_are_not_computed() -> None:
    x, y = pair((1, 1, 9, 11))
    form = options(window("reflect"))
    sums, grad_x, grad_y = ssim_loss_sums(x, y, *form, True, True)
    only_sums, *nothing = ssim_loss_sums(x, y, *form, False, False)
    assert nothing == [None, None]
    assert torch.equal(only_sums, sums)
    _, only_x, none_y = ssim_loss_sums(x, y, *form, True, False)
    _, none_x, only_y = ssim_loss_sums(x, y, *form, False, True)
    assert none_x is none_y is None
    assert grad_x is not None
    assert only_x is not None
    assert torch.equal(only_x, grad_x)
    assert grad_y is not None
    assert relative_l2(only_y, grad_y.double()) < GRADIENT_RTOL


def test_memory_layout_and_repetition_change_nothing() -> None:
    x, y = pair((1, 2, 5, 8))
    form = options(window("valid", 3))
    want = ssim_loss_sums(x, y, *form, True, True)
    scattered = x.contiguous(memory_format=torch.channels_last)
    assert not scattered.is_contiguous()
    for got in (
        ssim_loss_sums(scattered, y, *form, True, True),
        ssim_loss_sums(x, y.transpose(2, 3).contiguous().transpose(2, 3), *form, True, True),
    ):
        assert all(a is not None and b is not None and torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_tiny_data_range_does_not_underflow() -> None:
    x, y = pair((1, 1, 9, 11), noise=0.1)
    tiny, unit = options(window("reflect", data_range=1e-6)), options(window("reflect"))
    got = ssim_loss_sums(1e-6 * x, 1e-6 * y, *tiny, True, False)[1]
    want = ssim_loss_sums(x, y, *unit, True, False)[1]
    assert got is not None
    assert want is not None
    # Scaling rounds the pixels, 6e-8 of differences of 0.1.
    assert relative_l2(1e-6 * got, want.double()) < 1e-5
