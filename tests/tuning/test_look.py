"""Size, colour, grain and period of good images are seen before any training."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from ssimae.tuning.look import look_at


def weave(down: float, across: float, size: tuple[int, int] = (160, 200), noise: float = 0.03) -> np.ndarray:
    rows, columns = np.indices(size)
    waves = np.sin(2 * np.pi * rows / down) * np.sin(2 * np.pi * columns / across)
    return (0.5 + 0.2 * waves + np.random.default_rng(0).normal(0, noise, size)).astype(np.float32)


def surface(sigma: float, seed: int = 0, size: tuple[int, int] = (200, 240)) -> np.ndarray:
    grain = gaussian_filter(np.random.default_rng(seed).normal(size=size), sigma)
    return (0.5 + 0.1 * grain / grain.std()).astype(np.float32)


def looked(*images: np.ndarray):
    return look_at(images, [image.shape[:2] for image in images])


@pytest.mark.parametrize("period", [8, 13, 20])
def test_the_period_of_a_weave_is_found(period: int) -> None:
    look = looked(weave(period, period))
    assert look.period == period
    assert f"a period of {period} px" in look.in_words()


def test_the_longer_of_two_periods_counts() -> None:
    assert looked(weave(9, 21)).period == 21


@pytest.mark.parametrize("sigma", [0, 1.5, 4])
def test_noise_has_no_period_and_the_grain_it_was_made_with(sigma: float) -> None:
    look = looked(*(surface(sigma, seed) for seed in range(3)))
    assert look.period is None
    assert "no period" in look.in_words()
    # The correlation of noise under a Gaussian is a Gaussian, wider by the root of two: 1 / e at two sigma.
    assert look.grain == pytest.approx(max(1, 2 * sigma), abs=1)


def test_a_period_takes_more_than_half_of_the_images() -> None:
    with_it, without = weave(16, 16), surface(1.5)
    assert looked(with_it, with_it, without).period == 16
    assert looked(with_it, without).period is None


def test_gray_saved_as_colour_counts_as_gray_and_a_tint_as_colour() -> None:
    gray = surface(2)
    colour = np.repeat(gray[:, :, None], 3, axis=2)
    tinted = colour * np.array([1.0, 0.9, 0.8], np.float32)
    assert not looked(gray, colour).coloured
    assert "gray" in looked(colour).in_words()
    assert looked(colour, tinted).coloured
    assert "colour" in looked(tinted).in_words()
    # The noise of a camera's channels is no colour.
    noisy = colour + np.random.default_rng(0).normal(0, 0.005, colour.shape).astype(np.float32)
    assert not looked(noisy).coloured


def test_sizes_are_those_of_all_images() -> None:
    look = look_at([surface(1)], [(200, 240), (64, 400), (300, 300)])
    assert (look.images, look.smallest, look.largest, look.shortest_side) == (3, (64, 400), (300, 300), 64)
    assert look.in_words().startswith("3 good images of 400 x 64 to 300 x 300, gray, ")
    assert looked(surface(1)).in_words().startswith("1 good image of 240 x 200, ")


@pytest.mark.parametrize("size", [(32, 32), (32, 90), (33, 47)])
@pytest.mark.parametrize("value", [0.0, 0.3, None])
def test_small_and_constant_images_are_looked_at(size: tuple[int, int], value: float | None) -> None:
    image = surface(1, size=size) if value is None else np.full(size, value, np.float32)
    look = looked(image)
    assert np.isfinite(look.grain)
    assert look.period is None or value is None  # so few pixels of noise may seem to repeat
