"""Each row of the conventions table in `ssimae.ssim`: another package's call and ours give the same numbers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import ssimae
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

C2 = 0.03**2

# Rounding, in float64, of the five blurred planes that every other package subtracts from each other.
TOLERANCE_64 = 1e-12
# pytorch-msssim builds its own window in float32, whatever the images are.
TOLERANCE_FLOAT32_WINDOW = 1e-6
# Ours in float32 against theirs in float64, on the same numbers.
TOLERANCE_32 = 1e-6
# Theirs in float32: rounding of squares near 1 divided by C2 = 9e-4, seen in single pixels, not in means.
TOLERANCE_32_FIVE_PLANES = 2e-5


def sample_c2(window_size: int) -> float:
    """C2 that makes SSIM with covariances over N - 1 of SSIM with covariances over N, for N pixels in the window."""
    pixels = window_size**2
    return C2 * (pixels - 1) / pixels


@dataclass(frozen=True)
class Row:
    theirs: Callable[[Tensor, Tensor], Tensor]
    ours: dict[str, Any] = field(default_factory=dict)
    differentiable: bool = True
    tolerance: float = TOLERANCE_64


def scikit_image(**options):
    """scikit-image takes one image at a time, as arrays; channels by `channel_axis`."""

    def call(x, y):
        parts = [
            structural_similarity(a.numpy(), b.numpy(), data_range=1.0, channel_axis=0, **options)
            for a, b in zip(x, y, strict=True)
        ]
        return torch.stack([torch.as_tensor(part[1] if options.get("full") else part) for part in parts])

    return call


def pytorch_msssim(**options):
    from pytorch_msssim import ssim

    return lambda x, y: ssim(x, y, **{"data_range": 1.0, **options})


def msssim_window(x: Tensor) -> Tensor:
    """Our 11 taps as pytorch-msssim's `win`, (C, 1, 1, 11)."""
    taps = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    return (taps / taps.sum()).to(x.dtype).repeat(x.shape[1], 1, 1, 1)


def torchmetrics(*, full=False, **options):
    from torchmetrics.functional.image import structural_similarity_index_measure

    def call(x, y):
        result = structural_similarity_index_measure(x, y, data_range=1.0, return_full_image=full, **options)
        return result[1] if full else result

    return call


def kornia(function, *options, **more):
    def call(x, y):
        package = pytest.importorskip("kornia", reason="needs kornia, of the extra `bench`")
        return {"ssim": package.metrics.ssim, "ssim_loss": package.losses.ssim_loss}[function](x, y, *options, **more)

    return call


def piq(**options):
    def call(x, y):
        return pytest.importorskip("piq", reason="needs piq, of the extra `bench`").ssim(x, y, **options)

    return call


def frame_analytics(**options):
    def call(x, y):
        package = pytest.importorskip("frame_analytics", reason="needs frame-analytics, of the extra `bench`")
        package.set_compile_enabled(False)  # the same arithmetic without a C++ compiler
        try:
            return package.ssim(x, y, **options)
        finally:
            package.set_compile_enabled(True)

    return call


UNIFORM_7 = {"window": "uniform", "window_size": 7}
WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}

