"""1 - SSIM has one meaning, whoever computes it: values and both gradients against float64 and outside packages."""

from typing import Any

import numpy as np
import pytest
import ssimae
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from ssimae.similarity import operators
from ssimae.similarity.window import BORDERS
from torch import Tensor

# Rounding of float32 moments at noise 1e-3; the five-plane formula is four orders of magnitude off there.
VALUE_RTOL, GRADIENT_RTOL = 1e-5, 2e-6

BACKENDS = ("torch", "rust")


def images(shape: tuple[int, ...], noise: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Smooth textures in [0, 1] and their noisy rebuilds, float32."""
    rng = np.random.default_rng(seed)
    rows, columns = np.arange(shape[2])[:, None], np.arange(shape[3])[None, :]
    x = 0.5 + 0.3 * np.sin(rows / 3) * np.cos(columns / 4) + 0.1 * rng.standard_normal(shape)
    x = torch.from_numpy(x.clip(0, 1).astype(np.float32))
    return x, x + noise * torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def loss_and_gradients(x: Tensor, y: Tensor, *, weights: Tensor | None = None, **options: Any) -> list[Tensor]:
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    loss = ssimae.ssim_loss(x, y, data_range=1.0, **options)
    (loss * (1 if weights is None else weights.to(loss.dtype))).sum().backward()
    return [part.detach().double() for part in (loss, x.grad, y.grad)]


def relative(got: Tensor, want: Tensor) -> float:
    return float((got - want).norm() / want.norm())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(
    ("window", "window_size"), [("gaussian", 11), ("uniform", 11), ("uniform", 7), ("gaussian", 31)]
)
@pytest.mark.parametrize("reduction", ["mean", "image", "none"])
def test_float32_keeps_the_digits_of_small_losses(
    backend: str, border: str, window: str, window_size: int, reduction: str
) -> None:
    x, y = images((2, 3, 37, 50), 1e-3)
    options = {"border": border, "window": window, "window_size": window_size, "reduction": reduction}
    shape = ssimae.ssim_loss(x, y, data_range=1.0, **options).shape
    weights = torch.linspace(0.5, 1.5, shape.numel()).view(shape)
    want = loss_and_gradients(x.double(), y.double(), weights=weights, backend="torch", **options)
    got = loss_and_gradients(x, y, weights=weights, backend=backend, **options)
    assert relative(got[0], want[0]) < VALUE_RTOL
    assert relative(got[1], want[1]) < GRADIENT_RTOL
    assert relative(got[2], want[2]) < GRADIENT_RTOL


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(5, 40),
    width=st.integers(5, 40),
    size=st.sampled_from([1, 3, 5]),
    border=st.sampled_from(BORDERS),
    seed=st.integers(0, 99),
)
def test_rust_agrees_with_the_specification_at_any_size(
    height: int, width: int, size: int, border: str, seed: int
) -> None:
    x, y = images((1, 2, height, width), 0.1, seed)
    options = {"border": border, "window_size": size, "window": "uniform", "reduction": "none"}
    for got, want in zip(
        loss_and_gradients(x, y, backend="rust", **options),
        loss_and_gradients(x.double(), y.double(), backend="torch", **options),
        strict=True,
    ):
        assert torch.isfinite(got).all()
        assert (got - want).abs().max() < 1e-5 * (1 + want.abs().max())


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("window", ["gaussian", "uniform"])
def test_specification_passes_gradcheck_in_float64(border: str, window: str) -> None:
    x, y = (part.double().requires_grad_() for part in images((1, 2, 9, 8), 0.1))

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return ssimae.ssim_loss(
            x, y, data_range=1.0, window_size=5, window=window, border=border, reduction="none", l1_weight=0.1
        )

    assert torch.autograd.gradcheck(loss, (x, y), eps=1e-6, atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
def test_identical_images_give_exactly_zero(backend: str) -> None:
    x, _ = images((2, 1, 33, 21), 0.0)
    for part in loss_and_gradients(x, x.clone(), backend=backend):
        assert (part == 0).all()


@pytest.mark.parametrize("window", ["gaussian", "uniform"])
def test_float64_equals_scikit_image(window: str) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.random((2, 40, 31))
    options = {"gaussian_weights": True, "sigma": 1.5} if window == "gaussian" else {"win_size": 11}
    _, full = structural_similarity(x, y, data_range=1.0, use_sample_covariance=False, full=True, **options)
    got = ssimae.ssim(
        torch.from_numpy(x)[None, None], torch.from_numpy(y)[None, None], data_range=1.0, window=window,
        border="symmetric", reduction="none",
    )  # fmt: skip
    assert np.abs(got[0, 0].numpy() - full).max() < 1e-12


def test_valid_border_equals_pytorch_msssim() -> None:
    pytorch_msssim = pytest.importorskip("pytorch_msssim")
    x, y = (part.double() for part in images((3, 2, 40, 31), 0.1))
    want = pytorch_msssim.ssim(x, y, data_range=1.0, size_average=False)
    got = ssimae.ssim(x, y, data_range=1.0, border="valid", reduction="image")
    # pytorch-msssim builds its window in float32.
    assert (got - want).abs().max() < 1e-6


def test_strides_and_layout_do_not_matter() -> None:
    x, y = images((2, 3, 24, 36), 0.1)
    want = loss_and_gradients(x, y)
    got = loss_and_gradients(x.to(memory_format=torch.channels_last), y.transpose(2, 3).contiguous().transpose(2, 3))
    for one, other in zip(got, want, strict=True):
        assert torch.equal(one, other)


def test_result_does_not_depend_on_the_neighbours_in_the_batch() -> None:
    x, y = images((5, 1, 24, 36), 0.1)
    together = ssimae.ssim_loss(x, y, data_range=1.0, reduction="none")
    assert torch.equal(together[3:4], ssimae.ssim_loss(x[3:4], y[3:4], data_range=1.0, reduction="none"))


def test_weight_mask_averages_the_map_over_its_pixels() -> None:
    x, y = images((2, 1, 20, 20), 0.2)
    mask = torch.zeros(20, 20)
    mask[4:9, 3:15] = 1
    losses = ssimae.ssim_loss(x, y, data_range=1.0, reduction="none")
    got = ssimae.ssim_loss(x, y, data_range=1.0, mask=mask)
    assert got == pytest.approx(float(losses[:, :, 4:9, 3:15].mean()), rel=1e-6)


def test_pixels_masked_out_of_windows_have_no_influence() -> None:
    x, y = images((1, 1, 24, 24), 0.2)
    mask = torch.ones(24, 24)
    mask[:, 10:14] = 0
    other = y.clone()
    other[:, :, :, 10:14] = 7.0
    first, second = (
        ssimae.ssim_loss(x, part, data_range=1.0, mask=mask, mask_mode="window", reduction="none")
        for part in (y, other)
    )
    assert torch.allclose(first, second, atol=1e-6)
    assert (first[..., 10:14] == 0).all()


def test_l1_and_l2_terms_are_added_to_each_pixel() -> None:
    x, y = images((1, 1, 20, 20), 0.2)
    plain = ssimae.ssim_loss(x, y, data_range=1.0)
    got = ssimae.ssim_loss(x, y, data_range=1.0, l1_weight=0.5, l2_weight=2.0)
    assert float(got) == pytest.approx(
        float(plain + 0.5 * (x - y).abs().mean() + 2 * (x - y).square().mean()), rel=1e-5
    )


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("reduction", ["mean", "image", "none"])
@pytest.mark.parametrize("masked", [False, True])
def test_rust_equals_the_specification_in_float64(border: str, reduction: str, masked: bool) -> None:
    x, y = (part.double() for part in images((2, 3, 21, 34), 0.05))
    mask = torch.rand(2, 1, 21, 34, generator=torch.Generator().manual_seed(1)) if masked else None
    options = {"border": border, "reduction": reduction, "mask": mask, "l1_weight": 0.3, "l2_weight": 1.7}
    want = loss_and_gradients(x, y, backend="torch", **options)
    got = loss_and_gradients(x, y, backend="rust", **options)
    for ours, theirs in zip(got, want, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("border", BORDERS)
def test_rust_passes_gradcheck_in_float64(border: str) -> None:
    x, y = (part.double().requires_grad_() for part in images((1, 2, 8, 9), 0.2))
    mask = torch.rand(1, 1, 8, 9, generator=torch.Generator().manual_seed(2)).double()
    for reduction in ("mean", "image", "none"):
        assert torch.autograd.gradcheck(
            lambda x, y, reduction=reduction: ssimae.ssim_loss(
                x, y, data_range=1.0, window_size=5, border=border, mask=mask, l2_weight=0.5,
                reduction=reduction, backend="rust",
            ),
            (x, y), eps=1e-6, atol=1e-7,
        )  # fmt: skip


def test_masked_loss_is_one_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    inner = operators._rust.ssim_loss_sums
    monkeypatch.setattr(
        operators._rust, "ssim_loss_sums", lambda *args, **named: calls.append(args) or inner(*args, **named)
    )
    x, y = images((2, 1, 24, 24), 0.2)
    mask = torch.rand(24, 24)
    loss = ssimae.ssim_loss(x, y.requires_grad_(), data_range=1.0, mask=mask, l1_weight=0.1)
    loss.backward()
    assert len(calls) == 1
    want = ssimae.ssim_loss(x, y.detach(), data_range=1.0, mask=mask, l1_weight=0.1, backend="torch")
    assert loss.item() == pytest.approx(want.item(), rel=1e-5)


def test_a_mask_that_is_learnt_gets_its_gradient() -> None:
    x, y = images((1, 1, 16, 16), 0.2)
    masks = [torch.full((16, 16), 0.5).requires_grad_() for _ in range(2)]
    for mask, backend in zip(masks, BACKENDS, strict=True):
        ssimae.ssim_loss(x, y, data_range=1.0, mask=mask, backend=backend).backward()
    torch.testing.assert_close(masks[0].grad, masks[1].grad, rtol=1e-4, atol=1e-8)


def test_half_precision_is_computed_in_float32() -> None:
    x, y = (part.bfloat16() for part in images((1, 1, 20, 20), 0.2))
    got, want = (ssimae.ssim_loss(a, b, data_range=1.0) for a, b in ((x, y), (x.float(), y.float())))
    assert got.dtype == torch.float32
    assert torch.equal(got, want)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_second_derivatives_are_right_or_refused(reduction: str) -> None:
    x, y = images((1, 1, 16, 16), 0.2)
    x.requires_grad_()
    loss = ssimae.ssim_loss(x, y, data_range=1.0, reduction=reduction, backend="rust").sum()
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once"):
        gradient.square().sum().backward()
    double = x.detach().double().requires_grad_()
    assert torch.autograd.gradgradcheck(
        lambda x: ssimae.ssim_loss(x, y.double(), data_range=1.0, window_size=3, backend="torch")[None],
        (double,),
        atol=1e-6,
    )


# Raised inside torch's own checker, which looks at the gradients of its intermediate tensors.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_operators_pass_opcheck() -> None:
    x, y = images((1, 2, 16, 17), 0.2)
    window = ([0.2] * 5, 1e-4, 9e-4, 0.5, "reflect", 0.25, 1.5)
    weights = torch.rand(2, 16, 17)
    for mask in (None, weights[:1]):
        torch.library.opcheck(torch.ops.ssimae.loss_map.default, (x.requires_grad_(), y, mask, *window))
        for weighing in (None, weights):
            sums = (x, y.requires_grad_(), mask, weighing, *window, 0.5, True, True)
            torch.library.opcheck(torch.ops.ssimae.loss_sums.default, sums)


def test_compiles_without_a_graph_break() -> None:
    x, y = images((2, 1, 20, 20), 0.2)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return ssimae.ssim_loss(x, y, data_range=1.0)

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, y), loss(x, y))


def test_training_goes_through_the_rust_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    from ssimae.config.settings import Settings
    from ssimae.losses.ssim import reconstruction_loss

    calls = []
    inner = operators._rust.ssim_loss_sums
    monkeypatch.setattr(
        operators._rust, "ssim_loss_sums", lambda *args, **named: calls.append(args) or inner(*args, **named)
    )
    x, y = images((2, 1, 32, 32), 0.2)
    reconstruction_loss(x, y.requires_grad_(), Settings(patch_size=32)).backward()
    assert len(calls) == 1
    assert y.grad is not None


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"data_range": 0.0}, "`data_range`"),
        ({"window_size": 10}, "`window_size`"),
        ({"window_size": 21}, "larger than the image"),
        ({"sigma": -1.0}, "`sigma`"),
        ({"border": "wrap"}, "`border`"),
        ({"reduction": "sum"}, "`reduction`"),
        ({"backend": "cuda"}, "`backend`"),
        ({"backend": "triton"}, "computes on a GPU"),
        ({"mask": torch.zeros(20, 20)}, "`mask`"),
        ({"mask": torch.ones(3, 20)}, "`mask`"),
        (
            {"mask": torch.ones(20, 20).requires_grad_(), "mask_mode": "window", "backend": "rust"},
            "masks inside the windows",
        ),
    ],
)
def test_bad_parameters_are_refused(options: Any, match: str) -> None:
    x, y = images((1, 1, 20, 20), 0.2)
    with pytest.raises(ValueError, match=match):
        ssimae.ssim_loss(x, y, **{"data_range": 1.0, **options})


def test_bad_tensors_are_refused() -> None:
    x, y = images((1, 1, 20, 20), 0.2)
    with pytest.raises(ValueError, match="shape"):
        ssimae.ssim_loss(x[:0], y[:0], data_range=1.0)
    with pytest.raises(ValueError, match="same shape"):
        ssimae.ssim_loss(x, y[..., :-1], data_range=1.0)
    with pytest.raises(ValueError, match="same device"):
        ssimae.ssim_loss(x, y.to("meta"), data_range=1.0)
    with pytest.raises(TypeError, match="floating or uint8"):
        ssimae.ssim_loss(x.to(torch.int16), y, data_range=1.0)
    with pytest.raises(ValueError, match="cannot serve: it computes on the CPU, got a tensor on meta"):
        ssimae.ssim_loss(x.to("meta"), y.to("meta"), data_range=1.0, backend="rust")
