"""Regions are the connected components of a mask, and their measures are those of their pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage
from ssimae.regions import keep_large_regions, label_regions, open_levels, region_statistics
from support.oracles import assert_same_partition

# Sums of at most a few thousand float64 values of order 100 or less.
MEAN_RTOL = 1e-12


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("density", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_regions_of_random_masks_are_those_of_scipy(density: float, connectivity: int) -> None:
    rng = np.random.default_rng(int(10 * density))
    for shape in [(1, 1), (1, 97), (97, 1), (2, 2), (61, 128), (131, 67)]:
        assert_same_partition(rng.random(shape) < density, connectivity)


@settings(max_examples=200, deadline=None)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)), st.sampled_from([4, 8]))
def test_regions_of_small_masks_are_those_of_scipy(mask: np.ndarray, connectivity: int) -> None:
    assert_same_partition(mask, connectivity)


def spiral(side: int) -> np.ndarray:
    """Return a mask of one arm that winds to the centre, one free pixel between its turns."""
    mask = np.zeros((side, side), dtype=bool)
    row, column, (step_row, step_column) = 0, 0, (0, 1)
    mask[0, 0] = True
    length = side - 1
    for turn in range(2 * side):
        for _ in range(max(length, 0)):
            row, column = row + step_row, column + step_column
            mask[row, column] = True
        step_row, step_column = step_column, -step_row
        if turn >= 2 and turn % 2 == 0:
            length -= 2
    return mask


def test_a_spiral_is_one_region_under_both_connectivities() -> None:
    mask = spiral(23)
    assert 200 < mask.sum() < 23 * 23
    for connectivity in (4, 8):
        assert label_regions(mask, connectivity=connectivity)[1] == 1
        assert_same_partition(mask[::-1, ::-1], connectivity)
        assert_same_partition(~mask, connectivity)


def test_a_chessboard_is_one_region_over_corners_and_single_pixels_over_edges() -> None:
    board = np.indices((8, 9)).sum(axis=0) % 2
    assert label_regions(board)[1] == 1
    labels, count = label_regions(board, connectivity=4)
    assert count == board.sum()
    np.testing.assert_array_equal(labels[board == 1], np.arange(1, count + 1))


@pytest.mark.parametrize("connectivity", [4, 8])
def test_regions_are_numbered_in_the_order_of_their_first_pixel(connectivity: int) -> None:
    mask = np.random.default_rng(1).random((40, 53)) < 0.35
    labels, count = label_regions(mask, connectivity=connectivity)
    found, first = np.unique(labels.ravel(), return_index=True)
    order = found[np.argsort(first)]
    np.testing.assert_array_equal(order[order > 0], np.arange(1, count + 1))


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (0, 4), (4, 0), (0, 0)])
def test_empty_masks_have_no_region_and_full_ones_have_one(shape: tuple[int, int], connectivity: int) -> None:
    labels, count = label_regions(np.zeros(shape), connectivity=connectivity)
    assert (count, labels.shape, labels.any()) == (0, shape, False)
    labels, count = label_regions(np.ones(shape), connectivity=connectivity)
    assert (count, labels.shape) == (int(labels.size > 0), shape)
    assert (labels == 1).all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32, np.float64])
def test_whatever_is_not_zero_is_inside(dtype: type) -> None:
    mask = np.array([[0, 7, 0], [0, 0, 0], [1, 0, 200]]).astype(dtype)
    np.testing.assert_array_equal(label_regions(mask)[0], [[0, 1, 0], [0, 0, 0], [2, 0, 3]])
    np.testing.assert_array_equal(label_regions(np.array([[-0.5, 0.0, 1e-30]]))[0], [[1, 0, 2]])


def test_memory_layout_does_not_matter() -> None:
    mask = np.random.default_rng(2).random((31, 18)) < 0.5
    want, count = label_regions(mask)
    for same in (np.asfortranarray(mask), np.repeat(mask, 2, axis=1)[:, ::2], mask[::-1].copy()[::-1]):
        labels, found = label_regions(same)
        assert found == count
        np.testing.assert_array_equal(labels, want)


@pytest.mark.parametrize("density", [0.05, 0.4, 0.95])
def test_statistics_are_those_of_the_pixels(density: float) -> None:
    rng = np.random.default_rng(3)
    labels, count = label_regions(rng.random((37, 53)) < density)
    scores = rng.normal(size=labels.shape).astype(np.float32)
    found = region_statistics(labels, count, scores=scores)
    assert all(len(values) == count for values in vars(found).values())
    for index in range(count):
        rows, columns = np.nonzero(labels == index + 1)
        values = scores[rows, columns].astype(np.float64)
        assert found.areas[index] == len(rows)
        np.testing.assert_array_equal(
            found.boxes[index], [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        )
        np.testing.assert_allclose(found.centroids[index], [rows.mean(), columns.mean()], rtol=MEAN_RTOL)
        assert found.max_scores[index] == values.max()
        np.testing.assert_allclose(found.mean_scores[index], values.mean(), rtol=MEAN_RTOL, atol=MEAN_RTOL)


def test_statistics_by_hand() -> None:
    labels = np.array([[1, 1, 0], [0, 1, 2]], dtype=np.int32)
    scores = np.array([[-1, -2, 9], [9, -6, 0.5]], dtype=np.float32)
    found = region_statistics(labels, 2, scores=scores)
    assert found.areas.tolist() == [3, 1]
    assert found.boxes.tolist() == [[0, 0, 2, 2], [1, 2, 2, 3]]
    assert found.centroids.tolist() == [[1 / 3, 2 / 3], [1, 2]]
    assert found.max_scores.tolist() == [-1, 0.5]
    assert found.mean_scores.tolist() == [-3, 0.5]


def test_without_scores_there_are_no_score_statistics() -> None:
    found = region_statistics(np.array([[1, 0, 2]], dtype=np.int32), 2)
    assert np.isnan(found.max_scores).all()
    assert np.isnan(found.mean_scores).all()
    assert found.areas.tolist() == [1, 1]


def test_no_region_has_no_statistics() -> None:
    found = region_statistics(np.zeros((3, 4), dtype=np.int32), 0, scores=np.ones((3, 4), dtype=np.float32))
    assert [values.shape for values in vars(found).values()] == [(0,), (0, 4), (0, 2), (0,), (0,)]


def test_other_dimensions_and_connectivities_are_refused() -> None:
    for shape in [(4,), (1, 4, 4), ()]:
        with pytest.raises(ValueError, match=r"`mask` must have shape \(h, w\), got"):
            label_regions(np.ones(shape))
    for connectivity in (0, 6, -8):
        with pytest.raises(ValueError, match=f"`connectivity` must be 4 or 8, got {connectivity}"):
            label_regions(np.ones((2, 2)), connectivity=connectivity)


@pytest.mark.parametrize("label", [3, -1, np.iinfo(np.int32).min])
def test_labels_beyond_the_count_are_refused_with_their_place(label: int) -> None:
    labels = np.zeros((4, 5), dtype=np.int32)
    labels[2, 3] = label
    with pytest.raises(ValueError, match=rf"label {label} at row 2, column 3 is not in 0\.\.=2"):
        region_statistics(labels, 2)


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`scores` must have the shape of `labels` \(4, 5\), got \(5, 4\)"):
        region_statistics(np.zeros((4, 5), dtype=np.int32), 0, scores=np.zeros((5, 4), dtype=np.float32))


@pytest.mark.parametrize("min_area", [1, 7, 60])
def test_what_is_kept_of_a_mask_are_its_large_regions(min_area: int) -> None:
    rng = np.random.default_rng(min_area)
    scores = rng.random((57, 83), np.float32)
    mask = scores > 0.6
    labels, count = label_regions(mask)
    all_ = region_statistics(labels, count, scores=scores)
    large = np.flatnonzero(all_.areas >= min_area)
    kept = mask.copy()
    found = keep_large_regions(kept, scores, min_area=min_area)
    np.testing.assert_array_equal(kept, np.isin(labels, large + 1))
    for name in ("areas", "boxes", "centroids", "max_scores", "mean_scores"):
        np.testing.assert_array_equal(getattr(found, name), getattr(all_, name)[large])
    with pytest.raises(ValueError, match="shape of `mask`"):
        keep_large_regions(kept, scores[1:], min_area=min_area)


@pytest.mark.parametrize("min_area", [1, 7, 60])
def test_opened_levels_hold_the_large_regions_above_each_level(min_area: int) -> None:
    rng = np.random.default_rng(min_area)
    levels = ndimage.gaussian_filter(rng.random((57, 83)), 1.5)
    levels = (255 * (levels - levels.min()) / np.ptp(levels)).astype(np.uint8)
    opened = open_levels(levels, min_area=min_area)
    for level in range(255):
        mask = levels > level
        keep_large_regions(mask, levels.astype(np.float32), min_area=min_area)
        np.testing.assert_array_equal(opened > level, mask)
