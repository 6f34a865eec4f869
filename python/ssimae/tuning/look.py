"""Look at good images before any training: size, colour, grain, and whether the surface repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

_LEAST_COLOUR = 0.02
"""Mean difference of the channels, in [0, 1], from which on colour carries something."""

_LEAST_PERIOD = 4
_REPEATS = 0.25
"""Correlation of a surface with itself, moved by a period, from which on it repeats."""

_WINDOW = 512

LOOKED_AT = 8
"""Images whose pixels are looked at."""


@dataclass(frozen=True)
class Look:
    """What good images look like."""

    images: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    """Height and width of the images of fewest and of most pixels."""
    shortest_side: int
    """Of all images."""
    coloured: bool
    grain: float
    """Distance in pixels within which neighbouring pixels are alike: that at which their correlation falls to 1/e."""
    period: int | None
    """Distance in pixels after which the surface repeats; None where it does not, or only beyond 256 pixels."""

    def in_words(self) -> str:
        """Return one sentence."""
        (h0, w0), (h1, w1) = self.smallest, self.largest
        size = f"{w0} x {h0}" if self.smallest == self.largest else f"{w0} x {h0} to {w1} x {h1}"
        number = "1 good image" if self.images == 1 else f"{self.images} good images"
        repeats = "no period" if self.period is None else f"a period of {self.period} px"
        return f"{number} of {size}, {'colour' if self.coloured else 'gray'}, a grain of {self.grain:.1f} px, {repeats}"


def look_at(images: Sequence[NDArray[np.float32]], shapes: Sequence[tuple[int, int]]) -> Look:
    """Return what good images look like.

    Parameters
    ----------
    images : sequence of ndarray of shape (h, w) or (h, w, C), float32 in [0, 1]
        Some of them.
    shapes : sequence of (height, width)
        Of all of them.
    """
    by_size = sorted(shapes, key=lambda shape: shape[0] * shape[1])
    coloured = shows_colour(images)
    grains, periods = zip(
        *(_grain_and_period(image if image.ndim == 2 else image.mean(axis=2)) for image in images), strict=True
    )
    found = [period for period in periods if period is not None]
    return Look(
        images=len(shapes),
        smallest=by_size[0],
        largest=by_size[-1],
        shortest_side=min(min(shape) for shape in shapes),
        coloured=coloured,
        grain=float(np.median(grains)),
        period=round(float(np.median(found))) if 2 * len(found) > len(images) else None,
    )


def shows_colour(images: Sequence[NDArray[np.float32]]) -> bool:
    """Return whether the colour of images carries something: any whose channels differ by more than a little."""
    return any(image.ndim == 3 and float(np.ptp(image, axis=2).mean()) > _LEAST_COLOUR for image in images)


def _grain_and_period(gray: NDArray[np.float32]) -> tuple[float, int | None]:
    """Return the grain and the period of the middle of an image, from its correlation with itself."""
    height, width = gray.shape
    side = min(height, width, _WINDOW)
    top, left = (height - side) // 2, (width - side) // 2
    middle = gray[top : top + side, left : left + side].astype(np.float64)
    middle = (middle - gaussian_filter(middle, side / 8)) * np.hanning(side)[:, None] * np.hanning(side)[None, :]
    spectrum = np.abs(np.fft.rfft2(middle, (2 * side, 2 * side))) ** 2
    correlation = np.fft.irfft2(spectrum)[: side // 2, : side // 2]
    window = np.hanning(side)
    fade = np.correlate(window, window, "full")[side - 1 :][: side // 2]
    if correlation[0, 0] <= 0:
        return float(side), None
    grains, periods = [], []
    for line in (correlation[:, 0], correlation[0, :]):
        values = line / line[0] / (fade / fade[0])
        below = np.flatnonzero(values < 1 / np.e)
        grains.append(float(below[0]) if len(below) else float(side))
        start = max(_LEAST_PERIOD, int(below[0]) if len(below) else side)
        inner = values[start : side // 2 - 1]
        peaks = [
            start + index
            for index in range(1, len(inner) - 1)
            if inner[index] > _REPEATS and inner[index] >= inner[index - 1] and inner[index] > inner[index + 1]
        ]
        if peaks:
            periods.append(peaks[0])
    return float(np.mean(grains)), max(periods) if periods else None
