"""Hold all that good images show: each channel's calibration, and what whole images measure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import Band, in_bands
from ssimae.calibration.calibration import Calibration
from ssimae.calibration.whole import MEASURES, WholeLimits
from ssimae.config.settings import Settings

PREFIX = "calibration."
"""Of the names of the arrays in a model file."""

RESIDUAL, HEAD, DISTANCE = "residual", "head", "distance"
"""Channels: the residual, how likely the discriminative head calls a defect, and how far its features lie from those of
good surfaces."""


def channel_weights(channels: Collection[str], settings: Settings) -> dict[str, float]:
    """Return the weight of each channel that counts, in the order in which they are joined; together 1."""
    if HEAD not in channels:
        return {RESIDUAL: 1.0}
    head = settings.head_weight
    distance = settings.distance_weight if DISTANCE in channels else 0.0
    weights = {RESIDUAL: 1 - head, HEAD: head * (1 - distance), DISTANCE: head * distance}
    return {name: weight for name, weight in weights.items() if weight > 0}


@dataclass(frozen=True)
class Reference:
    """What held-out good images show."""

    channels: Mapping[str, Calibration]
    whole: WholeLimits

    def joined(
        self, maps: Mapping[str, NDArray[np.float32]], features: NDArray[np.float32], settings: Settings
    ) -> NDArray[np.float32]:
        """Return the calibrated map of all channels, (h, w) float32 above 0: their weighted geometric mean.

        Parameters
        ----------
        maps : mapping of str to ndarray of shape (h, w), float32
            By channel; those of the head may be missing.
        features : ndarray of shape (rows, columns, F), float32
            Features of the places of the image.
        settings : Settings
            Its weights count.
        """
        each = [
            (np.float32(weight), self.channels[name].log_ratio(maps[name], features))
            for name, weight in channel_weights(maps, settings).items()
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
        for channel in (RESIDUAL, HEAD, DISTANCE):
            start = f"{PREFIX}{channel}."
            own = {name.removeprefix(start): array for name, array in tensors.items() if name.startswith(start)}
            if own or channel == RESIDUAL:
                channels[channel] = Calibration.from_tensors(own)
        low, high = whole.tolist()
        return cls(channels, WholeLimits(tuple(low), tuple(high)))
