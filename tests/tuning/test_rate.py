"""Fewer good images are flagged than may be where planted defects stand far above them, and not where they do not."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from ssimae.config.settings import Settings
from ssimae.inspection.threshold import Thresholds, named_thresholds, set_thresholds
from ssimae.tuning.held_out import JudgedMaps, found_defects
from ssimae.tuning.planting.planted import PlantedDefect
from ssimae.tuning.rate import with_rarer_calls

SIDE, COUNT = 64, 40


def allowed_of(strengths: list[float], false_calls: float = 0.05) -> tuple[Thresholds, JudgedMaps]:
    """Return thresholds, and maps with one defect each, so many times as high as the allowed level."""
    rng = np.random.default_rng(4)
    good = tuple(np.exp(gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2) * 3).astype(np.float32) for _ in range(COUNT))
    settings = Settings(min_area=16, false_calls=false_calls)
    allowed = set_thresholds(good, settings, held_out=True, precision="float32", engine="torch")
    planted, labels = [], []
    for strength in strengths:
        planted.append(np.full((SIDE, SIDE), 0.1, np.float32))
        planted[-1][20:30, 20:30] = np.float32(strength * allowed.review)
        labels.append(np.zeros((SIDE, SIDE), np.int32))
        labels[-1][20:30, 20:30] = 1
    defects = ((PlantedDefect("flat", 100, 0.1),),) * len(strengths)
    judged = JudgedMaps(good, tuple(range(COUNT)), (1.0,) * COUNT, tuple(planted), tuple(labels), defects)
    return allowed, judged


def found(thresholds: Thresholds, judged: JudgedMaps) -> int:
    return int(found_defects(judged.planted, judged.labels, judged.defects, thresholds).hit.sum())


def test_far_above_good_surfaces_fewer_good_images_are_flagged_and_as_many_defects_found() -> None:
    allowed, judged = allowed_of([5.0] * 18 + [0.2, 0.5])
    rarer = with_rarer_calls(allowed, judged)
    assert rarer.false_calls == pytest.approx(0.01)
    assert rarer.allowed == 0.05
    assert rarer.extrapolated  # 40 good images show no share of 1 in 100
    assert allowed.review < rarer.review < 5 * allowed.review
    assert rarer.defective > allowed.defective
    assert found(rarer, judged) == found(allowed, judged) == 18


def test_where_a_higher_level_loses_more_than_it_saves_the_allowed_share_stays() -> None:
    # One in 20 is lost at any higher level: more than all false calls that could be saved.
    allowed, judged = allowed_of([1.0001] * 2 + [5.0] * 18)
    assert with_rarer_calls(allowed, judged) == allowed
    assert found(allowed, judged) == 20


def test_a_level_between_is_taken() -> None:
    levels = {rate: set_thresholds(
        allowed_of([])[1].good, Settings(min_area=16, false_calls=rate), held_out=True, precision="float32", engine=""
    ).review for rate in (0.05, 0.05 / 2, 0.05 / 3)}  # fmt: skip
    between = (levels[0.05 / 2] + levels[0.05 / 3]) / 2 / levels[0.05]
    allowed, judged = allowed_of([between] * 10 + [5.0] * 10)
    rarer = with_rarer_calls(allowed, judged)
    assert rarer.false_calls == pytest.approx(0.025)
    assert rarer.review == pytest.approx(levels[0.05 / 2], rel=1e-6)


def test_what_is_allowed_is_worth_as_much_whatever_it_is() -> None:
    """Two of 100 defects are worth four fifths of the allowed share, 4 %, and six are not."""
    for share in (0.05, 0.2):
        few, many = ([1.0001] * lost + [20.0] * (100 - lost) for lost in (2, 6))
        assert with_rarer_calls(*allowed_of(few, share)).allowed == share
        assert with_rarer_calls(*allowed_of(many, share)).allowed is None


def test_levels_named_by_hand_are_of_no_share() -> None:
    rarer = with_rarer_calls(*allowed_of([5.0]))
    named = named_thresholds(rarer, 2.0, None)
    assert (named.false_calls, named.allowed) == (None, None)
    assert dataclasses.replace(rarer, allowed=None) == Thresholds.from_dict(
        {name: value for name, value in rarer.to_dict().items() if name != "allowed"}
    )  # files of earlier versions say nothing of it
