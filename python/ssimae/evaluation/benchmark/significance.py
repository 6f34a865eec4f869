"""Tell whether detectors differ over several data sets: by images drawn again, and by ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import friedmanchisquare, rankdata, studentized_range, wilcoxon

from ssimae.evaluation.comparison import Comparison
from ssimae.evaluation.resampling import Interval, interval

LEVEL = 0.05
"""Probability of calling detectors different that are not."""


@dataclass(frozen=True)
class MeanDifference:
    """The mean of a metric over the data sets under one detector, less that under the first."""

    name: str
    difference: Interval
    p: float
    """Of no difference, from the draws: two-sided."""
    p_holm: float
    """The same, corrected for as many detectors as are held against the first (Holm)."""

    @property
    def verdict(self) -> str:
        """Whether the detector is better than the first."""
        return "open" if self.p_holm >= LEVEL else "better" if self.difference.value > 0 else "worse"


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of detectors over data sets, 1 is best; equal ones share their ranks."""

    means: tuple[float, ...]
    test: str
    """`friedman`, or `wilcoxon` for two detectors."""
    p: float | None
    """Of all detectors being equal; None where they are on every data set."""
    critical_difference: float | None
    """Nemenyi: mean ranks that lie further apart belong to different detectors; None for two."""


@dataclass(frozen=True)
class Significance:
    """What one metric says."""

    metric: str
    """Name in ``metrics.json``."""
    differences: tuple[MeanDifference, ...]
    ranks: Ranks

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return asdict(self)


def significance(comparisons: Sequence[Comparison]) -> list[Significance]:
    """Return what each metric says that is defined on all data sets.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Of the same detectors on each data set, at least two; their draws are independent.

    Notes
    -----
    A draw takes images of each data set with replacement, the same for all detectors, and averages over the data sets:
    the interval says how far the mean would move with other images of these data sets. Ranks look at the data sets as a
    sample of all (Demšar 2006): Friedman's test, then Nemenyi's critical difference; for two detectors Wilcoxon's
    signed ranks.

    References
    ----------
    Demšar: Statistical Comparisons of Classifiers over Multiple Data Sets. JMLR 2006. Holm: A Simple Sequentially
    Rejective Multiple Test Procedure. Scandinavian Journal of Statistics 1979.
    """
    names = comparisons[0].names
    found = []
    for metric in comparisons[0].draws[0]:
        tables = [[of_each.get(metric) for of_each in comparison.metrics] for comparison in comparisons]
        if any(value is None for row in tables for value in row):
            continue
        values = np.array([[value.value for value in row if value is not None] for row in tables])
        draws = np.array([[of_each[metric] for of_each in comparison.draws] for comparison in comparisons])
        found.append(Significance(metric, _differences(names, values, draws), _ranks(values)))
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the same order."""
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = highest
    return corrected


def _differences(
    names: Sequence[str], values: NDArray[np.float64], draws: NDArray[np.float64]
) -> tuple[MeanDifference, ...]:
    """Return the differences from values (S, D) of S data sets and D detectors, and draws of them (S, D, B)."""
    means, drawn = values.mean(axis=0), draws.mean(axis=0)
    gains = [drawn[index] - drawn[0] for index in range(1, len(names))]
    gains = [gain[~np.isnan(gain)] for gain in gains]
    p_values = [_two_sided(gain) for gain in gains]
    return tuple(
        MeanDifference(name, interval(float(mean - means[0]), 0.0, gain - float(mean - means[0])), p, p_holm)
        for name, mean, gain, p, p_holm in zip(names[1:], means[1:], gains, p_values, holm(p_values), strict=True)
    )


def _two_sided(gains: NDArray[np.float64]) -> float:
    """Return the probability of no difference, with which a draw more on either side would agree."""
    sides = np.count_nonzero(gains <= 0), np.count_nonzero(gains >= 0)
    return min(1.0, 2 * (min(sides) + 1) / (len(gains) + 1))


def _ranks(values: NDArray[np.float64]) -> Ranks:
    sets, detectors = values.shape
    ranks = rankdata(-values, axis=1)
    means = tuple(ranks.mean(axis=0).tolist())
    equal = bool((values == values[:, :1]).all())
    if detectors == 2:
        p = None if equal else float(wilcoxon(values[:, 0], values[:, 1]).pvalue)
        return Ranks(means, "wilcoxon", p, None)
    spread = math.sqrt(detectors * (detectors + 1) / (6 * sets))
    critical = float(studentized_range.ppf(1 - LEVEL, detectors, np.inf)) / math.sqrt(2) * spread
    return Ranks(means, "friedman", None if equal else float(friedmanchisquare(*values.T).pvalue), critical)


def significance_content(found: Sequence[Significance]) -> Mapping[str, Any]:
    """Return the content of ``categories.json`` on it, by metric."""
    return {each.metric: {key: value for key, value in each.to_dict().items() if key != "metric"} for each in found}
