"""Hold the result of an evaluation: metrics, curves, and the numbers of every region and image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ssimae.evaluation.decisions.decisions import Decisions
from ssimae.evaluation.metrics import METRICS, Metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RegionScores:
    """Scores of each ground-truth region; image by image, then in the order of their first pixels.

    Every number of a set of regions against all defect-free pixels follows: AU-PRO is the mean of `aupro`, the pixel
    AUROC the mean of `auroc` weighted by `area`.
    """

    image: NDArray[np.int64]
    """(R,): number of the image."""
    area: NDArray[np.int64]
    """(R,): pixels."""
    box: NDArray[np.int64]
    """(R, 4): top, left, bottom, right; half-open."""
    auroc: NDArray[np.float64]
    """(R,): area under the ROC curve of the region's pixels against all defect-free pixels of all images."""
    aupro: NDArray[np.float64]
    """(R, L): area under the covered share over the false positive rate up to each limit, divided by the limit."""
    overlap: NDArray[np.float64]
    """(R, F): covered share at each false positive rate of the overlap table."""


@dataclass(frozen=True)
class ImageScores:
    """Score of each image, in the order they came."""

    score: NDArray[np.float64]
    """(I,): highest score of its pixels, or mean of the highest; NaN where nothing is inspected."""
    is_defective: NDArray[np.bool_]
    """(I,): whether the mask marks a pixel that is inspected."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Metrics of one set of maps; every pixel of every image counts alike in the pixel metrics.

    Notes
    -----
    As the last line of a cell in a notebook it shows its metrics and curves.

    Thinned curves leave out steps below 1/2000 of either axis; longer lines stay as they are. What is left out becomes
    two straight lines: where they meet is no point of the curve, but chosen so that the area below them is that below
    the curve. Of precision, each point is the mean since the one before.

    Examples
    --------
    >>> import numpy as np
    >>> import ssimae
    >>> evaluation = ssimae.evaluate_maps([np.eye(8)], [np.eye(8)])
    >>> evaluation.aupro, evaluation.n_regions
    (1.0, 1)
    """

    auroc: float
    """Area under the pixel ROC curve, in [0, 1]."""
    average_precision: float
    """Average precision of the pixels, as scikit-learn defines it."""
    aupros: dict[float, float]
    """AU-PRO for each limit of the false positive rate (MVTec AD, official evaluation 1.0)."""
    image_auroc: float | None
    """AUROC of the images by their score (see `ImageScores`); None where one class is missing."""
    image_auroc_reason: str | None
    """Why there is no image AUROC."""
    overlap: NDArray[np.float64]
    """(Q, F): quantiles of the regions' covered share at given false positive rates."""
    overlap_quantiles: tuple[float, ...]
    overlap_fprs: tuple[float, ...]
    threshold_at_fpr: dict[float, float]
    """Lowest score whose false positive rate is at most the key; infinite where even the highest exceeds it."""
    best_f1: float
    """Highest F1 of the pixels over all thresholds."""
    best_f1_threshold: float
    """Score from which on pixels count as defects there; the highest such, if there are several."""
    roc: NDArray[np.float64]
    """(2, n): false and true positive rate, thinned; the trapezoids under it are the exact AUROC (see Notes)."""
    pro: NDArray[np.float64]
    """(2, n): false positive rate and mean overlap, thinned; the trapezoids up to each limit are the exact AU-PRO."""
    precision_recall: NDArray[np.float64]
    """(2, n): recall and precision, thinned; the sum of precision times the step of recall is the average precision."""
    overlap_curve: NDArray[np.float64]
    """(1 + Q, 440): false positive rates, and the overlap quantiles over them."""
    regions: RegionScores
    images: ImageScores
    n_regions: int
    n_images: int
    """Images of which some pixel is inspected."""
    n_pixels: int
    decisions: Decisions | None = None
    """What was decided at a threshold of the detector's own; None where it has none."""
    aupimos: NDArray[np.float64] | None = None
    """(I,): AUPIMO of each image, NaN for good ones; None where it was not asked for."""
    auspros: dict[float, float] | None = None
    """AU-sPRO for each limit of the false positive rate; None for other data than MVTec LOCO AD's."""

    def with_image_scores(self, scores: Sequence[float]) -> Evaluation:
        """Return the same, with the images judged by other scores than those of their pixels, in the same order."""
        score, defective = np.asarray(scores, np.float64), self.images.is_defective
        auroc = None if self.image_auroc is None else float(roc_auc_score(defective, score))
        return replace(self, image_auroc=auroc, images=ImageScores(score, defective))

    @property
    def segf1(self) -> float | None:
        """F1 of the pixels at the detector's own threshold; None where it has none."""
        return None if self.decisions is None else self.decisions.pixels.f1

    @property
    def aupimo(self) -> float | None:
        """Mean AUPIMO of the defective images; None without good ones, or where it was not asked for."""
        if self.aupimos is None or np.isnan(self.aupimos).all():
            return None
        return float(np.nanmean(self.aupimos))

    @property
    def auspro(self) -> float | None:
        """AU-sPRO at the first limit; None where there is none."""
        return None if self.auspros is None else next(iter(self.auspros.values()))

    @property
    def aupro(self) -> float:
        """AU-PRO at the first limit."""
        return next(iter(self.aupros.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON, under the official evaluation's names and ours."""
        return {
            "classification_au_roc": self.image_auroc,
            **{
                key: value
                for key, metric in METRICS.items()
                if (value := metric.of(self)) is not None or not metric.is_optional
            },
            "image_auroc_reason": self.image_auroc_reason,
            "fpr_limits": list(self.aupros),
            "aupros": {str(limit): value for limit, value in self.aupros.items()},
            **({} if self.auspros is None else {"auspros": {str(limit): it for limit, it in self.auspros.items()}}),
            "overlap": {
                "quantiles": list(self.overlap_quantiles),
                "fprs": list(self.overlap_fprs),
                "values": self.overlap.tolist(),
            },
            "threshold_at_fpr": {
                str(fpr): value if np.isfinite(value) else None for fpr, value in self.threshold_at_fpr.items()
            },
            "n_regions": self.n_regions,
            "n_images": self.n_images,
            "n_pixels": self.n_pixels,
            **({} if self.decisions is None else {"decisions": self.decisions.to_dict()}),
        }

    def curves(self) -> dict[str, NDArray[np.float64]]:
        """Return the curves by the names they have in ``curves.npz``."""
        return {
            "roc_fpr": self.roc[0],
            "roc_tpr": self.roc[1],
            "pro_fpr": self.pro[0],
            "pro_pro": self.pro[1],
            "pr_recall": self.precision_recall[0],
            "pr_precision": self.precision_recall[1],
            "overlap_fpr": self.overlap_curve[0],
            "overlap_quantiles": np.array(self.overlap_quantiles),
            "overlap_values": self.overlap_curve[1:],
        }

    def plot(self) -> Figure:
        """Return a figure of three panels: ROC of the pixels, per-region overlap, and quantiles of the overlap."""
        from ssimae.figures.curves import Curves, plot_all  # noqa: PLC0415 - with matplotlib

        return plot_all(Curves("", "", self.to_dict(), self.curves()))

    def _measured(self) -> list[Metric]:
        """Return the metrics but for the optional ones that were not asked for."""
        return [metric for metric in METRICS.values() if metric.of(self) is not None or not metric.is_optional]

    def __repr__(self) -> str:
        numbers = [f"{metric.key}={metric.text(metric.of(self), digits=4)}" for metric in self._measured()]
        return f"Evaluation({', '.join(numbers)}, n_images={self.n_images}, n_regions={self.n_regions})"

    def _repr_html_(self) -> str:
        from ssimae.figures.drawing import png_of  # noqa: PLC0415 - with matplotlib
        from ssimae.figures.markup import figure_tag, table  # noqa: PLC0415 - wanted by notebooks alone

        limit = next(iter(self.aupros))
        rows = [(metric.heading(limit), metric.text(metric.of(self), digits=4)) for metric in self._measured()]
        if self.image_auroc_reason is not None:
            reason = f"none: {self.image_auroc_reason}"
            rows = [(title, reason if title == METRICS["image_auroc"].title else text) for title, text in rows]
        rows += [("Images", f"{self.n_images:,}"), ("Regions", f"{self.n_regions:,}"), ("Pixels", f"{self.n_pixels:,}")]
        curves = figure_tag(png_of(self.plot()), "ROC of pixels, per-region overlap and region overlap", width=960)
        return f"<div>{table(rows)}{curves}</div>"
