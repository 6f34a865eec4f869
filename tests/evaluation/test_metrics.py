"""The metrics are exact: golden values, scikit-learn, and slow transcriptions of their definitions."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.metrics import auc, average_precision_score, roc_auc_score
from ssimae.evaluation.evaluate import evaluate_maps
from ssimae.evaluation.result import Evaluation
from support.oracles import area_up_to, official_pro, pooled, random_case

LIMITS = (0.01, 0.05, 0.1, 0.3, 1.0)
# The official evaluation sums false positives in float32; its results carry about nine digits.
OFFICIAL_ATOL = 1e-9
# Float64 sums of at most some million terms that add up to one.
EXACT_ATOL = 1e-12
# Curves for drawing leave out steps below 1/2000.
DRAWN_ATOL = 1e-3

GOLDEN = [
    (
        (5, 60, 40, 10),
        (0.003965217423, 0.029669564988, 0.055638260720, 0.155924637128, 0.500535826686),
        (0.003965217391, 0.029669565217, 0.055638260870, 0.155924637681, 0.500535826087),
    ),
    (
        (20, 100, 80, 7),
        (0.006397475310, 0.024534328855, 0.047382051891, 0.147996294543, 0.502963900677),
        (0.006397475353, 0.024534328887, 0.047382051802, 0.147996294481, 0.502963900061),
    ),
    (
        (200, 500, 300, 10),
        (0.004509792041, 0.024866646019, 0.049730608021, 0.151019266031, 0.500018458426),
        (0.004509792028, 0.024866645997, 0.049730608055, 0.151019266155, 0.500018458376),
    ),
]


@pytest.mark.parametrize(("case", "official", "exact"), GOLDEN, ids=["5 images", "20 images", "200 images"])
def test_aupro_has_the_golden_values(
    case: tuple[int, int, int, int], official: tuple[float, ...], exact: tuple[float, ...]
) -> None:
    count, width, height, side = case
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[:side, :side] = 1
    random = np.random.RandomState(1338)  # the stream of `np.random.seed(1338)`
    maps = (random.random_sample((height, width)) for _ in range(count))
    found = evaluate_maps(maps, [mask] * count, fpr_limits=LIMITS)
    assert tuple(found.aupros) == LIMITS
    np.testing.assert_allclose(list(found.aupros.values()), official, rtol=0, atol=OFFICIAL_ATOL)
    np.testing.assert_allclose(list(found.aupros.values()), exact, rtol=0, atol=EXACT_ATOL)
    assert (found.n_images, found.n_regions, found.n_pixels) == (count, count, count * width * height)
    assert found.image_auroc is None


def test_a_ramp_has_its_analytic_aupro() -> None:
    ramp = (np.arange(2800) / 2800).reshape(400, 7)
    mask = np.zeros((400, 7))
    mask[:, 3] = 1
    found = evaluate_maps([ramp], [mask], fpr_limits=(1 / 3,))
    assert found.aupro == pytest.approx(0.166665625, abs=EXACT_ATOL)


def test_tied_scores_are_one_point_of_the_curve() -> None:
    map_, mask = np.zeros((4, 4)), np.eye(4) * [1, 1, 0, 0]
    map_[0, 0] = 0.9
    found = evaluate_maps([map_], [mask], overlap_fprs=(0, 0.5, 1))
    assert found.n_regions == 1
    assert found.aupro == pytest.approx(0.575, abs=EXACT_ATOL)
    assert found.auroc == pytest.approx(0.75, abs=EXACT_ATOL)
    np.testing.assert_array_equal(found.overlap, [[0.5, 0.5, 1]] * 3)
    assert found.threshold_at_fpr == {0: 0.9, 0.5: 0.9, 1: 0}


def test_a_constant_map_has_the_diagonal_as_its_curves() -> None:
    mask = np.zeros((9, 11))
    mask[2:4, 5:8] = 1
    found = evaluate_maps([np.full((9, 11), 0.7)], [mask])
    assert found.aupro == pytest.approx(0.15, abs=EXACT_ATOL)
    assert found.auroc == 0.5
    assert found.average_precision == pytest.approx(6 / 99, abs=EXACT_ATOL)
    assert not found.overlap.any()
    assert set(found.threshold_at_fpr.values()) == {np.inf}
    assert set(found.to_dict()["threshold_at_fpr"].values()) == {None}


def test_a_perfect_map_has_one_everywhere() -> None:
    mask = np.random.default_rng(0).random((13, 17)) < 0.2
    found = evaluate_maps([mask * 2.0 - 1], [mask], fpr_limits=LIMITS)
    assert found.auroc == found.average_precision == 1
    np.testing.assert_allclose(list(found.aupros.values()), 1, rtol=0, atol=EXACT_ATOL)
    np.testing.assert_array_equal(found.overlap, 1)


def slow_overlap(scores: np.ndarray, regions: np.ndarray, fpr: float, quantile: float) -> tuple[float, float]:
    """Return the quantile of the covered shares at the lowest threshold whose FPR is at most `fpr`, and it."""
    good = scores[regions == 0]
    threshold = np.inf
    for level in np.unique(scores)[::-1]:
        if np.sum(good >= level) / len(good) > fpr:
            break
        threshold = level
    shares = [np.mean(scores[regions == region] >= threshold) for region in range(1, regions.max() + 1)]
    return float(np.quantile(shares, quantile)), threshold


CASES = [(seed, levels, ignoring) for seed in (1, 2) for levels in (None, 2, 7, 60) for ignoring in (False, True)]


@pytest.mark.parametrize(("seed", "levels", "ignoring"), CASES)
def test_metrics_equal_their_definitions(seed: int, levels: int | None, ignoring: bool) -> None:
    maps, masks, ignores = random_case(seed, levels, ignoring=ignoring)
    scores, regions = pooled(maps, masks, ignores)
    quantiles, fprs = (0.0, 0.25, 0.4, 1.0), (0.3, 0.0, 0.013, 1.0, 0.05)
    found = evaluate_maps(
        maps, masks, ignore=ignores, fpr_limits=LIMITS, overlap_quantiles=quantiles, overlap_fprs=fprs
    )
    assert found.n_regions == regions.max()
    assert found.n_pixels == len(scores)
    assert found.auroc == pytest.approx(roc_auc_score(regions > 0, scores), abs=EXACT_ATOL)
    assert found.average_precision == pytest.approx(average_precision_score(regions > 0, scores), abs=EXACT_ATOL)
    x, y = official_pro(scores, regions)
    for limit, value in found.aupros.items():
        assert value == pytest.approx(area_up_to(limit, x, y), abs=EXACT_ATOL)
    for column, fpr in enumerate(fprs):
        for row, quantile in enumerate(quantiles):
            share, threshold = slow_overlap(scores, regions, fpr, quantile)
            assert found.overlap[row, column] == pytest.approx(share, abs=EXACT_ATOL)
            assert found.threshold_at_fpr[fpr] == threshold
    highest = [map_[~ignore].max() if ignore is not None else map_.max() for map_, ignore in zip(maps, ignores)]
    assert found.image_auroc == pytest.approx(roc_auc_score([True, True, False, True], highest), abs=EXACT_ATOL)


def test_overlap_curve_is_the_overlap_at_even_rates_and_at_those_of_thresholds_in_use() -> None:
    maps, masks, ignores = random_case(3, 40)
    scores, regions = pooled(maps, masks, ignores)
    curve = evaluate_maps(maps, masks).overlap_curve
    assert curve.shape == (4, 440)
    assert set(np.linspace(0, 1, 400)) < set(curve[0])
    # A logarithmic axis from 1e-4 on shows no gap.
    assert np.all(np.diff(curve[0]) > 0)
    assert np.diff(np.log(curve[0, 1:41])).max() < 0.15
    for column in range(0, 440, 21):
        want = [slow_overlap(scores, regions, curve[0, column], quantile)[0] for quantile in (0.25, 0.5, 0.75)]
        np.testing.assert_allclose(curve[1:, column], want, rtol=0, atol=EXACT_ATOL)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40))
def test_pixel_metrics_of_few_tied_scores_are_those_of_scikit_learn(pixels: list[tuple[int, bool]]) -> None:
    scores, defects = np.array([[score, defect] for score, defect in [*pixels, (0, True), (0, False)]]).T
    found = evaluate_maps([scores[None].astype(np.float32)], [defects[None]])
    assert found.auroc == pytest.approx(roc_auc_score(defects, scores), abs=EXACT_ATOL)
    assert found.average_precision == pytest.approx(average_precision_score(defects, scores), abs=EXACT_ATOL)


def test_aupro_at_limit_one_is_the_mean_of_the_regions_own_auroc() -> None:
    for levels in (None, 9):
        maps, masks, ignores = random_case(4, levels)
        scores, regions = pooled(maps, masks, ignores)
        own = [
            roc_auc_score(regions[chosen] > 0, scores[chosen])
            for region in range(1, regions.max() + 1)
            if (chosen := (regions == 0) | (regions == region)).any()
        ]
        found = evaluate_maps(maps, masks, fpr_limits=(1.0,))
        assert found.aupro == pytest.approx(np.mean(own), abs=EXACT_ATOL)


def curves_for_drawing(found: Evaluation) -> Iterator[tuple[np.ndarray, float]]:
    yield found.roc, found.auroc
    yield found.pro, found.aupros[1.0]


def test_curves_for_drawing_rise_from_corner_to_corner_over_the_exact_area() -> None:
    rng = np.random.default_rng(5)
    mask = ndimage.binary_dilation(rng.random((150, 200)) < 0.01)
    for scores in (rng.normal(size=mask.shape) + mask, np.round(rng.normal(size=mask.shape) + mask)):
        for curve, area in curves_for_drawing(evaluate_maps([scores], [mask], fpr_limits=(1.0,))):
            assert curve[:, 0].tolist() == [0, 0]
            assert curve[:, -1].tolist() == [1, 1]
            assert (np.diff(curve) >= 0).all()
            assert curve.shape[1] < 5000
            assert auc(*curve) == pytest.approx(area, abs=DRAWN_ATOL)
