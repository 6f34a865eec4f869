"""The threshold for a share of false calls is exceeded by about that share of new good images."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import expon, gumbel_r, lognorm, norm, uniform
from ssimae.config.settings import Settings
from ssimae.inspection.threshold import Thresholds, outlier_note, set_thresholds
from ssimae.levels.false_calls import false_call_level

SPREAD = 0.3
SIMULATIONS = 2000

SIMULATED = 0.05
"""Of a rate, about four standard errors: that of 1 - CDF of the highest of 39 is 1 / sqrt(2000) of its mean."""


def levels_of(count: int, simulations: int = SIMULATIONS) -> np.ndarray:
    return np.exp(SPREAD * np.random.default_rng(0).normal(size=(simulations, count)))


def rate_of(levels: np.ndarray, false_calls: float) -> float:
    """Return the probability that a new log-normal level exceeds the threshold, over all simulations."""
    thresholds = np.array([false_call_level(row, false_calls)[0] for row in levels])
    return float(norm.sf(np.log(thresholds) / SPREAD).mean())


@pytest.mark.parametrize(("count", "false_calls"), [(19, 1 / 20), (19, 3 / 20), (9, 1 / 10), (39, 1 / 2)])
def test_the_share_of_new_good_images_above_is_that_asked_for(count: int, false_calls: float) -> None:
    assert rate_of(levels_of(count), false_calls) == pytest.approx(false_calls, rel=SIMULATED)


@pytest.mark.parametrize("false_calls", [0.06, 0.14, 0.4])
def test_a_share_between_two_ranks_is_not_exceeded(false_calls: float) -> None:
    assert rate_of(levels_of(19), false_calls) < false_calls * (1 + SIMULATED)


TAILS = {"log-normal": lognorm(SPREAD), "exponential": expon(1, 0.3), "extreme values": gumbel_r(2, 0.5)}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_of_many_levels_the_share_is_met_more_closely_than_by_a_rank(tail: Any) -> None:
    """Of 48 levels the second highest stands for a share of 1 in 20."""
    levels = tail.rvs((SIMULATIONS, 48), random_state=np.random.default_rng(0))
    shares = tail.sf([false_call_level(row, 1 / 20)[0] for row in levels])
    by_rank = tail.sf(np.sort(levels)[:, -2])
    assert shares.mean() == pytest.approx(1 / 20, rel=0.1)
    off, off_by_rank = (np.sqrt(np.mean(np.log(20 * found) ** 2)) for found in (shares, by_rank))
    assert off < 0.75 * off_by_rank
    # Where a tail ends, fewer are flagged than may be, and not more.
    flat = uniform(1, 2)
    levels = flat.rvs((SIMULATIONS, 48), random_state=np.random.default_rng(0))
    assert flat.sf([false_call_level(row, 1 / 20)[0] for row in levels]).mean() < 1 / 20


@pytest.mark.parametrize("false_calls", [1 / 80, 1 / 200, 1 / 1000])
def test_an_extrapolated_share_is_not_exceeded_where_tails_are_log_normal(false_calls: float) -> None:
    assert rate_of(levels_of(39), false_calls) < false_calls


def test_an_extrapolated_level_is_that_of_an_exponential_tail() -> None:
    # Logarithms 0, 1, 3, the middle 1 and above it 2 on average: a quarter of the share seen, four times less often.
    level, extrapolated = false_call_level([np.e, 1.0, np.e**3], 1 / 16)
    assert extrapolated
    assert level == pytest.approx(np.e**3 * 4**2, rel=1e-6)
    assert false_call_level([1.0, np.e], 1 / 6) == (pytest.approx(np.e * np.sqrt(2), rel=1e-6), True)
    assert false_call_level([5.0], 0.01) == (5.0, True)  # one level shows no tail


@pytest.mark.parametrize("count", range(1, 20))
def test_shares_that_were_seen_give_the_level_of_their_rank(count: int) -> None:
    """Also where they went through the rounding of powers, as those of whole images do."""
    levels = np.random.default_rng(count).permutation(count) + 1.0
    for rank in range(1, count + 1):
        share = rank / (count + 1)
        for false_calls in (share, 1 - (1 - share) ** 1.0):
            assert false_call_level(levels, false_calls) == (count + 1 - rank, False)
    assert false_call_level(levels, 0.999 / (count + 1))[1]


@pytest.mark.parametrize("count", [1, 2, 5, 12, 20, 39, 90])
def test_a_rarer_rate_never_has_a_lower_level(count: int) -> None:
    levels = levels_of(count, 1)[0].astype(np.float32)
    found = [false_call_level(levels, rate) for rate in np.geomspace(0.9, 1e-5, 120)]
    values = [level for level, _ in found]
    assert values == sorted(values)
    assert [extrapolated for _, extrapolated in found] == sorted(extrapolated for _, extrapolated in found)
    assert all(float(np.float32(level)) == level for level in values)  # maps are compared with it in float32


def thresholds_of(maps: list[np.ndarray], shares: list[float] | None = None, **changes: object) -> Thresholds:
    return set_thresholds(
        maps, Settings(min_area=1, **changes), shares=shares, held_out=True, precision="float32", engine="torch"
    )


MAPS = [np.full((4, 5), level, np.float32) for level in levels_of(19, 1)[0]]


def test_bands_raise_the_level_of_review() -> None:
    """A false call on a fifth of an image is rarer than one on the whole."""
    reviews = [thresholds_of(MAPS, [share] * 19, false_calls=0.15).review for share in (1.0, 0.5, 0.2)]
    assert reviews[0] < reviews[1] < reviews[2]
    ordered = np.sort([float(map_[0, 0]) for map_ in MAPS])[::-1]
    # Of 20: 1 - .85^1 is 3 of them, 1 - .85^.5 is 1.56, 1 - .85^.2 is .64, and lies beyond what was seen.
    assert reviews[:2] == [ordered[2], ordered[0]]
    assert [thresholds_of(MAPS, [s] * 19, false_calls=0.15).extrapolated for s in (1.0, 0.5, 0.2)] == [0, 0, 1]
    assert thresholds_of(MAPS, false_calls=0.15).review == reviews[0]


@pytest.mark.parametrize("false_calls", [0.3, 0.05, 0.001])
def test_thresholds_record_the_share_and_defective_is_not_below_review(false_calls: float) -> None:
    found = thresholds_of(MAPS, false_calls=false_calls)
    assert found.false_calls == false_calls
    assert found.extrapolated == (false_calls < 0.05)
    assert found.defective >= max(found.review, *found.good_levels)
    assert Thresholds.from_dict(found.to_dict()) == found
    without = thresholds_of(MAPS)
    assert (without.false_calls, without.extrapolated) == (None, False)
    shares_of_pixels = {"threshold_rule": "fpr", "threshold_fpr": 0.02, "review_fpr": 0.05}
    pixels = thresholds_of([np.tile(map_, (9, 9)) for map_ in MAPS], false_calls=false_calls, **shares_of_pixels)
    assert (pixels.false_calls, pixels.extrapolated) == (None, False)


def test_the_word_on_an_image_that_stands_alone_says_whether_it_raised_the_threshold() -> None:
    maps = [np.full((4, 5), level, np.float32) for level in (1.0, 1.1, 1.2, 4.0)]
    names = ["a", "b", "c", "d"]
    for changes, effect in (({}, "did not raise"), ({"false_calls": 0.2}, "raised"), ({"false_calls": 0.4}, "did not")):
        note = outlier_note(thresholds_of(maps, **changes), names)
        assert note is not None
        assert f"It {effect}" in note
