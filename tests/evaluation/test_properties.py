"""Every number of an evaluation, for maps of any kind, is that of a slow transcription of its definition."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score
from ssimae.evaluation.result import Evaluation
from support.evaluators import gathered, numbers
from support.oracles import area_up_to, official_pro, pooled

# Float64 sums of at most some thousand terms that add up to one.
EXACT_ATOL = 1e-12
QUANTILES = (0.0, 0.25, 0.5, 0.9, 1.0)


@dataclass(frozen=True)
class Case:
    maps: list[np.ndarray]
    masks: list[np.ndarray]
    ignores: list[np.ndarray | None]
    image_top: float
    memory_limit: int | None

    def evaluate(self, **options) -> Evaluation:
        evaluator = gathered(
            self.maps, self.masks, self.ignores, image_top=self.image_top, memory_limit=self.memory_limit
        )
        return evaluator.compute(**options)


def _scores(rng: np.random.Generator, mask: np.ndarray, kind: str, levels: int) -> np.ndarray:
    if kind in ("uint8", "uint16"):
        return (rng.integers(0, levels, mask.shape) + mask * (levels // 2)).astype(kind)
    scores = np.floor((rng.normal(size=mask.shape) + mask) * levels) / 4
    # Up to the ends of the type, where differences overflow; both zeros.
    extreme = {"float16": 6e4, "float32": 3e38, "float64": 1.7e308}[kind]
    scores[rng.random(mask.shape) < 0.1] = rng.choice([extreme, -extreme, 0.0, -0.0])
    return scores.astype(kind)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["float16", "float32", "float64", "uint8", "uint16"]))
    levels = draw(st.sampled_from([1, 2, 5, 100]))
    density = draw(st.sampled_from([0.02, 0.2, 0.5, 0.9]))
    shapes = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 14)), max_size=4))
    masks = [rng.random(shape) < density * rng.integers(0, 2) for shape in [*shapes, (3, 5)]]
    masks[-1][0, :2] = True, False
    ignoring = draw(st.booleans())
    ignores = [rng.random(mask.shape) < rng.choice([0.3, 1.0]) if ignoring else None for mask in masks]
    if ignoring:
        ignores[-1][0, :2] = False
    return Case(
        [_scores(rng, mask, kind, levels) for mask in masks], masks, ignores,
        draw(st.sampled_from([0.0, 0.1, 1.0])), draw(st.sampled_from([None, 0, 300])),
    )  # fmt: skip


def ranked(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rank of each score, the region each lies in, and the scores by rank.

    The oracles take differences of scores, which are infinite between the ends of a type.
    """
    scores, regions = pooled(case.maps, case.masks, case.ignores)
    levels, ranks = np.unique(scores, return_inverse=True)
    return ranks, regions, levels.astype(np.float64)


def rates_of(case: Case, data: st.DataObject) -> list[float]:
    """Return rates that are those of a threshold to the last bit, beside some that are of none."""
    _, regions = pooled(case.maps, case.masks, case.ignores)
    good = int(np.sum(regions == 0))
    counts = data.draw(st.lists(st.integers(0, good), min_size=1, max_size=4))
    return [count / good for count in counts] + data.draw(st.lists(st.floats(0, 1), max_size=2))


@settings(max_examples=150, deadline=None)
@given(cases(), st.data())
def test_pixel_metrics_are_those_of_scikit_learn(case: Case, data: st.DataObject) -> None:
    ranks, regions, levels = ranked(case)
    limits = [limit for limit in rates_of(case, data) if limit > 1e-6] or [0.3]
    found = case.evaluate(fpr_limits=limits)
    assert (found.n_pixels, found.n_regions) == (len(ranks), regions.max())
    assert found.auroc == pytest.approx(roc_auc_score(regions > 0, ranks), abs=EXACT_ATOL)
    assert found.average_precision == pytest.approx(average_precision_score(regions > 0, ranks), abs=EXACT_ATOL)
    precision, recall, thresholds = precision_recall_curve(regions > 0, ranks)
    f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-300))[:-1]
    assert found.best_f1 == pytest.approx(f1.max(), abs=EXACT_ATOL)
    detected = levels[ranks] >= found.best_f1_threshold
    hits = np.sum(detected & (regions > 0))
    assert found.best_f1 == pytest.approx(2 * hits / (detected.sum() + np.sum(regions > 0)), abs=EXACT_ATOL)
    assert found.best_f1_threshold == levels[thresholds[f1 >= f1.max() - EXACT_ATOL].max()]
    x, y = official_pro(ranks, regions)
    for limit, value in found.aupros.items():
        # Areas below small limits are differences of areas of the whole, divided by the limit.
        assert value == pytest.approx(area_up_to(limit, x, y), abs=EXACT_ATOL / min(1, 100 * limit))


@settings(max_examples=100, deadline=None)
@given(cases(), st.data())
def test_overlaps_and_thresholds_are_those_of_all_thresholds_tried(case: Case, data: st.DataObject) -> None:
    scores, regions = pooled(case.maps, case.masks, case.ignores)
    fprs = rates_of(case, data)
    found = case.evaluate(overlap_fprs=fprs, overlap_quantiles=QUANTILES)
    areas = np.bincount(regions, minlength=regions.max() + 1)
    for column, fpr in enumerate(fprs):
        threshold = np.inf
        for level in np.unique(scores)[::-1]:
            if np.sum(scores[regions == 0] >= level) / areas[0] > fpr:
                break
            threshold = float(level)
        assert found.threshold_at_fpr[fpr] == threshold
        shares = (np.bincount(regions[scores >= threshold], minlength=len(areas)) / np.maximum(areas, 1))[1:]
        np.testing.assert_array_equal(found.regions.overlap[:, column], shares)
        want = np.quantile(shares, QUANTILES)
        np.testing.assert_allclose(found.overlap[:, column], want, rtol=0, atol=EXACT_ATOL)


