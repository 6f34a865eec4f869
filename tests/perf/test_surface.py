"""What inspection does besides the network, and the network's last layer, beside how it was done before."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, grey_opening
from ssimae.calibration.gaussian import gaussian
from ssimae.inspection.cleaning import disk_footprint, open_map
from ssimae.models.fast.inspecting import Doubling
from torch import nn

LABELS = ("ours", "before")

ROUNDING = {torch.float32: 2e-5, torch.bfloat16: 0.02}
"""Sums of 128 products of order one, in another order; of bfloat16, two steps of a sum near 1."""


def side_of(benchmark):
    return 64 if benchmark.disabled else 1024


def time_beside(beside, ours, before, *, name, size):
    return beside(
        ours,
        before,
        group="parts of inspection: ns a pixel",
        name=name,
        pixels=(size, size),
        labels=LABELS,
        sizes=str(size),
    )


@pytest.mark.parametrize("sigma", [1, 4])
def test_gaussian(benchmark, beside, sigma):
    image = np.random.default_rng(0).random((side_of(benchmark),) * 2, dtype=np.float32)
    ours, before = time_beside(
        beside,
        lambda: gaussian(image, sigma),
        lambda: gaussian_filter(image, sigma),
        name=f"Gaussian, sigma {sigma}",
        size=image.size,
    )
    np.testing.assert_array_equal(ours, before)


@pytest.mark.parametrize("diameter", [4, 11])
def test_opening(benchmark, beside, diameter):
    image = np.random.default_rng(0).random((side_of(benchmark),) * 2, dtype=np.float32)
    disk = disk_footprint(diameter)
    ours, before = time_beside(
        beside,
        lambda: open_map(image, diameter),
        lambda: grey_opening(image, footprint=disk),
        name=f"opening, disk of {diameter}",
        size=image.size,
    )
    inner = np.s_[diameter:-diameter, diameter:-diameter]  # SciPy's borders are others
    np.testing.assert_array_equal(ours[inner], before[inner])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_last_layer(benchmark, beside, dtype):
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(32, 1, 4, 2, 1)
    count = 2 if benchmark.disabled else 64
    layout = {"dtype": dtype, "memory_format": torch.channels_last}
    planes = torch.randn(count, 32, 32, 32).to(**layout)
    fast, plain = Doubling(layer).to(dtype), layer.to(**layout)
    with torch.inference_mode():
        ours, before = time_beside(
            beside,
            lambda: fast(planes).contiguous(),
            lambda: plain(planes).contiguous(),
            name=f"last layer, {str(dtype).removeprefix('torch.')}",
            size=count * 64 * 64,
        )
    torch.testing.assert_close(ours, before, rtol=0, atol=ROUNDING[dtype])
