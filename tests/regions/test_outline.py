"""The outline of a region is the border of its pixels, holes filled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_fill_holes
from ssimae.regions import label_regions, outline_region, region_statistics


def drawn(corners: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels inside a polygon: a pixel is inside where edges wind round it."""
    turns = np.zeros((shape[0], shape[1] + 1), int)
    for (x, y), (next_x, next_y) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        assert (x == next_x) != (y == next_y)
        # A vertical edge turns all pixels to its right; those of the right side, which run down, turn them back.
        turns[min(y, next_y) : max(y, next_y), x] += np.sign(y - next_y)
    return np.cumsum(turns, axis=1)[:, : shape[1]] > 0


@settings(max_examples=200, deadline=None)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)), st.integers(0, 3))
def test_an_outline_holds_the_pixels_of_its_region_and_its_holes(mask: np.ndarray, turn: int) -> None:
    mask = np.ascontiguousarray(np.rot90(mask, turn))
    labels, count = label_regions(mask)
    for number, box in enumerate(region_statistics(labels, count).boxes, 1):
        corners = outline_region(mask, tuple(box.tolist()))
        filled = binary_fill_holes(labels == number)
        np.testing.assert_array_equal(drawn(corners, mask.shape), filled)
        x, y = corners.T
        # Shoelace formula: clockwise as one sees it, with y down.
        assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2 == filled.sum()
        assert (x.min(), y.min(), x.max(), y.max()) == (box[1], box[0], box[3], box[2])
        # Only corners: no point lies between two others on a straight line.
        steps = np.sign(np.diff(corners, axis=0, append=corners[:1]))
        assert not (steps == np.roll(steps, -1, axis=0)).all(axis=1).any()


def test_a_box_that_no_region_fills_is_refused() -> None:
    with pytest.raises(ValueError, match="no region fills the box"):
        outline_region(np.eye(5, dtype=bool), (0, 0, 4, 5))
