"""Detectors beside each other: exact values, intervals of resampled images, differences paired by region."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from ssimae.evaluation.comparison import Contender, compare
from ssimae.evaluation.evaluate import evaluate_maps
from ssimae.evaluation.evaluator import Evaluator
from ssimae.evaluation.metrics import METRICS
from ssimae.evaluation.resampling import ImageLevels, grid_fprs, interval, measure_levels, resampled_weights
from ssimae.figures.drawing import LINE_STYLES
from support.oracles import pooled, random_case

# Between thresholds at a thousand false positive rates curves are joined by straight lines.
GRID_ATOL = 1e-3


def detector(name, maps, masks, ignores=None) -> Contender:
    ignores = ignores or [None] * len(maps)
    evaluator = Evaluator()
    for map_, mask, ignore in zip(maps, masks, ignores):
        evaluator.update(map_, mask, ignore=ignore)
    evaluation = evaluator.compute()
    thresholds = evaluator.thresholds_at(grid_fprs(0.3))[::-1].copy()
    levels = [measure_levels(map_, mask, thresholds, ignore=ignore) for map_, mask, ignore in zip(maps, masks, ignores)]
    return Contender(name, evaluation, ImageLevels.collect(levels, evaluation))


def images(count, *, seed, gain=1.0, side=48):
    """Return maps and masks; every third image is good."""
    rng = np.random.default_rng(seed)
    masks = [ndimage.binary_dilation(rng.random((side, side)) < 0.004, iterations=2) for _ in range(count)]
    masks = [mask & (index % 3 != 0) for index, mask in enumerate(masks)]
    levels = rng.normal(scale=0.3, size=count)
    return [rng.normal(size=mask.shape) + gain * mask + level for mask, level in zip(masks, levels)], masks


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([None, 3, 20]), st.booleans())
def test_levels_are_counts_at_or_above_thresholds(seed, steps, ignoring) -> None:
    maps, masks, ignores = random_case(seed, steps, ignoring=ignoring)
    thresholds = np.unique(np.concatenate([np.linspace(-3, 3, 9), maps[0].ravel()[:5]]))
    for map_, mask, ignore in zip(maps, masks, ignores):
        scores, regions = pooled([map_], [mask], [ignore])
        areas = np.bincount(regions)
        found = measure_levels(map_, mask, thresholds, ignore=ignore)
        for place, threshold in enumerate(thresholds):
            above = regions[scores >= threshold]
            assert found.false_positives[place] == np.sum(above == 0)
            assert found.true_positives[place] == np.sum(above > 0)
            assert found.overlap[place] == pytest.approx(np.sum(1 / areas[above[above > 0]]), abs=1e-12)


def test_weights_of_one_give_the_exact_metrics_nearly() -> None:
    maps, masks = images(12, seed=1, side=200)
    found = detector("one", maps, masks)
    metrics = found.levels.metrics(np.ones((1, 12)))
    auroc, aupro, image_auroc = (metrics[name][0] for name in ("auroc", "au_pro", "image_auroc"))
    assert auroc == pytest.approx(found.evaluation.auroc, abs=GRID_ATOL)
    assert aupro == pytest.approx(found.evaluation.aupro, abs=GRID_ATOL)
    assert image_auroc == pytest.approx(found.evaluation.image_auroc, abs=1e-12)


def test_weights_are_copies_of_images() -> None:
    maps, masks = images(6, seed=2, side=150)
    weights = np.array([2, 0, 1, 3, 0, 1])
    copies = np.repeat(np.arange(6), weights)
    want = evaluate_maps([maps[index] for index in copies], [masks[index] for index in copies])
    metrics = detector("one", maps, masks).levels.metrics(weights[None].astype(float))
    auroc, aupro, image_auroc = (metrics[name][0] for name in ("auroc", "au_pro", "image_auroc"))
    assert auroc == pytest.approx(want.auroc, abs=GRID_ATOL)
    assert aupro == pytest.approx(want.aupro, abs=GRID_ATOL)
    assert image_auroc == pytest.approx(want.image_auroc, abs=1e-12)


def test_resamples_draw_as_many_images_as_there_are() -> None:
    weights = resampled_weights(7, 300, seed=3)
    assert weights.shape == (300, 7)
    assert (weights.sum(axis=1) == 7).all()
    np.testing.assert_array_equal(weights, resampled_weights(7, 300, seed=3))
    assert (weights != resampled_weights(7, 300, seed=4)).any()


def test_intervals_hold_their_share() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    found = interval(0.7, 0.2, values / 10 + 0.2)
    assert found.value == 0.7
    assert found.low == pytest.approx(0.7 - 0.196, abs=0.005)
    assert found.high == pytest.approx(0.7 + 0.196, abs=0.005)


def test_intervals_stay_in_the_range_of_their_metric() -> None:
    _, masks = images(9, seed=11)
    contenders = [
        detector(name, [gain * mask + np.random.default_rng(1).random(mask.shape) / 2 for mask in masks], masks)
        for name, gain in (("never", -2.0), ("always", 1.0))
    ]
    found = compare(contenders, overlap_fpr=0.05, resamples=200, seed=0)
    assert [own["auroc"].value for own in found.metrics] == [0, 1]
    for own in found.metrics:
        assert all(0 <= part.low <= part.high <= 1 for part in own.values())
    (difference,) = found.differences
    assert all(part.high <= 1 for part in difference.metrics.values())


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = detector("all", *images(1500, seed=99, side=32)).evaluation.auroc
    covered = []
    for seed in range(60):
        one = detector("one", *images(24, seed=seed, side=32))
        found = compare([one, one], overlap_fpr=0.05, resamples=200, seed=seed).metrics[0]["auroc"]
        covered.append(found.low <= truth <= found.high)
    # Percentile intervals of two dozen images fall short of 95 % by some points; 60 draws scatter by some more.
    assert 0.8 <= np.mean(covered) <= 1


def test_a_detector_does_not_differ_from_itself() -> None:
    one = detector("one", *images(9, seed=5))
    found = compare([one, one], overlap_fpr=0.05, resamples=100, seed=0)
    (difference,) = found.differences
    for own in (*difference.metrics.values(), difference.mean_overlap):
        assert (own.value, own.low, own.high) == (0, 0, 0)
    assert (difference.better, difference.worse) == (0, 0)
    assert difference.equal == one.evaluation.n_regions
    assert difference.largest == ()


def test_a_better_detector_is_better_region_by_region() -> None:
    maps, masks = images(18, seed=6)
    better = [map_ + mask for map_, mask in zip(maps, masks)]
    first, second = detector("first", maps, masks), detector("second", better, masks)
    found = compare([first, second], overlap_fpr=0.05, resamples=300, seed=0)
    (difference,) = found.differences
    for name, own in difference.metrics.items():
        exact = {"auroc": "auroc", "au_pro": "aupro", "image_auroc": "image_auroc"}[name]
        assert own.value == getattr(second.evaluation, exact) - getattr(first.evaluation, exact)
        assert own.low <= own.value <= own.high
    assert difference.metrics["au_pro"].low > 0
    gains = second.evaluation.regions.aupro[:, 0] - first.evaluation.regions.aupro[:, 0]
    assert difference.better == np.sum(gains > 0)
    assert difference.largest[0].au_pro[1] - difference.largest[0].au_pro[0] == gains.max()
    assert difference.mean_overlap.value == pytest.approx(
        (second.evaluation.regions.overlap - first.evaluation.regions.overlap)[:, 1].mean(), abs=1e-12
    )
    # Paired: the same images make both good or bad.
    width = difference.metrics["auroc"].high - difference.metrics["auroc"].low
    assert width < max(own["auroc"].high - own["auroc"].low for own in found.metrics)


def test_draws_of_one_kind_of_image_are_left_out_and_counted() -> None:
    maps, masks = images(3, seed=7)  # one of three is good
    one = detector("one", maps, masks)
    found = compare([one, one], overlap_fpr=0.05, resamples=400, seed=0)
    drawn = resampled_weights(3, 400, seed=0)
    assert found.skipped["image_auroc"] == np.sum((drawn[:, 0] == 0) | (drawn[:, 0] == 3))
    assert found.skipped["auroc"] == np.sum(drawn[:, 0] == 3)
    assert found.skipped["auroc"] > 0
    assert found.defective_images == 2


def test_without_good_images_there_is_no_interval_of_image_auroc() -> None:
    maps, masks = images(6, seed=8)
    one = detector("one", maps[1:3], masks[1:3])
    found = compare([one, one], overlap_fpr=0.05, resamples=100, seed=0)
    assert found.metrics[0].keys() == {"auroc", "au_pro"}


def test_detectors_differ_in_colour_or_line() -> None:
    assert len(set(LINE_STYLES)) == len(LINE_STYLES)


def test_other_regions_are_refused() -> None:
    one, other = detector("one", *images(4, seed=9)), detector("other", *images(4, seed=10))
    with pytest.raises(ValueError, match="other: evaluated on other images or masks than one"):
        compare([one, other], overlap_fpr=0.05, resamples=100, seed=0)


def test_every_resampled_metric_is_a_metric_of_the_evaluation() -> None:
    one = detector("one", *images(6, seed=12))
    assert one.levels.metrics(np.ones((1, 6))).keys() <= METRICS.keys()
    always = {key for key, metric in METRICS.items() if not metric.is_optional}
    assert always <= one.evaluation.to_dict().keys()
