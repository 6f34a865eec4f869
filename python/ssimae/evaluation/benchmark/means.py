"""Average metrics over data sets, each counting alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssimae.evaluation.metrics import METRICS

PUBLISHED = tuple(key for key, metric in METRICS.items() if not metric.is_score)
"""Names of the metrics that tables may hold: numbers in [0, 1] of which 1 is perfect."""


@dataclass(frozen=True)
class Column:
    """A number of every detector on every data set."""

    key: str
    """Name of its metric in ``metrics.json``."""
    title: str
    limit: float | None = None
    """Limit of the false positive rate that it goes up to."""

    @property
    def name(self) -> str:
        """Name in ``table.csv``."""
        return self.key if self.limit is None else f"{self.key}_{self.limit:g}"

    def of(self, metrics: Mapping[str, Any]) -> float | None:
        """Return the number from the content of a ``metrics.json``; None where it is undefined."""
        value: float | None = metrics.get(self.key)
        if self.limit is not None:
            value = metrics.get(METRICS[self.key].by_limit, {}).get(str(self.limit))
        return value


def columns_of(metrics: Mapping[str, Any], keys: Sequence[str] = ()) -> list[Column]:
    """Return the columns of some metrics, or of all in [0, 1]; one for each limit of the false positive rate.

    Parameters
    ----------
    metrics : mapping
        Content of a ``metrics.json``.
    keys : sequence of str, optional
        Names of metrics in the order wanted.
    """
    columns = []
    for key in dict.fromkeys(keys) or PUBLISHED:
        metric = METRICS[key]
        if metric.is_optional and metrics.get(key) is None and not keys:
            continue
        if metric.has_limit:
            columns += [Column(key, metric.heading(limit), limit) for limit in metrics["fpr_limits"]]
        else:
            columns.append(Column(key, metric.title))
    return columns


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean of a metric over data sets; None where it is undefined on one, as fewer would mislead."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if values and len(defined) == len(values) else None
