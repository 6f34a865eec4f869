"""Describe the places of an image: where they lie, and what the surface looks like there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ssimae import _rust
from ssimae.bands import band_rows, bands, let_go, new_map
from ssimae.images.depth import Image
from ssimae.images.resize import enlarge_rows

CELL = 4
"""Side in pixels of the cells that places are described on: what is described changes slowly."""

N_BORDER = 5
"""Number of features that tell how far the border is; they come first."""

N_FEATURES = 12
"""Number of all features."""

REACH = 96
"""Rows that a feature depends on, above and below: four spreads of the coarse gray level, in cells, and more."""

_BORDER_WIDTHS = 4.0, 16.0, 48.0
_COARSE = 4
_LEAST_SPREAD = 1 / 300
"""Added to spreads before their logarithm: about one gray level of 8 bits."""


def place_features(
    image: Image, ignored: NDArray[np.bool_] | None = None, *, beyond: tuple[int, int] = (0, 0)
) -> NDArray[np.float32]:
    """Return what sets the places of an image apart.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
        Reconstruction of an image, which shows the surface without its defects; colours are averaged.
    ignored : ndarray of shape (h, w), bool, optional
        What is not inspected; a border lies there too.
    beyond : tuple of int
        Rows above and below, of a part of a surface that goes on there: its border lies behind them.

    Returns
    -------
    ndarray of shape (ceil(h / 4), ceil(w / 4), 12), float32
        For each cell of 4 x 4 pixels how near the border is, on five scales, the gray level at two widths and near it,
        the contrast at three, and the steepness.
    """
    height, width = image.shape[:2]
    from_ignored = None if ignored is None else _column_distances(ignored)
    features: NDArray[np.float32] = new_map((-(-height // CELL), -(-width // CELL), N_FEATURES))
    for band in bands(height, width, halo=REACH, step=CELL):
        beside = None if from_ignored is None else from_ignored[band.seen]
        near = _border_features(height, width, band.seen, beside, beyond)
        cells = np.stack(near + _surface_features(image[band.seen]), axis=-1).astype(np.float32)
        above, first = band.inner.start // CELL, band.rows.start // CELL
        count = -(-(band.rows.stop - band.rows.start) // CELL)
        features[first : first + count] = cells[above : above + count]
        let_go(features, image, from_ignored)
    return features


def _surface_features(image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return gray level, contrast and steepness of cells; wrong within `REACH` of where rows are cut off."""
    gray = image if image.ndim == 2 else image.mean(axis=2)
    fine, fine_spread = _mean_and_spread(gray, 2)
    middle, middle_spread = _mean_and_spread(gray, CELL)
    small, small_squares = cell_means(gray), cell_means(gray * gray)
    coarse = gaussian_filter(small, _COARSE)
    coarse_spread = np.sqrt(np.maximum(gaussian_filter(small_squares, _COARSE) - coarse * coarse, 0))
    down, right = np.gradient(gaussian_filter(gray, 1)) if min(gray.shape) > 1 else (gray * 0, gray * 0)
    steepness = cell_means(np.hypot(down, right).astype(np.float32))
    return [
        cell_means(fine),
        cell_means(middle),
        coarse,
        *(np.log(cell_means(spread) + _LEAST_SPREAD) for spread in (fine_spread, middle_spread)),
        np.log(coarse_spread + _LEAST_SPREAD),
        np.log(gaussian_filter(steepness, 1) + _LEAST_SPREAD),
    ]


def cell_means(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each cell of 4 x 4 pixels of (h, w) values, (ceil(h / 4), ceil(w / 4)); the last repeat."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % CELL), (0, -width % CELL)), mode="edge")
    means: NDArray[np.float32] = padded.reshape(-(-height // CELL), CELL, -(-width // CELL), CELL).mean(axis=(1, 3))
    return means


def from_cells(cells: NDArray[np.float32], rows: slice, width: int) -> NDArray[np.float32]:
    """Return values of cells as rows of a map (h, width), interpolated linearly between their middles."""
    return np.ascontiguousarray(enlarge_rows(np.asarray(cells, np.float32), rows, CELL)[:, :width])


def _mean_and_spread(gray: NDArray[np.float32], sigma: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean = gaussian_filter(gray, sigma)
    return mean, np.sqrt(np.maximum(gaussian_filter(gray * gray, sigma) - mean * mean, 0))


def _border_features(
    height: int, width: int, seen: slice, from_ignored: NDArray[np.float32] | None, beyond: tuple[int, int]
) -> list[NDArray[np.float32]]:
    """Return how near the border is: to any side on three scales, and to left or right, and above or below.

    `from_ignored` are the distances of pixels that are seen from what is ignored in their columns.
    """
    rows = np.arange(seen.start, seen.stop, dtype=np.float32)
    columns = np.arange(width, dtype=np.float32)
    down = np.minimum(rows + beyond[0], height - 1 - rows + beyond[1])[:, None] + np.zeros((1, width), np.float32)
    across = np.minimum(columns, width - 1 - columns)[None, :] + np.zeros((len(rows), 1), np.float32)
    nearest = np.minimum(down, across)
    if from_ignored is not None:
        far = np.empty(from_ignored.shape, np.float32)
        _rust.distances(from_ignored, far)
        nearest = np.minimum(nearest, far)
    distances = [(nearest, width) for width in _BORDER_WIDTHS] + [(across, 16.0), (down, 16.0)]
    return [cell_means(np.exp(-distance / width)) for distance, width in distances]


def _column_distances(ignored: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how many rows from each pixel the nearest ignored one of its column lies; infinite where there is none."""
    distances: NDArray[np.float32] = new_map(ignored.shape)
    for rows in (range(len(ignored)), range(len(ignored) - 1, -1, -1)):
        before = np.full(ignored.shape[1], np.inf, np.float32)
        for count, row in enumerate(rows, 1):
            before = np.where(ignored[row], np.float32(0), before + 1)
            if rows.step < 0:
                before = np.minimum(before, distances[row])
            distances[row] = before
            if count % band_rows(ignored.shape[1]) == 0:
                let_go(distances)
    let_go(distances)
    return distances