ROWS = {
    "scikit-image defaults": Row(
        scikit_image(), {**UNIFORM_7, "c2": sample_c2(7), "border": "valid", "reduction": "image"}, False
    ),
    "scikit-image defaults, map": Row(
        scikit_image(full=True), {**UNIFORM_7, "c2": sample_c2(7), "border": "symmetric", "reduction": "none"}, False
    ),
    "scikit-image uniform 11, population": Row(
        scikit_image(win_size=11, use_sample_covariance=False),
        {"window": "uniform", "border": "valid", "reduction": "image"}, False,
    ),
    "scikit-image as Wang et al.": Row(scikit_image(**WANG), {"border": "valid", "reduction": "image"}, False),
    "scikit-image as Wang et al., map": Row(
        scikit_image(**WANG, full=True), {"border": "symmetric", "reduction": "none"}, False
    ),
    "scikit-image Gaussian, sample covariance": Row(
        scikit_image(gaussian_weights=True), {"c2": sample_c2(11), "border": "valid", "reduction": "image"}, False
    ),
    "scikit-image Gaussian, sigma 2.1, sample covariance, map": Row(
        scikit_image(gaussian_weights=True, sigma=2.1, full=True),
        {"sigma": 2.1, "window_size": 15, "c2": sample_c2(15), "border": "symmetric", "reduction": "none"}, False,
    ),
    "scikit-image K1, K2": Row(
        scikit_image(**WANG, K1=0.02, K2=0.05), {"k1": 0.02, "k2": 0.05, "border": "valid", "reduction": "image"}, False
    ),
    "pytorch-msssim defaults": Row(pytorch_msssim(), {"border": "valid"}, tolerance=TOLERANCE_FLOAT32_WINDOW),
    "pytorch-msssim, per image": Row(
        lambda x, y: pytorch_msssim(size_average=False, win=msssim_window(x))(x, y),
        {"border": "valid", "reduction": "image"},
    ),
    "pytorch-msssim, another window, K and range": Row(
        lambda x, y: pytorch_msssim(data_range=255, win_size=7, win_sigma=1.1, K=(0.02, 0.05))(255 * x, 255 * y),
        {"border": "valid", "window_size": 7, "sigma": 1.1, "k1": 0.02, "k2": 0.05},
        tolerance=TOLERANCE_FLOAT32_WINDOW,
    ),
    "torchmetrics defaults": Row(torchmetrics()),
    "torchmetrics, per image": Row(torchmetrics(reduction="none"), {"reduction": "image"}),
    "torchmetrics, map": Row(torchmetrics(full=True), {"reduction": "none"}),
    "torchmetrics, sigma sets the window's size": Row(
        torchmetrics(sigma=2.1, kernel_size=5), {"sigma": 2.1, "window_size": 15}
    ),
    "torchmetrics, uniform": Row(
        torchmetrics(gaussian_kernel=False, kernel_size=9), {"window": "uniform", "window_size": 9}
    ),
    "kornia, same": Row(kornia("ssim", 11, eps=0.0), {"reduction": "none"}),
    "kornia, valid": Row(kornia("ssim", 7, eps=0.0, padding="valid"), {"border": "valid", "window_size": 7,
                                                                     "reduction": "none"}),
    "kornia, loss": Row(lambda x, y: 1 - 2 * kornia("ssim_loss", 11, eps=0.0)(x, y)),
    "piq without downsampling": Row(piq(downsample=False), {"border": "valid"}),
    "piq, per image": Row(
        piq(downsample=False, reduction="none", kernel_size=9, kernel_sigma=1.2, k1=0.02, k2=0.05),
        {"border": "valid", "reduction": "image", "window_size": 9, "sigma": 1.2, "k1": 0.02, "k2": 0.05},
    ),
    "frame-analytics defaults": Row(frame_analytics(), {"border": "valid"}),
    "frame-analytics, per image": Row(frame_analytics(reduction="none"), {"border": "valid", "reduction": "image"}),
    "frame-analytics, map": Row(frame_analytics(return_map=True), {"border": "valid", "reduction": "none"}),
}  # fmt: skip

DIFFERENTIABLE = [name for name, row in ROWS.items() if row.differentiable]


