"""An image is flagged where its score exceeds `review`, by a place or as a whole, and says why."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ssimae.inspection.inspector import Maps
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import PLACE, WHOLE, judge, segment
from ssimae.levels.false_calls import false_call_level

LEVELS = Thresholds(0.5, 0.75, "area", 4, True, 1, 1, "float32", "torch", (0.5,))


def maps_of(values: np.ndarray, *unlike: str, calibrated: bool = True) -> Maps:
    return Maps(None, values, values, calibrated=calibrated, unlike=unlike)


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(2, 8), st.integers(2, 8)), elements=st.integers(0, 9).map(np.float32)),
    st.integers(1, 4),
    st.one_of(st.integers(0, 9).map(float), st.floats(0.125, 9, width=32)),
)
def test_a_calibrated_image_is_flagged_exactly_where_its_score_exceeds_review(
    values: np.ndarray, min_area: int, review: float
) -> None:
    thresholds = dataclasses.replace(LEVELS, review=review, defective=review + 2, min_area=min_area)
    found = judge(maps_of(values), thresholds)
    assert (found.verdict != "good") == (found.score > review)
    assert (found.reason == PLACE) == (found.verdict != "good")
    assert found.mask.any() == bool(found.regions) == (found.verdict != "good")
    assert (found.regions, found.verdict) == segment(values, thresholds)[1:]


def test_an_extrapolated_threshold_tells_the_next_value_of_a_map() -> None:
    for highest in np.float32([1.7, 1.8, 1.9, 2.0]):
        level, _ = false_call_level([1.0, 1.3, float(highest)], 0.01)
        thresholds = dataclasses.replace(LEVELS, review=level, defective=10.0 * level)
        at_level = np.full((3, 3), level, np.float32)
        for values, verdict in ((at_level, "good"), (np.nextafter(at_level, np.float32(np.inf)), "review")):
            found = judge(maps_of(values), thresholds)
            assert found.verdict == verdict
            assert (found.score > level) == (verdict == "review")


def test_an_image_unlike_the_good_ones_is_reviewed_with_a_score_just_above() -> None:
    found = judge(maps_of(np.full((5, 6), 0.2, np.float32), "darker", "less sharp"), LEVELS)
    assert found.verdict == "review"
    assert found.reason == f"{WHOLE} (darker, less sharp)"
    assert found.score == np.nextafter(0.5, 1)
    assert not found.mask.any()
    assert found.regions == ()


@pytest.mark.parametrize(("value", "verdict"), [(0.6, "review"), (0.9, "defective")])
def test_a_place_and_the_whole_are_both_named_and_the_place_decides(value: float, verdict: str) -> None:
    values = np.zeros((5, 6), np.float32)
    values[1:3, 1:3] = value
    alone, both = judge(maps_of(values), LEVELS), judge(maps_of(values, "brighter"), LEVELS)
    assert (alone.verdict, alone.reason) == (verdict, PLACE)
    assert (both.verdict, both.reason) == (verdict, f"{PLACE}; {WHOLE} (brighter)")
    assert alone.score == both.score == np.float32(value)
    np.testing.assert_array_equal(both.mask, values > 0)


def test_a_residual_that_is_not_calibrated_is_judged_by_its_highest_value() -> None:
    values = np.zeros((5, 6), np.float32)
    values[0, 0] = 0.9  # one pixel is no region
    found = judge(maps_of(values, calibrated=False), LEVELS)
    assert (found.verdict, found.reason, found.score) == ("good", "", np.float32(0.9))
    values[2:4, 2:4] = 0.6
    found = judge(maps_of(values, calibrated=False), LEVELS)
    assert (found.verdict, found.reason, found.score) == ("review", PLACE, np.float32(0.9))
