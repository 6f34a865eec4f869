"""Compute AUPIMO: how much of the defects of each image is covered where hardly any pixel of good images is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FPR_BOUNDS = (1e-5, 1e-4)
"""False positive rates between which the overlap is averaged (Bertoldo et al. 2024)."""


class _HighestOfGood:
    """The highest scores of good images, each image counting alike, as far down as a false positive rate."""

    def __init__(self, images: int, fpr: float) -> None:
        self._images = images
        self._allowed = fpr * images
        self._scores = np.empty(0)
        self._shares = np.empty(0)
        self._kept = 0

    def add(self, scores: NDArray[Any]) -> None:
        """Add the inspected scores of an image, (n,)."""
        # The rate of all images is no lower than this one's by their number, so that none below decides.
        count = min(len(scores), math.floor(self._allowed * len(scores)) + 1)
        lowest = np.partition(scores, len(scores) - count)[len(scores) - count]
        values, counts = np.unique(scores[scores >= lowest], return_counts=True)
        self._scores = np.concatenate([self._scores, values.astype(np.float64)])
        self._shares = np.concatenate([self._shares, counts / len(scores)])
        if len(self._scores) > 2 * self._kept:
            self._scores, self._shares, _ = self._merged()
            self._kept = len(self._scores)

    def _merged(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return distinct scores, the highest first, the share at each, and the sums of the shares so far.

        The first whose sum exceeds what is allowed is the last.
        """
        values, places = np.unique(-self._scores, return_inverse=True)
        shares = np.bincount(places, self._shares).astype(np.float64)
        sums = np.cumsum(shares)
        end = int(np.searchsorted(sums, self._allowed, side="right")) + 1
        return -values[:end], shares[:end], sums[:end]

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return distinct scores, the highest first, and the false positive rate at each."""
        scores, _, sums = self._merged()
        return scores, sums / self._images


def aupimo(
    images: Sequence[int],
    is_defective: NDArray[np.bool_],
    read: Callable[[int], tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_] | None]],
    *,
    fpr_bounds: tuple[float, float] = FPR_BOUNDS,
    progress: Callable[[int], None] = lambda _: None,
) -> NDArray[np.float64]:
    """Return the area under the per-image overlap of each image, NaN for good ones.

    Parameters
    ----------
    images : sequence of int
        Numbers of the images of which something is inspected; each is read once.
    is_defective : ndarray of shape (I,), bool
        Whether an image has an inspected pixel with a defect.
    read : function of the number of an image
        Returns its map (h, w), its mask, and its ignore mask or None.
    fpr_bounds : tuple of float
        Lower and upper false positive rate, ``0 < lower < upper < 1``.
    progress : function of an int
        Told how many images are done.

    Returns
    -------
    ndarray of shape (I,), float64 in [0, 1]
        All NaN if there is no good image.

    Notes
    -----
    The false positive rate is the mean over the good images of the share of their pixels at or above a threshold. At a
    rate f, the lowest threshold whose rate is at most f counts, and an image's overlap is the share of its defective
    pixels at or above it: a step function, whose mean over log f between the bounds is exact. The official
    implementation takes some 300,000 thresholds, evenly spaced, and trapezoids between them.

    Only the highest scores of the good images are held, of about `upper` of all their pixels.

    References
    ----------
    Bertoldo, Ameln, Vaidya, Akçay: AUPIMO: Redefining Anomaly Localization Benchmarks with High Speed and Low
    Tolerance. BMVC 2024.
    """
    lower, upper = fpr_bounds
    values = np.full(len(is_defective), np.nan)
    good = [image for image in images if not is_defective[image]]
    if not good:
        return values
    highest = _HighestOfGood(len(good), upper)
    for count, image in enumerate(good, 1):
        map_, _, ignored = read(image)
        highest.add(map_.ravel() if ignored is None else map_[~ignored])
        progress(count)
    scores, rates = highest.curve()
    ends = np.log(np.clip(rates, lower, upper))
    widths = np.diff(ends, prepend=math.log(lower)) / math.log(upper / lower)
    for count, image in enumerate((image for image in images if is_defective[image]), len(good) + 1):
        map_, mask, ignored = read(image)
        defect = np.sort(map_[mask if ignored is None else mask & ~ignored].astype(np.float64))
        covered = 1 - np.searchsorted(defect, scores, side="right") / len(defect)
        values[image] = min(float(covered @ widths), 1.0)
        progress(count)
    return values
