"""Choose the thresholds that the reader of a report can move to, and put maps into levels between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import in_bands, new_map

_MOST = 255
"""Thresholds of one slider: the levels between them and beyond fill one byte."""

_FEW = 32

_BELOW, _ABOVE = 4, 4
"""The lowest is `review` divided by this; the highest at most `defective` times this."""


@dataclass(frozen=True)
class Levels:
    """Thresholds in ascending order, and the levels between them: a map exceeds threshold k where its level does."""

    bounds: NDArray[np.float64]
    """(n,), at most 255, distinct as float32."""

    def of(self, map_: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the level of each pixel, in the map's shape: how many of the thresholds it exceeds."""
        # A map of float32 is compared as its segmentation does, in float32.
        bounds = self.bounds.astype(np.float32) if map_.dtype == np.float32 else self.bounds
        levels: NDArray[np.uint8] = new_map(map_.shape, np.uint8)
        return in_bands(lambda band: np.searchsorted(bounds, map_[band.rows]).astype(np.uint8), levels, map_)

    def index(self, threshold: float) -> int:
        """Return the number of the threshold nearest to a value."""
        return int(np.argmin(np.abs(self.bounds - threshold)))


def levels_around(review: float, defective: float, highest: float, *, fine: bool = True) -> Levels:
    """Return levels around two thresholds, which are among the bounds themselves; the others are short numbers.

    Parameters
    ----------
    review, defective : float
    highest : float
        Highest score of an image.
    fine : bool
        Whether all levels that fill a byte are wanted, or a few, as each costs a segmentation of its own.

    Notes
    -----
    They are evenly spaced in their logarithm, where maps are positive: a step is about a hundredth of the value, or of
    few levels a tenth.
    """
    top = min(max(1.1 * highest, 1.5 * defective), _ABOVE * defective)
    count = (_MOST if fine else _FEW) - 2
    if review > 0:
        spaced = np.geomspace(review / _BELOW, top, count)
    else:
        spaced = np.linspace(review, max(highest, defective) + 1e-3 * (1 + abs(review)), count)
    return _distinct([float(f"{value:.4g}") for value in spaced], (review, defective))


def levels_of_scores(scores: NDArray[np.floating], thresholds: Sequence[float] = ()) -> Levels:
    """Return levels that thin out scores of any range evenly: from the middle one on, by what lies above.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Pixels drawn from all maps, at least one.
    thresholds : sequence of float
        What the bounds must hold.
    """
    ordered = np.sort(scores.astype(np.float64))
    shares = np.geomspace(0.5, 1 / len(ordered), _MOST - 1 - len(thresholds))
    values = [*ordered[(len(ordered) * (1 - shares)).astype(int).clip(0, len(ordered) - 1)], ordered[-1]]
    return _distinct([float(f"{value:.6g}") for value in values], thresholds)


def _distinct(values: Sequence[float], kept: Sequence[float]) -> Levels:
    """Return levels of some values, with those to be kept in place of what float32 does not tell from them."""
    chosen = {np.float32(value): value for value in [*values, *kept]}
    return Levels(np.array(sorted(chosen.values()), np.float64))
