"""Say what a region is, and from which level on a map shows one: the rules that thresholds and verdicts share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssimae._rust import RegionSearch
from ssimae.bands import bands, extremes, in_bands, let_go
from ssimae.regions import RegionStatistics, keep_large_regions


@dataclass(frozen=True)
class RegionRules:
    """What a region must be; all but the area are off by default."""

    min_area: int
    """Fewest pixels."""
    hysteresis: float = 1.0
    """Share of `review` down to which a region grows that exceeds `review` somewhere."""
    merge_distance: int = 0
    """Fragments of which two pixels' centres lie at most so many pixels apart are one region."""
    min_length: float = 0.0
    """Least length in pixels: the largest distance between the centres of two pixels, and one."""
    min_contrast: float = 1.0
    """What the highest value must exceed, in multiples of `review`."""

    @property
    def plain(self) -> bool:
        """Whether the area alone counts."""
        return self == RegionRules(self.min_area)


def marked_regions(
    residual: NDArray[np.float32], review: float, rules: RegionRules
) -> tuple[NDArray[np.bool_], RegionStatistics]:
    """Return the pixels of a map that lie in regions, and the measures of these, in the order of their first pixel.

    Parameters
    ----------
    residual : ndarray of shape (h, w), float32
    review : float
        Level that a region exceeds.
    rules : RegionRules

    Notes
    -----
    Pixels above ``hysteresis * review`` are joined over edges and corners, and over gaps of up to `merge_distance`. Of
    what hangs together so, that is a region which exceeds ``min_contrast * review`` somewhere, and has `min_area`
    pixels and the length `min_length`. With a rising `review` regions only shrink or vanish.
    """
    lower = rules.hysteresis * review
    mask = in_bands(lambda band: residual[band.rows] > lower, np.empty(residual.shape, np.bool_), residual)
    return mask, keep_large_regions(
        mask,
        residual,
        min_area=rules.min_area,
        distance=rules.merge_distance,
        above=-np.inf if rules.plain else float(np.float32(rules.min_contrast * review)),
        min_length=rules.min_length,
    )


def region_level(residual: NDArray[np.float32], rules: RegionRules) -> float:
    """Return the lowest value of `review`, among all numbers of float32, at which a map shows no region.

    It is no lower than the lowest value of the map. Where the area alone counts, that is the highest value v such that
    the pixels at or above v hold a region.
    """
    if rules.plain:
        return area_level(residual, rules.min_area)
    low, high = (_rank(value) for value in extremes(residual))
    while low < high:
        middle = (low + high) // 2
        if len(marked_regions(residual, _ranked(middle), rules)[1].areas):
            low = middle + 1
        else:
            high = middle
    return _ranked(low)


def area_level(residual: NDArray[np.float32], min_area: int) -> float:
    """Return the highest value v such that the pixels at or above v hold a region of `min_area` pixels.

    A map of fewer pixels has no such value; its lowest value is returned.
    """
    # The region only shrinks as the level rises: bisection over all numbers of float32, in the order of their bits.
    low, high = (_rank(value) for value in extremes(residual))
    while low < high:
        middle = (low + high + 1) // 2
        if _holds_region(residual, _ranked(middle), min_area):
            low = middle
        else:
            high = middle - 1
    return _ranked(low)


def _holds_region(residual: NDArray[np.float32], level: float, min_area: int) -> bool:
    """Return whether the pixels at or above a level hold a region of that many."""
    search = RegionSearch(level=level, min_area=min_area, eight_connected=True)
    for band in bands(*residual.shape):
        found = search.add(np.ascontiguousarray(residual[band.rows]))
        let_go(residual)
        if found:
            return True
    return False


def _rank(value: np.float32) -> int:
    """Return the place of a number among all of float32; those next to each other differ by 1."""
    bits = int(value.view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _ranked(rank: int) -> float:
    return math.copysign(float(np.int32(abs(rank)).view(np.float32)), rank)
