"""Describe the places of an image: where they lie, and what the surface looks like there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

CELL = 4
"""Side in pixels of the cells that places are described on: what is described changes slowly."""

N_BORDER = 5
"""Number of features that tell how far the border is; they come first."""

_BORDER_WIDTHS = 4.0, 16.0, 48.0
_COARSE = 4
_LEAST_SPREAD = 1 / 300
"""Added to spreads before their logarithm: about one gray level of 8 bits."""


def place_features(image: NDArray[np.float32], ignored: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Return what sets the places of an image apart.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1]
        Reconstruction of an image, which shows the surface without its defects; colours are averaged.
    ignored : ndarray of shape (h, w), bool, optional
        What is not inspected; a border lies there too.

    Returns
    -------
    ndarray of shape (ceil(h / 4), ceil(w / 4), 12), float32
        For each cell of 4 x 4 pixels how near the border is, on five scales, the gray level at two widths and near it,
        the contrast at three, and the steepness.
    """
    gray = image if image.ndim == 2 else image.mean(axis=2)
    height, width = gray.shape
    features = _border_features(height, width, ignored)
    fine, fine_spread = _mean_and_spread(gray, 2)
    middle, middle_spread = _mean_and_spread(gray, CELL)
    small, small_squares = cell_means(gray), cell_means(gray * gray)
    coarse = gaussian_filter(small, _COARSE)
    coarse_spread = np.sqrt(np.maximum(gaussian_filter(small_squares, _COARSE) - coarse * coarse, 0))
    down, right = np.gradient(gaussian_filter(gray, 1)) if min(height, width) > 1 else (gray * 0, gray * 0)
    steepness = cell_means(np.hypot(down, right).astype(np.float32))
    features += [
        cell_means(fine),
        cell_means(middle),
        coarse,
        *(np.log(cell_means(spread) + _LEAST_SPREAD) for spread in (fine_spread, middle_spread)),
        np.log(coarse_spread + _LEAST_SPREAD),
        np.log(gaussian_filter(steepness, 1) + _LEAST_SPREAD),
    ]
    return np.stack(features, axis=-1).astype(np.float32)


def cell_means(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each cell of 4 x 4 pixels of (h, w) values, (ceil(h / 4), ceil(w / 4)); the last repeat."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % CELL), (0, -width % CELL)), mode="edge")
    means: NDArray[np.float32] = padded.reshape(-(-height // CELL), CELL, -(-width // CELL), CELL).mean(axis=(1, 3))
    return means


def from_cells(cells: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return values of cells as a map of (height, width), interpolated linearly between their middles."""
    padded = torch.from_numpy(np.ascontiguousarray(cells, dtype=np.float32))[None, None]
    wide = torch.nn.functional.interpolate(padded, scale_factor=CELL, mode="bilinear", align_corners=False)
    return np.ascontiguousarray(wide[0, 0, :height, :width].numpy())


def _mean_and_spread(gray: NDArray[np.float32], sigma: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean = gaussian_filter(gray, sigma)
    return mean, np.sqrt(np.maximum(gaussian_filter(gray * gray, sigma) - mean * mean, 0))


def _border_features(height: int, width: int, ignored: NDArray[np.bool_] | None) -> list[NDArray[np.float32]]:
    """Return how near the border is: to any side on three scales, and to left or right, and above or below."""
    rows = np.arange(height, dtype=np.float32)
    columns = np.arange(width, dtype=np.float32)
    down = np.minimum(rows, height - 1 - rows)[:, None] + np.zeros((1, width), np.float32)
    across = np.minimum(columns, width - 1 - columns)[None, :] + np.zeros((height, 1), np.float32)
    nearest = np.minimum(down, across)
    if ignored is not None:
        nearest = np.minimum(nearest, distance_transform_edt(~ignored).astype(np.float32))
    distances = [(nearest, width) for width in _BORDER_WIDTHS] + [(across, 16.0), (down, 16.0)]
    return [cell_means(np.exp(-distance / width)) for distance, width in distances]
