"""Score a way to treat maps by what it finds of planted defects, against what good images show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssimae.evaluation.evaluate import evaluate_maps
from ssimae.levels.rules import area_level

FPR_LIMIT = 0.05
"""Limit of AU-PRO: verdicts rest on few false positives."""


@dataclass(frozen=True)
class PlantedScore:
    """How well planted defects are found."""

    au_pro: float
    """AU-PRO up to a false positive rate of 5 % over the planted images."""
    found: float
    """Share of the planted defects that exceed a good image's level, over the upper half of these levels."""

    @property
    def value(self) -> float:
        """Mean of both: places must be ranked well, and images must be judged well."""
        return (self.au_pro + self.found) / 2


def score_maps(
    good: Sequence[NDArray[np.float32]],
    planted: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.int32]],
    *,
    min_area: int,
    ignored: Sequence[NDArray[np.bool_] | None],
) -> PlantedScore:
    """Return the score of maps that were treated one way.

    Parameters
    ----------
    good : sequence of ndarray of shape (h, w), float32
        Maps of held-out good images or parts of them.
    planted : sequence of ndarray of shape (h, w), float32
        Maps of parts with planted defects.
    labels : sequence of ndarray of shape (h, w), int32
        Where the defects of each are; 0 for none.
    min_area : int
        Smallest region in pixels that counts.
    ignored : sequence of (ndarray of shape (h, w), bool, or None)
        What of each planted part is not inspected.

    Raises
    ------
    ValueError
        If there is no planted defect.
    """
    marked = [label > 0 for label in labels]
    evaluation = evaluate_maps(planted, marked, fpr_limits=(FPR_LIMIT,), ignore=ignored)
    levels = np.sort([area_level(map_, min_area) for map_ in good])
    upper = levels[len(levels) // 2 :]
    scores = np.array(
        [
            _defect_level(map_, label == number, min_area)
            for map_, label in zip(planted, labels, strict=True)
            for number in range(1, int(label.max()) + 1)
        ]
    )
    return PlantedScore(evaluation.aupros[FPR_LIMIT], float(np.mean(scores[:, None] > upper[None, :])))


def _defect_level(map_: NDArray[np.float32], defect: NDArray[np.bool_], min_area: int) -> float:
    """Return the level that enough pixels of a defect exceed: as many as a region needs, or half of a small one."""
    values = np.sort(map_[defect])[::-1]
    return float(values[min(min_area, (len(values) + 1) // 2) - 1]) if len(values) else 0.0
