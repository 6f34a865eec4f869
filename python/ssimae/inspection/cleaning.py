"""Clean a residual map before it is thresholded: smooth it, and open it with a disk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssimae import _rust
from ssimae.bands import Band, in_bands, new_map
from ssimae.calibration.gaussian import gaussian
from ssimae.config.settings import Settings


def clean(
    residual: NDArray[np.float32], settings: Settings, ignored: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Return a residual map smoothed and opened as the settings say; what is ignored takes no part and becomes 0."""
    if ignored is None and settings.smoothing == 0 and settings.opening <= 1:
        return residual

    def rows(band: Band) -> NDArray[np.float32]:
        seen = None if ignored is None else ignored[band.seen]
        return _cleaned(residual[band.seen], settings, seen)[band.inner]

    return in_bands(rows, new_map(residual.shape), residual, halo=reach_of_cleaning(settings))


def reach_of_cleaning(settings: Settings) -> int:
    """Return how many rows above and below a cleaned one depends on."""
    # Gaussians end at four standard deviations; an opening reads what an erosion and a dilation reach.
    return round(4 * settings.smoothing + 1) + 2 * settings.opening


def _cleaned(
    residual: NDArray[np.float32], settings: Settings, ignored: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    if ignored is None:
        if settings.smoothing > 0:
            residual = gaussian(residual, settings.smoothing)
        return open_map(residual, settings.opening) if settings.opening > 1 else residual
    if settings.smoothing > 0:
        weight = gaussian((~ignored).astype(np.float32), settings.smoothing)
        total = gaussian(np.where(ignored, np.float32(0), residual), settings.smoothing)
        residual = np.divide(total, weight, out=np.zeros_like(residual), where=~ignored)
    if settings.opening > 1:
        # As past the border of the image: every disk that covers an inspected pixel has a finite lowest value.
        residual = open_map(np.where(ignored, np.float32(np.inf), residual), settings.opening)
    return np.where(ignored, np.float32(0), residual)


def open_map(residual: NDArray[np.float32], diameter: int) -> NDArray[np.float32]:
    """Return the gray opening of a map with a flat disk.

    Notes
    -----
    Opening the map once gives the same masks as opening every thresholded map, because a flat opening commutes with
    thresholding. That needs pixels outside the image to take no part, and disks that lie partly outside to count;
    SciPy's default borders break the equality.
    """
    disk = [(int(np.argmax(row)), int(len(row) - np.argmax(row[::-1]))) for row in disk_footprint(diameter)]
    opened = np.empty(residual.shape, np.float32)
    _rust.open_disk(np.ascontiguousarray(residual), opened, disk=disk)
    return opened


def disk_footprint(diameter: int) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie in a disk; diameter 4 is 4 x 4 without its corners."""
    offset = np.arange(diameter) - (diameter - 1) / 2
    inside: NDArray[np.bool_] = offset[:, None] ** 2 + offset[None, :] ** 2 <= (diameter / 2) ** 2
    return inside
