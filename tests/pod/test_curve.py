"""The probability of detection agrees with known curves, published ones, and the likelihood taken point by point."""

import json
import math
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from ssimae.pod.curve import FEWEST, SURE_ROW, PodCurve, fit_pod

LOGIT_90 = math.log(9)

# Beetles killed by five hours of carbon disulphide: log10 of the dose, how many there were, how many died. Bliss 1935,
# Annals of Applied Biology 22, 134-167.
BEETLES = (
    (1.6907, 59, 6), (1.7242, 60, 13), (1.7552, 62, 18), (1.7842, 56, 28),
    (1.8113, 63, 52), (1.8369, 59, 53), (1.8610, 62, 61), (1.8839, 60, 60),
)  # fmt: skip


def simulated(
    generator: np.random.Generator, count: int, *, a50: float, slope: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Sizes from 4 to 64, evenly spread in their logarithm, and hits by a logistic curve."""
    sizes = np.exp(generator.uniform(math.log(4), math.log(64), count))
    return sizes, generator.random(count) < expit(slope * np.log(sizes / a50))


def log_likelihood(sizes: NDArray[np.float64], hit: NDArray[np.bool_], a90: float, slope: float) -> float:
    """The likelihood of one curve, hit by hit."""
    total = 0.0
    for size, found in zip(sizes, hit, strict=True):
        pod = 1 / (1 + math.exp(-LOGIT_90 - slope * math.log(size / a90)))
        total += math.log(pod if found else 1 - pod)
    return total


def test_published_fit_of_the_beetles_is_found() -> None:
    sizes = np.concatenate([np.full(count, 10**dose) for dose, count, _ in BEETLES])
    hit = np.concatenate([np.arange(count) < killed for _, count, killed in BEETLES])
    curve = fit_pod(sizes, hit)
    assert curve.slope is not None
    assert curve.intercept is not None
    # Dobson, An Introduction to Generalized Linear Models, sec. 7.3: -60.72 and 34.27 for log10 of the dose.
    assert curve.intercept == pytest.approx(-60.72, abs=0.005)
    assert curve.slope * math.log(10) == pytest.approx(34.27, abs=0.005)
    expected = [count * expit(curve.intercept + curve.slope * dose * math.log(10)) for dose, count, _ in BEETLES]
    np.testing.assert_allclose(expected, [3.46, 9.84, 22.45, 33.90, 50.10, 53.29, 59.22, 58.74], atol=0.006)


def test_fit_is_that_of_scikit_learn() -> None:
    sizes, hit = simulated(np.random.default_rng(1), 90, a50=12, slope=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # versions differ in how no penalty is spelled
        oracle = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(np.log(sizes)[:, None], hit)
    curve = fit_pod(sizes, hit)
    assert not curve.penalised
    assert curve.slope == pytest.approx(float(oracle.coef_[0, 0]), rel=1e-4)
    assert curve.intercept == pytest.approx(float(oracle.intercept_[0]), rel=1e-4)
    np.testing.assert_allclose(curve.pod, oracle.predict_proba(np.log(curve.sizes_px)[:, None])[:, 1], atol=1e-5)


def test_a90_95_is_the_largest_a90_that_the_likelihood_ratio_allows() -> None:
    sizes, hit = simulated(np.random.default_rng(2), 60, a50=12, slope=4)
    curve = fit_pod(sizes, hit)
    assert curve.a90 is not None
    assert curve.a90_95 is not None
    a90s, slopes = np.linspace(0.8 * curve.a90, 1.5 * curve.a90_95, 160), np.linspace(0.5, 12, 240)
    table = np.array([[log_likelihood(sizes, hit, a90, slope) for slope in slopes] for a90 in a90s])
    # One-sided 95 %: 2.706 is the 90 % quantile of chi-square with one degree of freedom.
    allowed = a90s[(2 * (table.max() - table.max(axis=1)) <= 2.706)]
    step = a90s[1] - a90s[0]
    assert curve.a90 == pytest.approx(a90s[table.max(axis=1).argmax()], abs=step)
    assert curve.a90_95 == pytest.approx(allowed.max(), abs=step)


def test_lower_bound_crosses_90_percent_at_a90_95_and_the_curve_at_a90() -> None:
    curve = fit_pod(*simulated(np.random.default_rng(3), 120, a50=10, slope=3))
    for values, size in ((curve.lower, curve.a90_95), (curve.pod, curve.a90)):
        logits = np.log(values) - np.log1p(-np.array(values))
        assert size is not None
        # The bound is taken on 101 sizes, and is not quite straight between them.
        assert float(np.interp(math.log(size), np.log(curve.sizes_px), logits)) == pytest.approx(LOGIT_90, abs=0.005)
    assert all(low < pod for low, pod in zip(curve.lower, curve.pod, strict=True))


@pytest.mark.parametrize(("count", "slope"), [(200, 3.0), (60, 20.0)])
def test_a90_95_lies_above_the_true_a90_as_often_as_it_says(count: int, slope: float) -> None:
    generator = np.random.default_rng(4)
    true = 10 * math.exp(LOGIT_90 / slope)
    above = 0
    for _ in range(200):
        curve = fit_pod(*simulated(generator, count, a50=10, slope=slope))
        above += curve.a90_95 is None or curve.a90_95 >= true
    # Of 200 trials at 95 %, fewer than 180 succeed once in a thousand times. Some 90 of the steep sets are separated by
    # a step, and count as the others do.
    assert above >= 180


def test_a50_and_a90_of_many_defects_are_the_true_ones() -> None:
    curve = fit_pod(*simulated(np.random.default_rng(5), 4000, a50=10, slope=3))
    # Standard errors of ln(a50) and ln(a90) here: about .016 and .027.
    assert curve.a50 == pytest.approx(10, rel=0.05)
    assert curve.a90 == pytest.approx(10 * math.exp(LOGIT_90 / 3), rel=0.08)


def test_pixels_or_millimetres_give_the_same_curve() -> None:
    sizes, hit = simulated(np.random.default_rng(6), 80, a50=10, slope=4)
    pixels, millimetres = fit_pod(sizes, hit), fit_pod(0.05 * sizes, hit)
    for name in ("a50", "a90", "a90_95"):
        assert getattr(millimetres, name) == pytest.approx(0.05 * getattr(pixels, name), rel=1e-6)
    np.testing.assert_allclose(millimetres.lower, pixels.lower, atol=1e-6)


def test_separated_hits_and_misses_give_an_a90_beside_the_step_and_a_bound_beyond() -> None:
    sizes = np.geomspace(4, 64, 60)
    curve = fit_pod(sizes, sizes > 15)
    assert curve.penalised
    assert curve.a50 == pytest.approx(15, rel=0.05)
    assert curve.a90 is not None
    assert curve.a90_95 is not None
    assert 15 < curve.a90 < curve.a90_95 < 25
    # Fewer defects say less.
    few = fit_pod(sizes[::3], sizes[::3] > 15)
    assert few.a90_95 is None or few.a90_95 > curve.a90_95


def test_all_found_need_29_in_a_row() -> None:
    sizes = np.geomspace(4, 64, 40)
    assert 0.9**SURE_ROW < 0.05 < 0.9 ** (SURE_ROW - 1)
    curve = fit_pod(sizes, np.ones(40, np.bool_))
    assert curve.a90 is None
    assert curve.missing["a90"] == "All 40 were found, down to the smallest, 4 px."
    assert curve.a90_95 == sizes[SURE_ROW - 1]
    assert fit_pod(sizes[:28], np.ones(28, np.bool_)).a90_95 is None


@pytest.mark.parametrize(
    ("hit", "reason"),
    [
        ([], "No such defect was planted."),
        ([True, False] * 5, f"Only 10 were planted, and a curve needs at least {FEWEST}."),
        ([False] * 30, "None of 30 was found, up to the largest, 64 px."),
        (
            [True] * 28 + [False] * 2,
            "Larger ones were not found more often than smaller ones. Of all sizes together 28 of 30 were found, which "
            "shows at least 80 % with 95 % confidence.",
        ),
    ],
)
def test_what_has_no_curve_says_why(hit: list[bool], reason: str) -> None:
    curve = fit_pod(np.geomspace(4, 64, len(hit)), np.array(hit, np.bool_))
    assert (curve.a50, curve.a90, curve.a90_95, curve.slope, curve.sizes_px) == (None, None, None, None, ())
    assert curve.missing == {"a50": reason, "a90": reason, "a90_95": reason}
    assert (curve.planted, curve.found) == (len(hit), sum(hit))


def test_the_share_of_all_sizes_is_bounded_as_scipy_bounds_it() -> None:
    for found in (1, 15, 29, 78):
        hit = np.arange(80) < found  # the smallest
        sure = binomtest(found, 80, alternative="greater").proportion_ci(0.95, "exact").low
        assert f"at least {math.floor(100 * sure)} %" in fit_pod(np.geomspace(4, 64, 80), hit).missing["a90_95"]


def test_one_size_has_no_curve() -> None:
    curve = fit_pod(np.full(40, 9.0), np.arange(40) % 2 == 0)
    assert curve.missing["a90"] == "All are of one size, so that nothing is known of others."


def test_sizes_beyond_the_planted_are_not_told() -> None:
    sizes, hit = simulated(np.random.default_rng(7), 200, a50=60, slope=2)
    curve = fit_pod(sizes, hit)
    assert curve.a90 is None
    assert "lies above the largest planted" in curve.missing["a90"]
    sizes, hit = simulated(np.random.default_rng(8), 400, a50=1.5, slope=2)
    curve = fit_pod(sizes, hit)
    assert curve.a50 is None
    assert "lies below the smallest planted" in curve.missing["a50"]


def test_a_slope_that_may_be_none_gives_no_bound() -> None:
    generator = np.random.default_rng(9)
    sizes = np.exp(generator.uniform(1, 4, 60))
    hit = np.arange(60) % 3 > 0
    order = np.argsort(sizes)
    curve = fit_pod(sizes[order], hit)
    assert curve.slope is not None
    assert curve.a90_95 is None
    assert curve.missing["a90_95"] == "It is not certain that larger ones are found more often than smaller ones."


def test_json_keeps_a_curve() -> None:
    curve = fit_pod(*simulated(np.random.default_rng(10), 80, a50=10, slope=4))
    assert PodCurve.from_dict(json.loads(json.dumps(curve.to_dict(), allow_nan=False))) == curve


@pytest.mark.parametrize(
    ("sizes", "hit", "message"),
    [
        (np.ones(3), np.ones(2, np.bool_), r"of one shape \(n,\), got \[3\] and \[2\]"),
        (np.ones((2, 2)), np.ones((2, 2), np.bool_), "of one shape"),
        (np.array([1.0, 0.0]), np.ones(2, np.bool_), "`size_px` must be positive and finite"),
        (np.array([1.0, np.nan]), np.ones(2, np.bool_), "`size_px` must be positive and finite"),
        (np.ones(2), np.ones(2), "`hit` must be of type bool, got float64"),
    ],
)
def test_sizes_and_hits_that_are_none_are_refused(
    sizes: NDArray[np.float64], hit: NDArray[np.bool_], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_pod(sizes, hit)
