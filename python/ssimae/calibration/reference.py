"""Hold all that good images show: each channel's calibration, and what whole images measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import Band, in_bands
from ssimae.calibration.calibration import Calibration
from ssimae.calibration.whole import MEASURES, WholeLimits

PREFIX = "calibration."
"""Of the names of the arrays in a model file."""

RESIDUAL, HEAD = "residual", "head"
"""Channels: the residual, and the map of the discriminative head."""


@dataclass(frozen=True)
class Reference:
    """What held-out good images show."""

    channels: Mapping[str, Calibration]
    whole: WholeLimits

    def joined(
        self, maps: Mapping[str, NDArray[np.float32]], features: NDArray[np.float32], head_weight: float
    ) -> NDArray[np.float32]:
        """Return the calibrated map of all channels, (h, w) float32 above 0: their weighted geometric mean.

        Parameters
        ----------
        maps : mapping of str to ndarray of shape (h, w), float32
            By channel; the head's may be missing.
        features : ndarray of shape (rows, columns, F), float32
            Features of the places of the image.
        head_weight : float in [0, 1]
            Weight of the head.
        """
        weights = {RESIDUAL: 1 - head_weight, HEAD: head_weight} if HEAD in maps else {RESIDUAL: 1.0}
        each = [
            (np.float32(weight), self.channels[name].log_ratio(maps[name], features))
            for name, weight in weights.items()
            if weight > 0
        ]

        def joined(band: Band) -> NDArray[np.float32]:
            (weight, logs), *others = ((weight, logs[band.rows]) for weight, logs in each)
            total = weight * logs
            for weight, logs in others:
                total += weight * logs
            mean: NDArray[np.float32] = np.exp(total, out=total)
            return mean

        # In place of one of them: each is our own.
        return in_bands(joined, each[0][1], *(map_ for _, map_ in each))

    def to_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return all numbers as arrays by name, ready for a model file."""
        tensors = {f"{PREFIX}whole": np.array([self.whole.low, self.whole.high], np.float32)}
        for channel, calibration in self.channels.items():
            tensors |= {f"{PREFIX}{channel}.{name}": array for name, array in calibration.to_tensors().items()}
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Self:
        """Return the reference of the arrays of :meth:`to_tensors`.

        Raises
        ------
        ValueError
            If an array is missing, or they do not fit each other.
        """
        whole = tensors.get(f"{PREFIX}whole", np.zeros(0, np.float32))
        if whole.shape != (2, len(MEASURES)) or np.isnan(whole).any():
            raise ValueError("calibration: no limits of whole images")
        channels = {}
        for channel in (RESIDUAL, HEAD):
            start = f"{PREFIX}{channel}."
            own = {name.removeprefix(start): array for name, array in tensors.items() if name.startswith(start)}
            if own or channel == RESIDUAL:
                channels[channel] = Calibration.from_tensors(own)
        low, high = whole.tolist()
        return cls(channels, WholeLimits(tuple(low), tuple(high)))
