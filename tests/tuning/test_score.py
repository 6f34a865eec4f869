"""The score of planted defects, worked by hand."""

import numpy as np
import pytest
from ssimae.tuning.score import PlantedScore, score_maps


def case() -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Two good maps of levels 1 and 2; three defects of levels 3, 1.5 and 0 among pixels of 1 and less."""
    good = [np.full((4, 5), 2, np.float32), np.full((4, 5), 1, np.float32), np.full((4, 5), 0.5, np.float32)]
    first, second = np.zeros((10, 10), np.float32), np.zeros((10, 10), np.float32)
    labels = [np.zeros((10, 10), np.int32), np.zeros((10, 10), np.int32)]
    first[:2, :2], labels[0][:2, :2] = 3, 1
    first[5:7, 5:7], labels[0][5:7, 5:7] = [[9, 1.5], [1.5, 1.5]], 2
    labels[1][:2, :2] = 1
    second[5, :] = 1
    return good, [first, second], labels


def test_a_defect_is_found_where_enough_pixels_exceed_the_upper_half_of_good_levels() -> None:
    good, planted, labels = case()
    found = score_maps(good, planted, labels, min_area=2, ignored=[None, None])
    # Against levels 1 and 2: the first exceeds both; the second pixel of the second, 1.5, one; the last none.
    assert found.found == pytest.approx((2 + 1 + 0) / 6)
    # Two of three regions are covered before any false pixel; the ten of 188 at 1 take more than 5 % of them, and
    # beyond it there are but ties at 0, which rise from 2/3 at 10 / 188 on.
    assert found.au_pro == pytest.approx(2 / 3)
    assert found.value == pytest.approx((0.5 + 2 / 3) / 2)


def test_a_single_pixel_is_enough_where_a_region_is_one() -> None:
    good, planted, labels = case()
    assert score_maps(good, planted, labels, min_area=1, ignored=[None, None]).found == pytest.approx((2 + 2 + 0) / 6)
    # Of a defect smaller than a region half its pixels count: of four, the second.
    assert score_maps(good, planted, labels, min_area=19, ignored=[None, None]).found == pytest.approx((2 + 1 + 0) / 6)


def test_what_is_ignored_is_no_false_positive() -> None:
    good, planted, labels = case()
    planted[1][8, :5] = 5
    ignored = np.zeros((10, 10), bool)
    ignored[8, :5] = True
    with_them = score_maps(good, planted, labels, min_area=2, ignored=[None, None])
    without = score_maps(good, planted, labels, min_area=2, ignored=[None, ignored])
    assert with_them.au_pro < without.au_pro == pytest.approx(2 / 3)
    assert with_them.found == without.found


def test_perfect_maps_have_score_1_and_useless_ones_0() -> None:
    good, _, labels = case()
    perfect = [(label > 0) * np.float32(9) for label in labels]
    assert score_maps(good, perfect, labels, min_area=2, ignored=[None, None]) == PlantedScore(pytest.approx(1), 1)
    inverted = [np.float32(1) - (label > 0) for label in labels]
    assert score_maps(good, inverted, labels, min_area=2, ignored=[None, None]).value == pytest.approx(0)


def test_maps_without_a_planted_defect_are_refused() -> None:
    good, planted, _ = case()
    empty = [np.zeros((10, 10), np.int32)] * 2
    with pytest.raises(ValueError):  # noqa: PT011 - the evaluation's own words
        score_maps(good, planted, empty, min_area=2, ignored=[None, None])
