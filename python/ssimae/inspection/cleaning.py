"""Clean a residual map before it is thresholded: smooth it, and open it with a disk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, grey_dilation, grey_erosion

from ssimae.bands import Band, in_bands, new_map
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
            residual = gaussian_filter(residual, settings.smoothing, mode="reflect")
        return open_map(residual, settings.opening) if settings.opening > 1 else residual
    if settings.smoothing > 0:
        weight = gaussian_filter((~ignored).astype(np.float32), settings.smoothing, mode="reflect")
        total = gaussian_filter(np.where(ignored, 0, residual), settings.smoothing, mode="reflect")
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
    thresholding. That needs pixels outside the image to take no part: +inf under erosion, -inf under dilation; SciPy's
    default borders break the equality.
    """
    disk = disk_footprint(diameter)
    # Disks whose anchor lies outside the image count too: else an even disk opens the four borders differently.
    padded = np.pad(residual, diameter, constant_values=np.inf)
    eroded = grey_erosion(padded, footprint=disk, mode="constant", cval=np.inf)
    opened: NDArray[np.float32] = grey_dilation(eroded, footprint=disk, mode="constant", cval=-np.inf)
    return np.ascontiguousarray(opened[diameter:-diameter, diameter:-diameter])


def disk_footprint(diameter: int) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie in a disk; diameter 4 is 4 x 4 without its corners."""
    offset = np.arange(diameter) - (diameter - 1) / 2
    inside: NDArray[np.bool_] = offset[:, None] ** 2 + offset[None, :] ** 2 <= (diameter / 2) ** 2
    return inside
