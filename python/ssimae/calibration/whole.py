"""Tell an image that is unlike the good ones as a whole: another lot, other light, out of focus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

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

_FEWEST = 3
"""Fewer images show no range."""


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


def measure_image(image: NDArray[np.float32], ignored: NDArray[np.bool_] | None = None) -> tuple[float, float, float]:
    """Return gray level, contrast and sharpness of a whole image.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1]
    ignored : ndarray of shape (h, w), bool, optional

    Returns
    -------
    tuple of float
        Mean; logarithm of the standard deviation; logarithm of the share of it that lies below three pixels' width.
    """
    gray = image if image.ndim == 2 else image.mean(axis=2)
    fine = gray - gaussian_filter(gray, 1)
    if ignored is not None:
        gray, fine = gray[~ignored], fine[~ignored]
    spread = float(gray.std()) + 1e-3
    return float(gray.mean()), float(np.log(spread)), float(np.log((fine.std() + 1e-4) / spread))


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
    for values in (*zip(*images, strict=True), surfaces):
        least, most = min(values), max(values)
        margin = _MARGIN * (most - least) if len(values) >= _FEWEST else np.inf
        low.append(least - margin)
        high.append(most + margin)
    return WholeLimits(tuple(low), tuple(high))
