"""Detectors side by side on the same images: intervals, and differences paired by image and by region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.evaluation.bootstrap import METRICS, ImageLevels, Interval, divided, interval, resampled_weights
from ssimae.evaluation.result import Evaluation

FEW_IMAGES = 5
"""Below so many images with a defect, resampling them says little."""

LISTED = 10
"""Regions that are listed for each comparison."""

_TIE = 1e-9


@dataclass(frozen=True)
class Contender:
    """One detector: its exact metrics, and what resampling its images needs."""

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
    """A detector less the first one."""

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

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return asdict(self)


def compare(contenders: Sequence[Contender], *, overlap_fpr: float, resamples: int, seed: int) -> Comparison:
    """Return detectors beside each other, the first being what the others are held against.

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
    images = len(first.images.score)
    weights = resampled_weights(images, resamples, seed=seed)
    exact = [np.array(_exact(contender.evaluation)) for contender in contenders]
    on_grid = [contender.levels.metrics(np.ones((1, images)))[0] for contender in contenders]
    drawn = [contender.levels.metrics(weights) for contender in contenders]
    metrics = [_intervals(*parts, lowest=0.0) for parts in zip(exact, on_grid, drawn, strict=True)]
    undefined = np.isnan(drawn[0]).sum(axis=0)
    differences = [
        _difference(
            contenders[0], contenders[number], weights, overlap_fpr,
            _intervals(exact[number] - exact[0], on_grid[number] - on_grid[0], drawn[number] - drawn[0]),
        )
        for number in range(1, len(contenders))
    ]  # fmt: skip
    return Comparison(
        names=tuple(contender.name for contender in contenders),
        metrics=tuple(metrics),
        differences=tuple(differences),
        overlap_fpr=overlap_fpr,
        resamples=resamples,
        skipped={name: int(count) for name, count in zip(METRICS, undefined, strict=True) if name in metrics[0]},
        seed=seed,
        defective_images=int(first.images.is_defective.sum()),
    )


def _exact(evaluation: Evaluation) -> tuple[float, ...]:
    image_auroc = np.nan if evaluation.image_auroc is None else evaluation.image_auroc
    return evaluation.auroc, evaluation.aupro, image_auroc


def _intervals(
    exact: NDArray[np.float64], on_grid: NDArray[np.float64], drawn: NDArray[np.float64], *, lowest: float = -1.0
) -> dict[str, Interval]:
    return {
        name: interval(float(exact[column]), float(on_grid[column]), drawn[:, column], lowest=lowest)
        for column, name in enumerate(METRICS)
        if not np.isnan(exact[column]) and not np.isnan(drawn[:, column]).all()
    }


def _difference(
    first: Contender,
    other: Contender,
    weights: NDArray[np.float64],
    overlap_fpr: float,
    metrics: dict[str, Interval],
) -> Difference:
    regions = first.evaluation.regions
    mine, theirs = other.evaluation.regions.aupro[:, 0], regions.aupro[:, 0]
    gains = mine - theirs
    column = first.evaluation.overlap_fprs.index(overlap_fpr)
    covered = other.evaluation.regions.overlap[:, column] - regions.overlap[:, column]
    # Regions come with their images.
    images = weights.shape[1]
    sums, counts = np.bincount(regions.image, covered, images), np.bincount(regions.image, minlength=images)
    means = divided(weights @ sums, weights @ counts)
    order = np.argsort(-np.abs(gains), kind="stable")
    largest = [place for place in order[:LISTED] if abs(gains[place]) > _TIE]
    return Difference(
        name=other.name,
        metrics=metrics,
        better=int((gains > _TIE).sum()),
        worse=int((gains < -_TIE).sum()),
        equal=int((np.abs(gains) <= _TIE).sum()),
        mean_overlap=interval(float(covered.mean()), float(covered.mean()), means),
        largest=tuple(
            RegionDifference(
                int(regions.image[place]),
                tuple(regions.box[place].tolist()),
                int(regions.area[place]),
                (float(theirs[place]), float(mine[place])),
            )
            for place in largest
        ),
    )
