"""Count what a map marks above each of its levels, on defective and on good pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEVELS = 256


@dataclass(frozen=True)
class LevelCounts:
    """What one map marks at each of n thresholds; arrays are of shape (n,)."""

    peaks: NDArray[np.uint8]
    """Highest level of what is marked; 0 where nothing is."""
    hit: NDArray[np.int64] | None
    """Defective pixels that are marked; None without truth."""
    false: NDArray[np.int64] | None
    """Good pixels that are marked."""
    defective_above: NDArray[np.int64] | None
    """Defective pixels above the threshold, in regions of whatever size: what a ROC counts."""
    good_above: NDArray[np.int64] | None
    defective: int
    """Defective pixels that are inspected; 0 without truth."""
    good: int
    """Good pixels that are inspected; 0 without truth."""


def count_above(
    levels: NDArray[np.uint8],
    opened: NDArray[np.uint8],
    truth: NDArray[np.bool_] | None,
    ignored: NDArray[np.bool_] | None,
    *,
    n: int,
) -> LevelCounts:
    """Return the counts of one map.

    Parameters
    ----------
    levels : ndarray of shape (h, w), uint8
        Level of each pixel, 0..n.
    opened : ndarray of shape (h, w), uint8
        Highest level at which each pixel lies in a region large enough (:func:`ssimae.regions.open_levels`).
    truth : ndarray of shape (h, w), bool, or None
        Defective pixels.
    ignored : ndarray of shape (h, w), bool, or None
        Pixels that are not inspected.
    n : int
        Thresholds; level k exceeds the first k of them.
    """
    # How often each level occurs among the pixels of each opened level.
    pairs = np.bincount((opened.astype(np.int64) * _LEVELS + levels).ravel(), minlength=_LEVELS**2)
    highest = np.where(pairs.reshape(_LEVELS, _LEVELS) > 0, np.arange(_LEVELS), 0).max(axis=1)
    peaks = np.maximum.accumulate(highest[::-1])[::-1][1 : n + 1].astype(np.uint8)
    if truth is None:
        return LevelCounts(peaks, None, None, None, None, 0, 0)
    inspected = np.ones(truth.shape, np.bool_) if ignored is None else ~ignored
    defective, good = truth & inspected, ~truth & inspected
    return LevelCounts(
        peaks,
        hit=_above(opened[defective], n),
        false=_above(opened[good], n),
        defective_above=_above(levels[defective], n),
        good_above=_above(levels[good], n),
        defective=int(np.count_nonzero(defective)),
        good=int(np.count_nonzero(good)),
    )


def _above(levels: NDArray[np.uint8], n: int) -> NDArray[np.int64]:
    """Return how many pixels lie above each of n thresholds."""
    counted = np.bincount(levels, minlength=_LEVELS)
    above: NDArray[np.int64] = np.cumsum(counted[::-1])[::-1][1 : n + 1]
    return above