def images(shape=(2, 3, 40, 53)):
    """Two batches of float32 images in [0, 1], SSIM about 0.8."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(shape, generator=generator)
    return x, (x + 0.2 * torch.randn(shape, generator=generator)).clamp(0, 1)


def ours(x, y, row):
    return ssimae.ssim(x, y, data_range=1.0, **row.ours)


def distance(one, other):
    assert one.shape == other.shape
    return float((one.double() - other.double()).detach().abs().max())


@pytest.mark.parametrize("name", ROWS)
def test_values_in_float64(name):
    row = ROWS[name]
    x, y = (part.double() for part in images())
    want = row.theirs(x, y)
    assert 0.3 < want.mean() < 0.95
    assert distance(ours(x, y, row), want) < row.tolerance


@pytest.mark.parametrize("name", ROWS)
def test_values_in_float32(name):
    row = ROWS[name]
    x, y = images()
    got = ours(x, y, row)
    assert got.dtype == torch.float32
    assert distance(got, row.theirs(x.double(), y.double())) < TOLERANCE_32
    single = row.ours.get("reduction") == "none"
    assert distance(got, row.theirs(x, y)) < (TOLERANCE_32_FIVE_PLANES if single else TOLERANCE_32)


def gradients(function, x, y):
    """Gradients of both inputs for a weighted sum of the result."""
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    result = function(x, y)
    weights = torch.linspace(0.5, 1.5, result.numel(), dtype=result.dtype).view(result.shape)
    return torch.autograd.grad((result * weights).sum(), (x, y))


def relative(got, want):
    """Largest difference over the largest gradient."""
    return float((got.double() - want.double()).abs().max() / want.abs().max())


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(name):
    row = ROWS[name]
    x, y = images()
    want = gradients(row.theirs, x.double(), y.double())
    for got, theirs in zip(gradients(lambda x, y: ours(x, y, row), x.double(), y.double()), want, strict=True):
        assert relative(got, theirs) < max(row.tolerance, TOLERANCE_64)
    for got, theirs in zip(gradients(lambda x, y: ours(x, y, row), x, y), want, strict=True):
        assert relative(got, theirs) < TOLERANCE_32
    for got, theirs in zip(gradients(row.theirs, x, y), want, strict=True):
        assert relative(got, theirs) < TOLERANCE_32_FIVE_PLANES


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, TOLERANCE_64), (torch.float32, TOLERANCE_32)])
def test_scikit_image_gradient_is_that_of_the_whole_map_by_y(dtype, tolerance):
    x, y = (part.to(dtype) for part in images((1, 1, 40, 53)))
    _, want = structural_similarity(x[0, 0].numpy(), y[0, 0].numpy(), data_range=1.0, gradient=True, **WANG)
    y.requires_grad_()
    ssimae.ssim(x, y, data_range=1.0, border="symmetric").backward()
    assert relative(y.grad[0, 0], torch.from_numpy(want)) < tolerance


def test_scikit_image_takes_the_range_of_uint8_from_the_type():
    x, y = ((255 * part).to(torch.uint8) for part in images((1, 1, 40, 53)))
    want = structural_similarity(x[0, 0].numpy(), y[0, 0].numpy(), **WANG)
    assert float(ssimae.ssim(x.double(), y.double(), data_range=255.0, border="valid")) == pytest.approx(
        want, rel=1e-12
    )


# The factor is the shorter side over 256, rounded; of 661 x 650 rows and columns are left over, and left out.
@pytest.mark.parametrize(("shape", "factor"), [((383, 400), 1), ((384, 400), 2), ((661, 650), 3)])
def test_piq_averages_blocks_of_large_images_first(shape, factor):
    x, y = (part.double() for part in images((1, 1, *shape)))
    want = piq()(x, y)
    small = (torch.nn.functional.avg_pool2d(part, factor) for part in (x, y))
    assert distance(ssimae.ssim(*small, data_range=1.0, border="valid"), want) < TOLERANCE_64


def test_kornia_adds_eps_to_the_denominator():
    x, y = (part.double() for part in images())
    flat = 0.0 * x
    want = 1 - 1e-12 / (0.01**2 * C2 + 1e-12)
    assert kornia("ssim", 11)(flat, flat).mean().item() == pytest.approx(want, abs=1e-12)
    assert ssimae.ssim(flat, flat, data_range=1.0).item() == 1
    difference = distance(kornia("ssim", 11)(x, y), ssimae.ssim(x, y, data_range=1.0, reduction="none"))
    assert TOLERANCE_64 < difference < 1e-9


def test_sample_covariance_of_a_gaussian_window_counts_the_square_of_its_side():
    # What scikit-image does: N is the number of taps, not the effective number of pixels, 1 / sum of squared weights.
    x, y = (part.double() for part in images((1, 1, 40, 53)))
    want = structural_similarity(x[0, 0].numpy(), y[0, 0].numpy(), data_range=1.0, gaussian_weights=True)
    taps = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    effective = taps.sum() ** 4 / np.square(np.outer(taps, taps)).sum()
    plain = {"data_range": 1.0, "border": "valid"}
    assert abs(float(ssimae.ssim(x, y, **plain, c2=sample_c2(11))) - want) < TOLERANCE_64
    assert abs(float(ssimae.ssim(x, y, **plain, c2=C2 * (effective - 1) / effective)) - want) > 1e-6
