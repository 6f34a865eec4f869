"""Resample images with replacement, to tell how far a metric would move with other images (the bootstrap)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae._rust import count_levels
from ssimae.evaluation.arrays import as_flags, as_scores
from ssimae.evaluation.result import Evaluation, ImageScores

_COVERAGE = (2.5, 97.5)
_STEPS_BELOW, _STEPS_ABOVE, _STEPS_NEAR_ZERO = 500, 300, 200


@dataclass(frozen=True)
class Interval:
    """A value and the 95 % percentile interval of its resamples."""

    value: float
    low: float
    high: float


def grid_fprs(fpr_limit: float) -> NDArray[np.float64]:
    """Return false positive rates, ascending, whose thresholds follow the curves: fine up to the limit and near 0."""
    near_zero = np.geomspace(1e-6, fpr_limit, _STEPS_NEAR_ZERO)
    below, above = np.linspace(0, fpr_limit, _STEPS_BELOW), np.linspace(fpr_limit, 1, _STEPS_ABOVE)
    return np.unique(np.concatenate([near_zero, below, above]))


@dataclass(frozen=True)
class Levels:
    """Counts of one image at or above each of n thresholds."""

    false_positives: NDArray[np.uint64]
    """(n,): pixels without defect."""
    true_positives: NDArray[np.uint64]
    """(n,): pixels with defect."""
    overlap: NDArray[np.float64]
    """(n,): sum of the regions' covered shares."""


def measure_levels(
    map_: NDArray[Any], mask: NDArray[Any], thresholds: NDArray[np.float64], *, ignore: NDArray[Any] | None = None
) -> Levels:
    """Count one image's pixels, and the covered shares of its regions, above each threshold.

    Thresholds ascend; maps and masks are what :meth:`ssimae.Evaluator.update` takes.

    Raises
    ------
    ValueError
        As :meth:`ssimae.Evaluator.update` does.
    """
    ignored = None if ignore is None else as_flags(np.asarray(ignore))
    counts = count_levels(as_scores(np.asarray(map_)), as_flags(np.asarray(mask)), ignored, thresholds)
    return Levels(counts.false_positives, counts.true_positives, counts.overlap)


@dataclass(frozen=True)
class ImageLevels:
    """Counts of every image at the thresholds of one detector, from which metrics are resampled without the pixels."""

    false_positives: NDArray[np.float64]
    """(I, T), the highest threshold first; so are the next two."""
    true_positives: NDArray[np.float64]
    overlap: NDArray[np.float64]
    """Sums of the covered shares of each image's regions."""
    negatives: NDArray[np.float64]
    """(I,)."""
    positives: NDArray[np.float64]
    regions: NDArray[np.float64]
    images: ImageScores
    fpr_limit: float

    @classmethod
    def collect(cls, levels: Sequence[Levels], evaluation: Evaluation) -> ImageLevels:
        """Return the counts of images one after the other, at thresholds of which the lowest is below every score."""
        false_positives = np.array([level.false_positives[::-1] for level in levels], dtype=np.float64)
        true_positives = np.array([level.true_positives[::-1] for level in levels], dtype=np.float64)
        overlap = np.array([level.overlap[::-1] for level in levels])
        return cls(
            false_positives,
            true_positives,
            overlap,
            negatives=false_positives[:, -1],
            positives=true_positives[:, -1],
            regions=overlap[:, -1],
            images=evaluation.images,
            fpr_limit=next(iter(evaluation.aupros)),
        )

    def metrics(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return the metrics of resamples, by their names in ``metrics.json``: those that are here are resampled.

        Parameters
        ----------
        weights : ndarray of shape (B, I), float64
            How often each image is in each resample.

        Returns
        -------
        dict of ndarray of shape (B,), float64
            NaN where a metric is undefined. Curves are joined by straight lines between the thresholds.
        """
        fprs = _rates(weights @ self.false_positives, weights @ self.negatives)
        recalls = _rates(weights @ self.true_positives, weights @ self.positives)
        overlaps = _rates(weights @ self.overlap, weights @ self.regions)
        aupros = [_area_up_to(self.fpr_limit, x, y) for x, y in zip(fprs, overlaps, strict=True)]
        return {
            "auroc": np.asarray(np.trapezoid(recalls, fprs, axis=1)),
            "au_pro": np.array(aupros),
            "image_auroc": self._image_aurocs(weights),
        }

    def _image_aurocs(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        defective = self.images.is_defective
        good = ~defective & ~np.isnan(self.images.score)
        bad_scores, good_scores = self.images.score[defective][:, None], self.images.score[good][None]
        above = (bad_scores > good_scores) + (bad_scores == good_scores) / 2
        bad_weights, good_weights = weights[:, defective], weights[:, good]
        pairs = bad_weights.sum(axis=1) * good_weights.sum(axis=1)
        won = ((bad_weights @ above) * good_weights).sum(axis=1)
        return divided(won, pairs)


def resampled_weights(images: int, resamples: int, *, seed: int) -> NDArray[np.float64]:
    """Return how often each image is in each resample, (B, I): as many drawn with replacement as there are."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples).astype(np.float64)


def interval(exact: float, on_grid: float, resamples: NDArray[np.float64], *, lowest: float = -1.0) -> Interval:
    """Return an exact value and its interval, from resamples that are corrected for the error of the grid.

    What that moves out of `lowest` to 1, the range of the value, is cut off.
    """
    low, high = np.clip(np.nanpercentile(resamples - on_grid + exact, _COVERAGE), lowest, 1)
    return Interval(exact, float(low), float(high))


def divided(parts: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return parts of a whole that broadcasts to them; NaN where there is none."""
    shares: NDArray[np.float64] = np.divide(parts, whole, out=np.full(parts.shape, np.nan), where=whole > 0)
    return shares


def _rates(counts: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return counts (B, T) as shares of the total (B,), from 0 on; NaN where there is none."""
    shares = divided(counts, total[:, None])
    return np.concatenate([np.where(total > 0, 0.0, np.nan)[:, None], shares], axis=1)


def _area_up_to(limit: float, x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    if np.isnan(x[0]) or np.isnan(y[0]):
        return np.nan
    end = int(np.searchsorted(x, limit, side="right"))
    if end < len(x):
        part = (limit - x[end - 1]) / (x[end] - x[end - 1])
        x, y = np.append(x[:end], limit), np.append(y[:end], y[end - 1] + part * (y[end] - y[end - 1]))
    return float(np.trapezoid(y, x) / limit)
