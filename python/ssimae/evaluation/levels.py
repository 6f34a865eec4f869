"""What of one image lies above each of some thresholds: for resampling images, which needs them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae._rust import count_levels
from ssimae.evaluation.arrays import as_flags, as_scores


@dataclass(frozen=True)
class Levels:
    """What of one image lies at or above each of n thresholds."""

    false_positives: NDArray[np.uint64]
    """(n,): pixels without defect."""
    true_positives: NDArray[np.uint64]
    """(n,): pixels with defect."""
    overlap: NDArray[np.float64]
    """(n,): sum of the regions' covered shares."""


def levels_of(
    map_: NDArray[Any], mask: NDArray[Any], thresholds: NDArray[np.float64], *, ignore: NDArray[Any] | None = None
) -> Levels:
    """Return the counts of one image at some thresholds, ascending; maps and masks as :meth:`Evaluator.update` takes.

    Raises
    ------
    ValueError
        As there.
    """
    ignored = None if ignore is None else as_flags(np.asarray(ignore))
    counts = count_levels(as_scores(np.asarray(map_)), as_flags(np.asarray(mask)), ignored, thresholds)
    return Levels(counts.false_positives, counts.true_positives, counts.overlap)
