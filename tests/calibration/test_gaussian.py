"""Images are smoothed as SciPy smooths them, and the surface is described as SciPy's Gaussians describe it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from ssimae.calibration.gaussian import gaussian
from ssimae.calibration.places import CELL, N_BORDER, cell_means, place_features

LOG_ROUNDING = 1e-4
"""Of logarithms of spreads near one gray level, whose squares are differences of float32."""


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (64, 33), (131, 70)])
@pytest.mark.parametrize("sigma", [0.1, 1, 2.5, 16])
def test_numbers_are_scipys(shape: tuple[int, int], sigma: float) -> None:
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    np.testing.assert_array_equal(gaussian(values, sigma), gaussian_filter(values, sigma, mode="reflect"))
    every_second = values[::2, ::-1]
    np.testing.assert_array_equal(gaussian(every_second, sigma), gaussian_filter(every_second, sigma, mode="reflect"))


def test_a_width_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0 and below 10000, got 0"):
        gaussian(np.zeros((3, 3), np.float32), 0)


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (66, 131), (140, 61)])
def test_features_are_those_of_whole_maps(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    image = (0.4 + 0.2 * np.indices(shape).sum(axis=0) / sum(shape) + rng.normal(0, 0.05, shape)).astype(np.float32)
    found = place_features(image)

    def spread(mean: np.ndarray, square: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(square - mean * mean, 0))

    rows, columns = (np.minimum(np.arange(side), side - 1 - np.arange(side)).astype(np.float32) for side in shape)
    down, across = rows[:, None] + np.zeros(shape, np.float32), columns[None] + np.zeros(shape, np.float32)
    near = [(np.minimum(down, across), width) for width in (4, 16, 48)] + [(across, 16), (down, 16)]
    wanted = [cell_means(np.exp(-distance / width)) for distance, width in near]
    small, squares = cell_means(image), cell_means(image * image)
    means = [gaussian_filter(image, sigma) for sigma in (2, 4)]
    spreads = [
        cell_means(spread(mean, gaussian_filter(image * image, sigma)))
        for mean, sigma in zip(means, (2, 4), strict=True)
    ]
    coarse = gaussian_filter(small, 4)
    gradient = np.gradient(gaussian_filter(image, 1)) if min(shape) > 1 else (image * 0, image * 0)
    steepness = gaussian_filter(cell_means(np.hypot(*gradient)), 1)
    wanted += [*map(cell_means, means), coarse]
    wanted += [np.log(part + 1 / 300) for part in (*spreads, spread(coarse, gaussian_filter(squares, 4)), steepness)]
    assert found.shape[:2] == tuple(-(-side // CELL) for side in shape)
    np.testing.assert_allclose(found[..., : N_BORDER + 3], np.stack(wanted[: N_BORDER + 3], -1), rtol=2e-6, atol=0)
    np.testing.assert_allclose(found[..., N_BORDER + 3 :], np.stack(wanted[N_BORDER + 3 :], -1), atol=LOG_ROUNDING)