@settings(max_examples=60, deadline=None)
@given(cases(), st.data())
def test_regions_make_up_the_whole(case: Case, data: st.DataObject) -> None:
    ranks, regions, _ = ranked(case)
    found = case.evaluate(fpr_limits=(1.0, 0.3, 0.07))
    for index in data.draw(st.lists(st.integers(0, found.n_regions - 1), min_size=1, max_size=4)):
        own = (regions == 0) | (regions == index + 1)
        alone = (regions[own] > 0).astype(int)
        assert found.regions.area[index] == alone.sum()
        assert found.regions.auroc[index] == pytest.approx(roc_auc_score(alone, ranks[own]), abs=EXACT_ATOL)
        for column, limit in enumerate(found.aupros):
            want = area_up_to(limit, *official_pro(ranks[own], alone))
            assert found.regions.aupro[index, column] == pytest.approx(want, abs=EXACT_ATOL)
    weighted = np.average(found.regions.auroc, weights=found.regions.area)
    assert found.auroc == pytest.approx(weighted, abs=EXACT_ATOL)
    np.testing.assert_allclose(found.regions.aupro.mean(axis=0), list(found.aupros.values()), rtol=0, atol=EXACT_ATOL)
    np.testing.assert_allclose(found.aupros[1.0], found.regions.auroc.mean(), rtol=0, atol=EXACT_ATOL)


@settings(max_examples=100, deadline=None)
@given(cases(), st.data())
def test_curves_rise_from_corner_to_corner_over_the_metrics(case: Case, data: st.DataObject) -> None:
    limits = [limit for limit in rates_of(case, data) if limit > 1e-6] or [0.3]
    found = case.evaluate(fpr_limits=limits)
    for curve in (found.roc, found.pro):
        assert (np.diff(curve) >= 0).all()
        assert curve[:, [0, -1]].tolist() == [[0, 1], [0, 1]]
    assert auc(*found.roc) == pytest.approx(found.auroc, abs=EXACT_ATOL)
    for limit, value in found.aupros.items():
        inside = found.pro[0] <= limit
        assert found.pro[0, inside][-1] == limit
        area = np.trapezoid(found.pro[1, inside], found.pro[0, inside])
        assert area / limit == pytest.approx(value, abs=EXACT_ATOL / min(1, 100 * limit))
    recall, precision = found.precision_recall
    assert (np.diff(recall) > 0).all()
    assert recall[-1] == 1
    assert ((precision > 0) & (precision <= 1)).all()
    steps = np.sum(np.diff(recall, prepend=0) * precision)
    assert steps == pytest.approx(found.average_precision, abs=EXACT_ATOL)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_images_are_scored_by_their_highest_pixels(case: Case) -> None:
    found = case.evaluate()
    inspected = [map_[~ignore] if ignore is not None else map_.ravel() for map_, ignore in zip(case.maps, case.ignores)]
    for score, values in zip(found.images.score, inspected, strict=True):
        if not values.size:
            assert np.isnan(score)
            continue
        # Halves are rounded up. The sum of some of these is beyond float64.
        count = max(1, int(case.image_top * values.size + 0.5))
        want = np.sum(np.sort(values.astype(np.longdouble))[::-1][:count]) / count
        assert score == pytest.approx(float(want), rel=EXACT_ATOL, abs=EXACT_ATOL * float(np.abs(values).max()))
    kept = ~np.isnan(found.images.score)
    assert found.n_images == kept.sum()
    defective = found.images.is_defective[kept]
    if defective.all():
        assert (found.image_auroc, found.image_auroc_reason) == (None, "no defect-free test image")
    else:
        assert found.image_auroc == pytest.approx(roc_auc_score(defective, found.images.score[kept]), abs=EXACT_ATOL)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_types_that_hold_the_same_scores_change_no_bit(case: Case) -> None:
    kind = case.maps[0].dtype
    wider = {"float16": "float32", "uint8": "uint16", "uint16": "float32", "float32": "float64", "float64": "float64"}
    other = Case([map_.astype(wider[kind.name]) for map_ in case.maps], case.masks, case.ignores, case.image_top, None)
    assert numbers(other.evaluate()) == numbers(case.evaluate())


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(["halved", "ranks", "negative ranks"]))
def test_scores_in_the_same_order_change_no_bit_of_the_ranks(case: Case, change: str) -> None:
    levels, places = np.unique(np.concatenate([map_.ravel() for map_ in case.maps]), return_inverse=True)
    moved = {
        "halved": levels.astype(np.float64) / 2,
        "ranks": np.arange(len(levels), dtype=np.float64),
        "negative ranks": np.arange(len(levels), dtype=np.float64) - len(levels) - 1e6,
    }[change]
    ends = np.cumsum([map_.size for map_ in case.maps])[:-1]
    maps = [part.reshape(map_.shape) for part, map_ in zip(np.split(moved[places], ends), case.maps, strict=True)]
    other = Case(maps, case.masks, case.ignores, 0.0, None)
    same = Case(case.maps, case.masks, case.ignores, 0.0, case.memory_limit)
    assert numbers(other.evaluate(), of_scores=False) == numbers(same.evaluate(), of_scores=False)
