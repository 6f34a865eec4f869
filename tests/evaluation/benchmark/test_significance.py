"""Detectors over several data sets: paired draws with Holm's correction, and ranks."""

import numpy as np
import pytest
from scipy.stats import chi2, norm
from ssimae.evaluation.benchmark.significance import holm, significance
from ssimae.evaluation.comparison import Comparison
from ssimae.evaluation.resampling import Interval


def comparison(values: list[float], draws: np.ndarray, names: tuple[str, ...]) -> Comparison:
    metrics = tuple({"au_pro": Interval(value, value, value)} for value in values)
    drawn = tuple({"au_pro": of_one} for of_one in draws)
    return Comparison(names, metrics, (), 0.05, draws.shape[1], {}, 0, 9, drawn)


def comparisons(table: np.ndarray, *, scatter: float = 0.01, seed: int = 0) -> list[Comparison]:
    rng = np.random.default_rng(seed)
    names = tuple("abcdef"[: table.shape[1]])
    return [comparison(row.tolist(), row[:, None] + rng.normal(0, scatter, (len(row), 4000)), names) for row in table]


def test_holm_corrects_step_by_step() -> None:
    # Worked by hand: 4 x .005, 3 x .01, 2 x .03, then no lower than that.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_difference_of_means_has_the_interval_and_probability_of_its_draws() -> None:
    table = np.array([[0.5, 0.503, 0.7], [0.6, 0.605, 0.8], [0.4, 0.401, 0.6], [0.5, 0.505, 0.7]])
    (found,) = significance(comparisons(table))
    near, far = found.differences
    # Four data sets, and each difference of two independent draws.
    spread = 0.01 * np.sqrt(2 / 4)
    assert near.difference.value == pytest.approx(table[:, 1].mean() - table[:, 0].mean())
    half = norm.ppf(0.975) * spread
    assert near.difference.low == pytest.approx(near.difference.value - half, abs=1e-3)
    assert near.difference.high == pytest.approx(near.difference.value + half, abs=1e-3)
    assert near.p == pytest.approx(2 * norm.sf(near.difference.value / spread), abs=0.05)
    assert (near.verdict, far.verdict) == ("open", "better")
    assert far.p == far.p_holm / 2 == 2 / 4001


def test_ranks_follow_friedman_and_nemenyi() -> None:
    sets, detectors = 14, 4
    table = np.random.default_rng(3).permuted(np.linspace(0.1, 0.9, sets * detectors)).reshape(sets, detectors)
    table[:, 1] += 0.2
    (found,) = significance(comparisons(table))
    ranks = 1 + (table[:, None, :] > table[:, :, None]).sum(axis=2)  # how many are better, and one
    means = ranks.mean(axis=0)
    assert found.ranks.means == pytest.approx(means.tolist())
    statistic = 12 * sets / (detectors * (detectors + 1)) * (np.sum(means**2) - detectors * (detectors + 1) ** 2 / 4)
    assert found.ranks.p == pytest.approx(chi2.sf(statistic, detectors - 1))
    # 2.569 is the value for four detectors at 5 % in Demšar 2006, table 5.
    assert found.ranks.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * sets)), abs=1e-3)


def test_two_detectors_are_ranked_by_wilcoxon_and_equal_ones_have_no_p() -> None:
    table = np.array([[0.5, 0.6], [0.4, 0.6], [0.3, 0.6], [0.2, 0.6], [0.1, 0.6]])
    (found,) = significance(comparisons(table))
    assert found.ranks.test == "wilcoxon"
    # All five of one sign: two of the 32 equally likely patterns are so extreme.
    assert found.ranks.p == pytest.approx(2 / 32)
    (equal,) = significance(comparisons(np.full((3, 3), 0.5), scatter=0.0))
    assert (equal.ranks.p, equal.ranks.means) == (None, (2.0, 2.0, 2.0))
    assert [of_one.p for of_one in equal.differences] == [1.0, 1.0]


def test_equal_detectors_are_called_different_about_as_seldom_as_said() -> None:
    rng = np.random.default_rng(1)
    called = []
    for seed in range(150):
        # The values scatter as their draws do.
        table = 0.5 + rng.normal(0, 0.01, (6, 3))
        (found,) = significance(comparisons(table, seed=seed))
        called.append(any(of_one.verdict != "open" for of_one in found.differences))
    assert np.mean(called) < 0.11
