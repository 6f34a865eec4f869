"""Metrics of residual maps against ground-truth masks: exact, all images pooled; the work is done in Rust."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ssimae import _rust

CURVE_FPRS = 400
"""False positive rates of the overlap curve (Bergmann et al. 2019, fig. 7)."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one set of maps; every pixel of every image counts alike in the pixel metrics."""

    auroc: float
    """Area under the pixel ROC curve, in [0, 1]."""
    average_precision: float
    """Average precision of the pixels, as scikit-learn defines it."""
    aupros: dict[float, float]
    """AU-PRO for each limit of the false positive rate (MVTec AD, official evaluation 1.0)."""
    image_auroc: float | None
    """AUROC of the images by their highest score; None where one class is missing."""
    image_auroc_reason: str | None
    """Why there is no image AUROC."""
    overlap: NDArray[np.float64]
    """(Q, F): quantiles of the regions' covered share at given false positive rates."""
    overlap_quantiles: tuple[float, ...]
    overlap_fprs: tuple[float, ...]
    threshold_at_fpr: dict[float, float]
    """Lowest score whose false positive rate is at most the key."""
    roc: NDArray[np.float64]
    """(2, n): false and true positive rate, thinned for drawing; the metrics come from the full curve."""
    pro: NDArray[np.float64]
    """(2, n): false positive rate and mean overlap, thinned for drawing."""
    overlap_curve: NDArray[np.float64]
    """(1 + Q, 400): false positive rates, and the overlap quantiles over them."""
    n_regions: int
    n_images: int
    n_pixels: int

    @property
    def aupro(self) -> float:
        """AU-PRO at the first limit."""
        return next(iter(self.aupros.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON, under the official evaluation's names and ours."""
        return {
            "au_pro": self.aupro,
            "classification_au_roc": self.image_auroc,
            "auroc": self.auroc,
            "average_precision": self.average_precision,
            "image_auroc": self.image_auroc,
            "image_auroc_reason": self.image_auroc_reason,
            "fpr_limits": list(self.aupros),
            "aupros": {str(limit): value for limit, value in self.aupros.items()},
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
        }

    def curves(self) -> dict[str, NDArray[np.float64]]:
        """Return the curves by the names they have in ``curves.npz``."""
        return {
            "roc_fpr": self.roc[0],
            "roc_tpr": self.roc[1],
            "pro_fpr": self.pro[0],
            "pro_pro": self.pro[1],
            "overlap_fpr": self.overlap_curve[0],
            "overlap_quantiles": np.array(self.overlap_quantiles),
            "overlap_values": self.overlap_curve[1:],
        }


def evaluate_maps(
    maps: Iterable[NDArray[Any]],
    masks: Iterable[NDArray[Any]],
    *,
    fpr_limits: Sequence[float] = (0.3,),
    overlap_quantiles: Sequence[float] = (0.25, 0.5, 0.75),
    overlap_fprs: Sequence[float] = (0.01, 0.05, 0.1, 0.3),
    ignore: Iterable[NDArray[Any] | None] | None = None,
) -> Evaluation:
    """Return all metrics of anomaly maps against their masks.

    Parameters
    ----------
    maps : iterable of ndarray of shape (h, w)
        Scores, higher is more defective: any finite values of float16, float32, float64, uint8 or uint16; sizes may
        differ. One image is held at a time.
    masks : iterable of ndarray of shape (h, w), bool or any number
        Not zero is defect. Regions are the 8-connected components of each mask.
    fpr_limits : sequence of float in (0, 1]
        Limits of AU-PRO; the first is `aupro`.
    overlap_quantiles : sequence of float in [0, 1]
        Quantiles over regions of the share a detection covers.
    overlap_fprs : sequence of float in [0, 1]
        False positive rates of the overlap table.
    ignore : iterable of ndarray of shape (h, w) or None, optional
        Not zero is left out of everything.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If a shape or value is not as above, the numbers of maps and masks differ, or a metric is undefined because
        there is no pixel with, or none without, a defect.

    Notes
    -----
    AU-PRO sorts all scores, merges ties, averages the covered share of the regions, and integrates over the false
    positive rate up to the limit by trapezoids, interpolating at the limit; the area is divided by the limit. Overlap
    is taken at the lowest threshold whose false positive rate is at most the given one, without interpolation.

    References
    ----------
    Bergmann et al. 2019, sec. 4.3 and fig. 7. Bergmann, Batzner, Fauser, Sattlegger, Steger: The MVTec Anomaly
    Detection Dataset. IJCV 2021 (AU-PRO).
    """
    limits, quantiles, table = (tuple(map(float, values)) for values in (fpr_limits, overlap_quantiles, overlap_fprs))
    _check_range("fpr_limits", limits, lambda value: 0 < value <= 1, "in (0, 1]")
    _check_range("overlap_quantiles", quantiles, lambda value: 0 <= value <= 1, "in [0, 1]")
    _check_range("overlap_fprs", table, lambda value: 0 <= value <= 1, "in [0, 1]")

    accumulator: _rust.ScoreAccumulator | None = None
    image_scores: list[float] = []
    image_labels: list[bool] = []
    missing: Any = object()
    ignores: Iterator[Any] = iter(itertools.repeat(None) if ignore is None else ignore)
    for index, (map_, mask) in enumerate(itertools.zip_longest(maps, masks, fillvalue=missing)):
        if map_ is missing or mask is missing:
            raise ValueError(
                f"`maps` and `masks` must be as many; {'maps' if map_ is missing else 'masks'} end at {index}"
            )
        scores, is_defect = _as_scores(np.asarray(map_), index), np.asarray(mask) != 0
        left_out = next(ignores, missing)
        if left_out is missing:
            raise ValueError(f"`ignore` must be as many as `maps`; it ends at {index}")
        if is_defect.shape != scores.shape:
            raise ValueError(f"mask {index} must have the shape of its map {scores.shape}, got {is_defect.shape}")
        if left_out is not None and np.shape(left_out) != scores.shape:
            raise ValueError(
                f"`ignore` {index} must have the shape of its map {scores.shape}, got {np.shape(left_out)}"
            )
        if accumulator is None:
            accumulator = _rust.ScoreAccumulator(scores.dtype == np.float64)
        ignored = None if left_out is None else np.ascontiguousarray(np.asarray(left_out) != 0)
        try:
            accumulator.add(
                scores,
                np.ascontiguousarray(is_defect).view(np.uint8),
                None if ignored is None else ignored.view(np.uint8),
            )
        except ValueError as error:
            raise ValueError(f"map {index}: {error}") from error
        seen = scores if ignored is None else scores[~ignored]
        if seen.size:
            image_scores.append(float(seen.max()))
            image_labels.append(bool((is_defect if ignored is None else is_defect & ~ignored).any()))
    if accumulator is None:
        raise ValueError("`maps` is empty")

    curve_fprs = np.linspace(0.0, 1.0, CURVE_FPRS)
    fprs = np.unique(np.concatenate([curve_fprs, table]))
    negatives, positives, regions = accumulator.counts()
    auroc, average_precision, areas, overlap, thresholds, roc, pro = accumulator.curves(
        list(limits), list(quantiles), fprs.tolist()
    )
    in_table, in_curve = np.searchsorted(fprs, table), np.searchsorted(fprs, curve_fprs)
    image_auroc, reason = _image_auroc(image_labels, image_scores)
    return Evaluation(
        auroc=auroc,
        average_precision=average_precision,
        aupros=dict(zip(limits, areas, strict=True)),
        image_auroc=image_auroc,
        image_auroc_reason=reason,
        overlap=overlap[in_table].T,
        overlap_quantiles=quantiles,
        overlap_fprs=table,
        threshold_at_fpr={fpr: thresholds[place] for fpr, place in zip(table, in_table, strict=True)},
        roc=roc.T,
        pro=pro.T,
        overlap_curve=np.vstack([curve_fprs, overlap[in_curve].T]),
        n_regions=regions,
        n_images=len(image_scores),
        n_pixels=negatives + positives,
    )


def _as_scores(map_: NDArray[Any], index: int) -> NDArray[np.float32] | NDArray[np.float64]:
    if map_.ndim != 2:
        raise ValueError(f"map {index} must have shape (h, w), got {map_.shape}")
    if map_.dtype == np.float64:
        return np.ascontiguousarray(map_)
    if map_.dtype not in (np.float16, np.float32, np.uint8, np.uint16):
        raise ValueError(f"map {index} must be float16, float32, float64, uint8 or uint16, got {map_.dtype}")
    return np.ascontiguousarray(map_, dtype=np.float32)


def _image_auroc(labels: list[bool], scores: list[float]) -> tuple[float | None, str | None]:
    if all(labels):
        return None, "no defect-free test image"
    if not any(labels):
        return None, "no defective test image"
    return float(roc_auc_score(labels, scores)), None


def _check_range(name: str, values: tuple[float, ...], valid: Any, rule: str) -> None:
    for value in values:
        if not valid(value):
            raise ValueError(f"`{name}` must lie {rule}, got {value}")
    if not values:
        raise ValueError(f"`{name}` must not be empty")
