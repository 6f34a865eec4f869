"""Break the metrics down by defect type and by size of the regions: small ones hide in a pooled AUC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ssimae.data.dataset import GOOD
from ssimae.evaluation.result import Evaluation

QUARTILES = ("smallest quarter", "second quarter", "third quarter", "largest quarter")


@dataclass(frozen=True)
class Part:
    """Metrics of some of the ground-truth regions, against the defect-free pixels of all images.

    All parts share one axis of false positive rates, as they share one threshold in use. They add up to the whole:
    its AU-PRO is the mean of theirs by number of regions, its pixel AUROC the mean by number of pixels.
    """

    name: str
    n_regions: int
    area_px: tuple[int, int] | None
    """Pixels of the smallest and the largest region; None without regions, as the metrics are."""
    auroc: float | None
    aupro: float | None
    """At the first limit."""
    overlap: tuple[float, ...] | None
    """Median covered share at each false positive rate of the evaluation's table."""
    image_auroc: float | None = None
    """Of the part's images against the defect-free ones; None where one kind is missing, or for sizes."""

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON, under the names that the whole has them."""
        return {
            "auroc": self.auroc,
            "au_pro": self.aupro,
            "image_auroc": self.image_auroc,
            "median_overlap": None if self.overlap is None else list(self.overlap),
            "n_regions": self.n_regions,
            "area_px": None if self.area_px is None else list(self.area_px),
        }


def by_defect(evaluation: Evaluation, defects: Sequence[str]) -> list[Part]:
    """Return the metrics of each defect type, by name.

    Parameters
    ----------
    evaluation : Evaluation
    defects : sequence of str
        Type of each evaluated image; `good` for defect-free ones.
    """
    kinds = np.array(defects)
    return [
        _part(
            evaluation,
            kind,
            kinds[evaluation.regions.image] == kind,
            image_auroc=_image_auroc(evaluation, kinds == kind, kinds == GOOD),
        )
        for kind in sorted(set(defects) - {GOOD})
    ]


def by_size(evaluation: Evaluation) -> list[Part]:
    """Return the metrics of the regions in quarters by area, the smallest first; empty ones are left out.

    Regions of equal area stay together, so that quarters may be of unequal numbers.
    """
    areas = evaluation.regions.area
    quarters = np.searchsorted(np.quantile(areas, (0.25, 0.5, 0.75)), areas, side="left")
    chosen = [quarters == number for number in range(len(QUARTILES))]
    return [_part(evaluation, name, regions) for name, regions in zip(QUARTILES, chosen, strict=True) if regions.any()]


def _part(evaluation: Evaluation, name: str, chosen: NDArray[np.bool_], *, image_auroc: float | None = None) -> Part:
    regions = evaluation.regions
    if not chosen.any():
        return Part(name, 0, None, None, None, None, image_auroc)
    areas = regions.area[chosen]
    return Part(
        name,
        n_regions=int(chosen.sum()),
        area_px=(int(areas.min()), int(areas.max())),
        auroc=float(np.average(regions.auroc[chosen], weights=areas)),
        aupro=float(regions.aupro[chosen, 0].mean()),
        overlap=tuple(np.median(regions.overlap[chosen], axis=0).tolist()),
        image_auroc=image_auroc,
    )


def _image_auroc(evaluation: Evaluation, part: NDArray[np.bool_], good: NDArray[np.bool_]) -> float | None:
    images = evaluation.images
    defective = part & images.is_defective
    chosen = defective | (good & ~np.isnan(images.score))
    if not defective.any() or defective[chosen].all():
        return None
    return float(roc_auc_score(defective[chosen], images.score[chosen]))
