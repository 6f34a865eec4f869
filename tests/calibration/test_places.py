"""Features of a place follow from what lies near it, and are finite for every image."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from ssimae import _rust
from ssimae.calibration.places import CELL, N_BORDER, _column_distances, place_features

REACH = 72
"""Pixels: 4 sigma of the widest Gaussian, over 4 cells of 4 pixels, and 8 for the finer ones before it."""

ROUNDING = 2e-3
"""Of logarithms of spreads, which are small differences of squares in float32, beside one gray level."""


@pytest.mark.parametrize("value", [0, 0.3, 1])
@pytest.mark.parametrize("shape", [(40, 50), (1, 30), (30, 1), (1, 1), (7, 9), (20, 23, 3)])
def test_features_of_a_constant_image_are_finite(value: float, shape: tuple[int, ...]) -> None:
    features = place_features(np.full(shape, value, np.float32))
    assert features.shape == (-(-shape[0] // CELL), -(-shape[1] // CELL), 12)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    inner = features[..., N_BORDER:]
    np.testing.assert_allclose(inner, np.broadcast_to(inner[0, 0], inner.shape), rtol=0, atol=0.2)


def test_features_are_those_of_the_whole_image_far_from_the_border_of_a_crop() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((300, 340), dtype=np.float32)
    image[:, 150:] *= 0.5
    top, left, height, width = 40, 60, 220, 240
    crop = np.ascontiguousarray(image[top : top + height, left : left + width])
    whole, part = place_features(image), place_features(crop)
    inside = np.s_[REACH // CELL : -REACH // CELL, REACH // CELL : -REACH // CELL]
    of_whole = whole[top // CELL : (top + height) // CELL, left // CELL : (left + width) // CELL][inside]
    np.testing.assert_allclose(part[inside][..., N_BORDER:], of_whole[..., N_BORDER:], rtol=0, atol=ROUNDING)
    assert (part[inside][..., :N_BORDER] > of_whole[..., :N_BORDER]).all()  # the border of the crop is nearer


def test_border_features_are_of_the_distance_alone_and_see_ignored_pixels() -> None:
    rng = np.random.default_rng(0)
    one, two = (place_features(rng.random((64, 80), dtype=np.float32))[..., :N_BORDER] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one, one[::-1, ::-1], rtol=1e-6)
    assert one[0].min() > 0
    assert (one[0, 0, :3] > one[8, 10, :3]).all()
    # 1.5 pixels is the mean distance of the four rows of a cell at the border.
    assert one[0, 10, 4] == pytest.approx(np.mean(np.exp(-np.arange(4) / 16)), rel=1e-6)
    ignored = np.zeros((64, 80), bool)
    ignored[28:36, 36:44] = True
    masked = place_features(np.zeros((64, 80), np.float32), ignored)
    assert (masked[6, 10, :3] > one[6, 10, :3]).all()
    np.testing.assert_array_equal(masked[..., 3:N_BORDER], one[..., 3:])


def test_gray_as_colour_has_the_features_of_gray() -> None:
    image = np.random.default_rng(0).random((33, 47), dtype=np.float32)
    colour = np.repeat(image[:, :, None], 3, axis=2)
    np.testing.assert_allclose(place_features(colour), place_features(image), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("shape", [(1, 9), (40, 31), (67, 90)])
def test_the_distance_from_what_is_ignored_is_scipys(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for share in (0.5, 0.05, 0.005):
        ignored = rng.random(shape) < share
        ignored.flat[rng.integers(ignored.size)] = True
        found = np.empty(shape, np.float32)
        _rust.distances(_column_distances(ignored), found)
        np.testing.assert_array_equal(found, distance_transform_edt(~ignored).astype(np.float32))
