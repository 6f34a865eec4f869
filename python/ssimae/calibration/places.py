"""Describe the places of an image: where they lie, and what the surface looks like there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
        seen = image[band.seen]
        gray = np.ascontiguousarray(seen if seen.ndim == 2 else seen.mean(axis=2))
        cells = np.empty((-(-len(gray) // CELL), *features.shape[1:]), np.float32)
        far = None if from_ignored is None else np.empty(gray.shape, np.float32)
        if from_ignored is not None and far is not None:
            _rust.distances(from_ignored[band.seen], far)
        _rust.place_features(
            gray, cells, height=height + sum(beyond), top=band.seen.start + beyond[0], from_ignored=far
        )
        above, first = band.inner.start // CELL, band.rows.start // CELL
        count = -(-(band.rows.stop - band.rows.start) // CELL)
        features[first : first + count] = cells[above : above + count]
        let_go(features, image, from_ignored)
    return features


def cell_means(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each cell of 4 x 4 pixels of (h, w) values, (ceil(h / 4), ceil(w / 4)); the last repeat."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % CELL), (0, -width % CELL)), mode="edge")
    means: NDArray[np.float32] = padded.reshape(-(-height // CELL), CELL, -(-width // CELL), CELL).mean(axis=(1, 3))
    return means


def from_cells(cells: NDArray[np.float32], rows: slice, width: int) -> NDArray[np.float32]:
    """Return values of cells as rows of a map (h, width), interpolated linearly between their middles."""
    return np.ascontiguousarray(enlarge_rows(np.asarray(cells, np.float32), rows, CELL)[:, :width])


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
