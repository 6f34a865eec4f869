"""List the metrics of an evaluation, an entry each: ``metrics.json``, terminal, report and resampling follow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """One number of an evaluation."""

    key: str
    """Name in ``metrics.json`` and ``comparison.json``."""
    attribute: str
    """Attribute of :class:`ssimae.Evaluation` that holds it; None there where it is undefined."""
    title: str
    """Name in tables and figures."""
    meaning: str = ""
    """A sentence on it, for the report, in which ``{limit}`` and ``{guessing}`` are filled in."""
    has_limit: bool = False
    """Whether it is computed up to a limit of the false positive rate, which tables put behind its name."""
    by_limit: str = ""
    """Name in ``metrics.json`` of its values at all limits."""
    is_score: bool = False
    """Whether it is a score of the maps, of any size, and not a number in [0, 1] of which 1 is perfect."""
    in_report: bool = True
    """Whether the report shows it; the terminal shows all."""

    is_optional: bool = False
    """Whether it is left out where it is undefined, without a reason: not every evaluation has it."""

    def of(self, evaluation: Any) -> float | None:
        """Return the metric of an evaluation."""
        value: float | None = getattr(evaluation, self.attribute)
        return value

    def heading(self, limit: float) -> str:
        """Return the title of a row or column of it, where `limit` is that of the false positive rate."""
        return f"{self.title} {limit:g}" if self.has_limit else self.title

    def text(self, value: float | None, *, digits: int) -> str:
        """Return a value with so many digits behind the point; scores have four that count."""
        if value is None:
            return "–"
        return f"{value:.4g}" if self.is_score else f"{value:.{digits}f}"


_SPRO = "Mean covered share of the defects at false positive rates up to {limit}; enough of a defect counts as all."

_METRICS = (
    Metric(
        "auroc",
        "auroc",
        "Pixel AUROC",
        "Chance that a defective pixel has a higher residual than a good one; 0.5 is guessing, 1 perfect.",
    ),
    Metric(
        "average_precision",
        "average_precision",
        "Average precision",
        "How purely the highest residuals are defective, over all levels of recall{guessing}, 1 is perfect.",
    ),
    Metric(
        "au_pro",
        "aupro",
        "AU-PRO",
        "Mean covered share of the defect regions at false positive rates up to {limit}; small and large regions count "
        "alike, 1 is perfect.",
        has_limit=True,
        by_limit="aupros",
    ),
    Metric(
        "aupimo",
        "aupimo",
        "AUPIMO",
        "Mean covered share of each defective image where between 1 in 100,000 and 1 in 10,000 pixels of good images "
        "are marked.",
        is_optional=True,
    ),
    Metric("au_spro", "auspro", "AU-sPRO", _SPRO, has_limit=True, by_limit="auspros", is_optional=True),
    Metric(
        "image_auroc",
        "image_auroc",
        "Image AUROC",
        "Chance that a defective image's score exceeds that of a good image; 0.5 is guessing, 1 perfect.",
    ),
    Metric("best_f1", "best_f1", "Best F1 of pixels", in_report=False),
    Metric("best_f1_threshold", "best_f1_threshold", "Threshold of the best F1", is_score=True, in_report=False),
    Metric("segf1", "segf1", "F1 of pixels at threshold", in_report=False, is_optional=True),
)

METRICS = {metric.key: metric for metric in _METRICS}
"""Every metric by its name in ``metrics.json``, in the order of the tables."""
