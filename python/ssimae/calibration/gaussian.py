"""Smooth images and maps with a Gaussian; the work is done in Rust."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssimae import _rust


def gaussian(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return an image or map smoothed with a Gaussian that ends at four standard deviations.

    Parameters
    ----------
    values : ndarray of shape (h, w), float32
        Continued past its borders by mirror images that repeat the edge.
    sigma : float
        Standard deviation in pixels, above 0 and below 10,000.

    Notes
    -----
    The numbers are those of SciPy's ``gaussian_filter``: sums in float64, rounded to float32 after each side.
    """
    smoothed = np.empty(values.shape, np.float32)
    _rust.gaussian(np.ascontiguousarray(values), smoothed, sigma=sigma)
    return smoothed
