"""Measure how unusual the residuals of an image's channels are together: one of them alone, or all in another ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import Band, in_bands, new_map

SMALLEST_SHARE = 0.02
"""Of the mean residual of good images, added to every residual: below it differences mean nothing."""

_LEAST_VARIANCE = 0.01**2
"""Of a logarithm, added to what good images show: differences of a hundredth mean nothing either."""

_MOST_PIXELS = 2**20
"""Of all images together that the distance is fitted to, evenly taken."""


@dataclass(frozen=True)
class ColourDistance:
    """What good images show of the residuals of C channels, and how far others are from it."""

    offset: NDArray[np.float32]
    """(C,): added to the residual of each channel before its logarithm."""
    mean: NDArray[np.float32]
    """(C,): mean logarithm of each."""
    whitening: NDArray[np.float32]
    """(C, C): makes the departures from the means uncorrelated, each of variance 1, in good images."""

    def __call__(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the Mahalanobis distance of the logarithms from those of good images, (h, w) float32 at least 0.

        Parameters
        ----------
        planes : ndarray of shape (h, w, C), float32, at least 0
            Residual of each channel.

        References
        ----------
        Mahalanobis, P. C.: On the generalised distance in statistics. Proceedings of the National Institute of Sciences
        of India 2, 1936.
        """

        def distances(band: Band) -> NDArray[np.float32]:
            logs = np.log(planes[band.rows] + self.offset)
            logs -= self.mean
            white = logs @ self.whitening.T
            lengths: NDArray[np.float32] = np.sqrt(np.einsum("hwc,hwc->hw", white, white))
            return lengths

        return in_bands(distances, new_map(planes.shape[:2]), planes)

    def to_tensor(self) -> NDArray[np.float32]:
        """Return all numbers as an array (C, 2 + C)."""
        return np.ascontiguousarray(np.column_stack([self.offset, self.mean, self.whitening]))

    @classmethod
    def from_tensor(cls, tensor: NDArray[np.float32]) -> Self:
        """Return the distance of the array of :meth:`to_tensor`; raises a ValueError for any other array."""
        if tensor.ndim != 2 or tensor.shape[1] != 2 + len(tensor) or not np.isfinite(tensor).all():
            raise ValueError("calibration: channels without offset, mean and weights")
        if not (tensor[:, 0] > 0).all():
            raise ValueError("calibration: channels without positive offsets")
        return cls(tensor[:, 0].copy(), tensor[:, 1].copy(), tensor[:, 2:].copy())


def fit_colour(residuals: Sequence[NDArray[np.float32]]) -> ColourDistance:
    """Return what good images show of the residuals of their channels.

    Parameters
    ----------
    residuals : sequence of ndarray of shape (n, C), float32, at least 0
        Of the pixels that count of each image.

    Raises
    ------
    ValueError
        If no pixel counts.
    """
    step = -(-sum(map(len, residuals)) // _MOST_PIXELS) or 1
    values = np.concatenate([part[::step] for part in residuals])
    if not len(values):
        raise ValueError("calibration: no pixel of the held-out good images is inspected")
    offset = np.maximum(SMALLEST_SHARE * values.mean(axis=0, dtype=np.float64), 1e-6).astype(np.float32)
    logs = np.log(values + offset).astype(np.float64)
    mean = logs.mean(axis=0)
    covariance = (logs - mean).T @ (logs - mean) / len(logs) + _LEAST_VARIANCE * np.eye(len(mean))
    whitening = np.linalg.cholesky(np.linalg.inv(covariance)).T
    return ColourDistance(offset, mean.astype(np.float32), whitening.astype(np.float32))
