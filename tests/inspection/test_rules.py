"""What a region is, by rules that are plain to read in SciPy; levels of good maps keep the same rules."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from ssimae.config.settings import Settings
from ssimae.inspection.threshold import rules_of, set_thresholds
from ssimae.inspection.verdict import segment
from ssimae.levels.rules import RegionRules, marked_regions, region_level

MAPS = arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 12)), elements=st.integers(0, 9).map(lambda n: n / 2)
)
RULES = st.builds(
    RegionRules,
    min_area=st.integers(1, 5),
    hysteresis=st.sampled_from([1.0, 0.75, 0.4]),
    merge_distance=st.integers(0, 4),
    min_length=st.sampled_from([0.0, 2.5, 4.0]),
    min_contrast=st.sampled_from([1.0, 1.25, 1.6]),
)


def regions_by_pairs(values: np.ndarray, review: float, rules: RegionRules) -> list[np.ndarray]:
    """Return the pixels (n, 2) of every region, from the distances of all pairs of pixels."""
    pixels = np.argwhere(values > np.float32(rules.hysteresis * review))
    if not len(pixels):
        return []
    apart = cdist(pixels, pixels)
    _, groups = connected_components(apart <= max(rules.merge_distance, 2**0.5))
    found = []
    for group in np.unique(groups):
        inside = pixels[groups == group]
        length = apart[np.ix_(groups == group, groups == group)].max() + 1
        peak = values[tuple(inside.T)].max()
        if len(inside) >= rules.min_area and length >= rules.min_length and peak > rules.min_contrast * review:
            found.append(inside)
    return found


@hypothesis_settings(max_examples=300, deadline=None)
@given(MAPS, RULES, st.integers(1, 16).map(lambda n: n / 4))
def test_regions_are_those_of_the_definition(values: np.ndarray, rules: RegionRules, review: float) -> None:
    mask, measures = marked_regions(values, review, rules)
    wanted = regions_by_pairs(values, review, rules)
    marked = np.zeros(values.shape, bool)
    for inside in wanted:
        marked[tuple(inside.T)] = True
    np.testing.assert_array_equal(mask, marked)
    assert sorted(measures.areas.tolist()) == sorted(map(len, wanted))
    peaks = [values[tuple(inside.T)].max() for inside in wanted]
    assert sorted(measures.max_scores.tolist()) == sorted(peaks)


@hypothesis_settings(max_examples=150, deadline=None)
@given(MAPS, RULES)
def test_no_region_is_left_at_the_level_and_one_is_just_below(values: np.ndarray, rules: RegionRules) -> None:
    level = np.float32(region_level(values, rules))
    assert not regions_by_pairs(values, float(level), rules) or level == values.min()
    if level > values.min():
        assert regions_by_pairs(values, float(np.nextafter(level, np.float32(-np.inf))), rules)


def test_thresholds_of_good_maps_carry_the_rules_and_leave_them_good() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.random((30, 41), np.float32) for _ in range(5)]
    settings = Settings(min_area=3, hysteresis=0.9, merge_distance=3, min_length=4.0, min_contrast=1.02)
    found = set_thresholds(maps, settings, held_out=True, precision="float32", engine="torch")
    assert found.rules == rules_of(settings) == RegionRules(3, 0.9, 3, 4.0, 1.02)
    assert {segment(map_, found)[2] for map_ in maps} == {"good"}
    below = dataclasses.replace(found, review=float(np.nextafter(np.float32(found.review), np.float32(0))))
    assert "good" in {segment(map_, below)[2] for map_ in maps} != {"good"}
    plain = set_thresholds(maps, Settings(min_area=3), held_out=True, precision="float32", engine="torch")
    assert plain.rules.plain
    assert plain.review != found.review


def test_a_scratch_in_pieces_is_one_region() -> None:
    values = np.full((20, 60), 1.0, np.float32)
    values[10, 5:55:4] = 3.0  # points three pixels apart
    values[10, 6:55:4] = 2.0
    assert not len(marked_regions(values, 2.5, RegionRules(10))[1].areas)
    _, found = marked_regions(values, 2.5, RegionRules(10, hysteresis=0.7, merge_distance=3, min_length=40.0))
    assert found.areas.tolist() == [26]
    assert not len(marked_regions(values, 2.5, RegionRules(10, 0.7, 3, min_length=60.0))[1].areas)
    assert not len(marked_regions(values, 2.5, RegionRules(10, 0.7, 3, min_contrast=1.3))[1].areas)


@pytest.mark.parametrize(
    ("name", "value"), [("hysteresis", 0.0), ("merge_distance", -1), ("min_length", np.inf), ("min_contrast", 0.9)]
)
def test_rules_outside_their_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}`"):
        Settings(**{name: value})
