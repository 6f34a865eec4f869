"""Compare detectors on the same images: intervals, and differences paired by image and by region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.evaluation.metrics import METRICS
from ssimae.evaluation.resampling import ImageLevels, Interval, divided, interval, resampled_weights
from ssimae.evaluation.result import Evaluation

FEW_IMAGES = 5
"""With fewer images with a defect than this, resampling says little."""

LISTED = 10
"""Regions that are listed for each comparison."""

_TIE = 1e-9


@dataclass(frozen=True)
class Contender:
    """One detector: its exact metrics, and the counts that resampling needs."""

    name: str
    evaluation: Evaluation
    levels: ImageLevels


@dataclass(frozen=True)
class RegionDifference:
    """One ground-truth region that two detectors find differently well."""

    image: int
    """Number of the image."""
    box: tuple[int, int, int, int]
    """Top, left, bottom, right; half-open."""
    area_px: int
    au_pro: tuple[float, float]
    """Its share of AU-PRO under the first detector and the other."""


@dataclass(frozen=True)
class Difference:
    """The difference between a detector and the first one."""

    name: str
    metrics: Mapping[str, Interval]
    better: int
    """Regions of higher AU-PRO than under the first."""
    worse: int
    equal: int
    mean_overlap: Interval
    """Mean difference of the regions' covered shares at `overlap_fpr`, resampled by image."""
    largest: tuple[RegionDifference, ...]
    """Regions that differ most."""


@dataclass(frozen=True)
class Comparison:
    """Detectors on the same images."""

    names: tuple[str, ...]
    metrics: tuple[Mapping[str, Interval], ...]
    differences: tuple[Difference, ...]
    """Of each detector but the first."""
    overlap_fpr: float
    resamples: int
    skipped: Mapping[str, int]
    """Resamples for which a metric is undefined, as they held images of one kind only."""
    seed: int
    defective_images: int
    draws: tuple[Mapping[str, NDArray[np.float64]], ...] = ()
    """(B,): each metric of each detector in each resample, corrected for the grid; NaN where undefined."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the draws, ready for JSON."""
        content = asdict(replace(self, draws=()))
        del content["draws"]
        return content


def compare(contenders: Sequence[Contender], *, overlap_fpr: float, resamples: int, seed: int) -> Comparison:
    """Compare detectors: each alone, and all others with the first.

    Parameters
    ----------
    contenders : sequence of Contender
        Evaluated on the same images and masks, in the same order.
    overlap_fpr : float
        False positive rate, one of the evaluations' table, at which covered shares are compared.
    resamples : int
        Times that images are drawn with replacement; the same draws for all detectors.
    seed : int

    Raises
    ------
    ValueError
        If the detectors were evaluated on other regions.

    Notes
    -----
    Values are exact. Intervals hold 95 % of the resampled values, which are computed from each image's counts at about
    a thousand thresholds, joined by straight lines; the small difference that makes at the given images is taken off.
    """
    first = contenders[0].evaluation
    for other in contenders[1:]:
        if not np.array_equal(first.regions.box, other.evaluation.regions.box):
            raise ValueError(f"{other.name}: evaluated on other images or masks than {contenders[0].name}")
    weights = resampled_weights(len(first.images.score), resamples, seed=seed)
    resampled = [_resample(contender, weights) for contender in contenders]
    metrics = [_intervals(values, lowest=0.0) for values in resampled]
    differences = [
        _difference(
            contenders[0], other, weights, overlap_fpr,
            _intervals({name: value - resampled[0][name] for name, value in values.items()}),
        )
        for other, values in zip(contenders[1:], resampled[1:], strict=True)
    ]  # fmt: skip
    return Comparison(
        names=tuple(contender.name for contender in contenders),
        metrics=tuple(metrics),
        differences=tuple(differences),
        overlap_fpr=overlap_fpr,
        resamples=resamples,
        skipped={name: int(np.isnan(resampled[0][name].drawn).sum()) for name in metrics[0]},
        seed=seed,
        defective_images=int(first.images.is_defective.sum()),
        draws=tuple(
            {name: value.drawn - value.on_grid + value.exact for name, value in values.items()} for values in resampled
        ),
    )


@dataclass(frozen=True)
class _Resampled:
    """A metric, or the difference of two: exact, from the counts of all images, and of each of B resamples."""

    exact: float
    """NaN where undefined, as are the others."""
    on_grid: float
    drawn: NDArray[np.float64]
    """(B,)."""

    def __sub__(self, other: _Resampled) -> _Resampled:
        return _Resampled(self.exact - other.exact, self.on_grid - other.on_grid, self.drawn - other.drawn)


def _resample(contender: Contender, weights: NDArray[np.float64]) -> dict[str, _Resampled]:
    """Return each metric that is resampled, by its name in ``metrics.json``."""
    on_grid, drawn = (contender.levels.metrics(counts) for counts in (np.ones((1, weights.shape[1])), weights))
    exact = {name: METRICS[name].of(contender.evaluation) for name in drawn}
    return {
        name: _Resampled(np.nan if value is None else value, float(on_grid[name][0]), drawn[name])
        for name, value in exact.items()
    }


def _intervals(values: Mapping[str, _Resampled], *, lowest: float = -1.0) -> dict[str, Interval]:
    """Return the interval of each metric that is defined, exactly and for a resample at least."""
    return {
        name: interval(value.exact, value.on_grid, value.drawn, lowest=lowest)
        for name, value in values.items()
        if not np.isnan(value.exact) and not np.isnan(value.drawn).all()
    }


def _difference(
    first: Contender,
    other: Contender,
    weights: NDArray[np.float64],
    overlap_fpr: float,
    metrics: dict[str, Interval],
) -> Difference:
    regions = first.evaluation.regions
    aupros, first_aupros = other.evaluation.regions.aupro[:, 0], regions.aupro[:, 0]
    gains = aupros - first_aupros
    column = first.evaluation.overlap_fprs.index(overlap_fpr)
    covered = other.evaluation.regions.overlap[:, column] - regions.overlap[:, column]
    # A resample draws an image with all its regions.
    images = weights.shape[1]
    sums, counts = np.bincount(regions.image, covered, images), np.bincount(regions.image, minlength=images)
    means = divided(weights @ sums, weights @ counts)
    order = np.argsort(-np.abs(gains), kind="stable")
    largest = [index for index in order[:LISTED] if abs(gains[index]) > _TIE]
    return Difference(
        name=other.name,
        metrics=metrics,
        better=int((gains > _TIE).sum()),
        worse=int((gains < -_TIE).sum()),
        equal=int((np.abs(gains) <= _TIE).sum()),
        mean_overlap=interval(float(covered.mean()), float(covered.mean()), means),
        largest=tuple(
            RegionDifference(
                int(regions.image[index]),
                tuple(regions.box[index].tolist()),
                int(regions.area[index]),
                (float(first_aupros[index]), float(aupros[index])),
            )
            for index in largest
        ),
    )
