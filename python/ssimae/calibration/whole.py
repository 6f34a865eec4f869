"""Tell an image that is unlike the good ones as a whole: another lot, other light, out of focus."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae import _rust
from ssimae.bands import Band, bands, let_go
from ssimae.images.depth import Image

SURFACE = "surface"
MEASURES: tuple[tuple[str, str, str], ...] = (
    ("gray", "darker", "brighter"),
    ("contrast", "of less contrast", "of more contrast"),
    ("sharpness", "less sharp", "sharper"),
    (SURFACE, "", "of another surface"),
)
"""Name of each measure of a whole image, and what an image is that lies below or above the good ones."""

_MARGIN = 0.5
"""Share of the good images' range by which an image may leave it."""

_LEAST_MARGINS = 0.02, 0.1, 0.1, 0.25
"""Of each measure: five gray levels of 255, 10 % of contrast and of sharpness, 28 % of the residual. Good images of one
lot may measure alike to less than anybody sees; a new one is not unlike them for that."""

_FEWEST = 3
"""Fewer images show no range."""

_FINE_REACH = 4
"""Rows that a Gaussian of one pixel reaches."""


@dataclass(frozen=True)
class WholeLimits:
    """What whole good images measure, with a margin."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    """As many as `MEASURES`; infinite where too few images were seen."""

    def unlike(self, measures: Sequence[float]) -> list[str]:
        """Return in words how an image is unlike the good ones; nothing where it is like them."""
        words = []
        for (_, below, above), value, low, high in zip(MEASURES, measures, self.low, self.high, strict=True):
            if value > high:
                words.append(above)
            elif value < low and below:
                words.append(below)
        return words


def measure_image(image: Image, ignored: NDArray[np.bool_] | None = None) -> tuple[float, float, float]:
    """Return gray level, contrast and sharpness of a whole image.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
    ignored : ndarray of shape (h, w), bool, optional

    Returns
    -------
    tuple of float
        Mean; logarithm of the standard deviation; logarithm of the share of it that lies below three pixels' width.
    """
    height, width = image.shape[:2]
    # Of each row: its inspected pixels, sums of gray and fine, and sums of their squares.
    sums = np.zeros((height, 5))
    for band in bands(height, 4 * width, halo=_FINE_REACH):  # float64, and several of them
        seen = image[band.seen]
        gray = np.ascontiguousarray(seen if seen.ndim == 2 else seen.mean(axis=2))
        counted = None if ignored is None else np.ascontiguousarray(ignored[band.rows]).view(np.uint8)
        _rust.row_sums(gray, sums[band.rows], first=band.inner.start, ignored=counted)
        let_go(image)
    count, *totals = (float(total) for total in sums.sum(axis=0))
    mean, fine_mean, square, fine_square = (total / count for total in totals)
    spread = math.sqrt(max(square - mean**2, 0.0)) + 1e-3
    fine_spread = math.sqrt(max(fine_square - fine_mean**2, 0.0)) + 1e-4
    return mean, math.log(spread), math.log(fine_spread / spread)


def median(values: NDArray[np.float32], ignored: NDArray[np.bool_] | None = None) -> float:
    """Return the median of a map of values at least 0, (h, w), where it is not ignored: what ``np.median`` does.

    It is found digit by digit, so that the map is read twice and not sorted.
    """

    def digits(band: Band) -> NDArray[np.uint32]:
        rows = np.ascontiguousarray(values[band.rows]).view(np.uint32)
        return rows.ravel() if ignored is None else rows[~ignored[band.rows]]

    def counted(of: Callable[[NDArray[np.uint32]], NDArray[Any]]) -> NDArray[np.int64]:
        counts = np.zeros(2**16, np.int64)
        for band in bands(*values.shape):
            counts += np.bincount(of(digits(band)), minlength=2**16)
            let_go(values)
        return counts

    high = np.cumsum(counted(lambda bits: bits >> 16))
    middle = []
    for rank in {(int(high[-1]) - 1) // 2, int(high[-1]) // 2}:
        first = int(np.searchsorted(high, rank, side="right"))
        low = np.cumsum(counted(lambda bits, first=first: bits[bits >> 16 == first] & 0xFFFF))  # type: ignore[misc]
        second = int(np.searchsorted(low, rank - (int(high[first - 1]) if first else 0), side="right"))
        middle.append(first << 16 | second)
    return float(np.array(sorted(middle), np.uint32).view(np.float32).mean())


def fit_limits(images: Sequence[tuple[float, float, float]], surfaces: Sequence[float]) -> WholeLimits:
    """Return the limits that good images give.

    Parameters
    ----------
    images : sequence of (gray, contrast, sharpness)
        Of all good images: they do not depend on what was trained on.
    surfaces : sequence of float
        Logarithm of the median of the calibrated residual of each held-out part.
    """
    low, high = [], []
    for values, least_margin in zip((*zip(*images, strict=True), surfaces), _LEAST_MARGINS, strict=True):
        least, most = min(values), max(values)
        margin = max(_MARGIN * (most - least), least_margin) if len(values) >= _FEWEST else np.inf
        low.append(least - margin)
        high.append(most + margin)
    return WholeLimits(tuple(low), tuple(high))
