"""Hold all that good images show: the calibration of each kind of map, and what whole images measure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import Band, in_bands
from ssimae.calibration.calibration import Calibration
from ssimae.calibration.colour import ColourDistance
from ssimae.calibration.whole import MEASURES, WholeLimits
from ssimae.config.settings import Settings
from ssimae.images.resize import restore_size

PREFIX = "calibration."
"""Of the names of the arrays in a model file."""

_COLOUR = f"{PREFIX}channels"

RESIDUAL, HEAD, DISTANCE, COLOUR = "residual", "head", "distance", "colour"
"""Kinds of map: the residual; how likely the discriminative head calls a defect, and how far its features lie from
those of good surfaces; and the distance of an image's channels from good ones (:class:`.colour.ColourDistance`)."""

PLANES = "planes"
"""The residual of each channel of an image, (h, w, C), at the size of the scaled image; the last kind comes of it."""

COLOUR_WEIGHT = 0.5
"""Share of the last kind in the residual's weight; docs/verdicts.md has what it finds on three surfaces."""


@dataclass(frozen=True)
class Reference:
    """What held-out good images show."""

    channels: Mapping[str, Calibration]
    """By kind of map."""
    whole: WholeLimits
    colour: ColourDistance | None = None
    """Of images in colour; None in gray, or of a model of an earlier version, which knew their mean alone."""

    @property
    def knows_distances(self) -> bool:
        """Whether it judges by a distance, of the channels or of the head's features; earlier versions had none."""
        return self.colour is not None or DISTANCE in self.channels

    def weights(self, kinds: Collection[str], settings: Settings) -> dict[str, float]:
        """Return the weight of each kind of map that counts, all together 1; those of the head may be missing."""
        head = settings.head_weight if HEAD in kinds else 0.0
        distance = settings.distance_weight if DISTANCE in kinds else 0.0
        colour = 0.0 if self.colour is None else COLOUR_WEIGHT
        weights = {
            RESIDUAL: (1 - head) * (1 - colour),
            COLOUR: (1 - head) * colour,
            HEAD: head * (1 - distance),
            DISTANCE: head * distance,
        }
        return {name: weight for name, weight in weights.items() if weight > 0}

    def joined(
        self, maps: Mapping[str, NDArray[np.float32]], features: NDArray[np.float32], settings: Settings
    ) -> NDArray[np.float32]:
        """Return the calibrated map of all kinds, (h, w) float32 above 0: their weighted geometric mean.

        Parameters
        ----------
        maps : mapping of str to ndarray of shape (h, w), float32
            By kind; those of the head may be missing. For images in colour the residual of each channel, (h', w', C).
        features : ndarray of shape (rows, columns, F), float32
            Features of the places of the image.
        settings : Settings
            Its weights count.
        """
        maps = measured(maps, self.colour)
        each = [
            (np.float32(weight), self.channels[name].log_ratio(maps[name], features))
            for name, weight in self.weights(maps, settings).items()
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
        if self.colour is not None:
            tensors[_COLOUR] = self.colour.to_tensor()
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
        distance = tensors.get(_COLOUR)
        for channel in (RESIDUAL, HEAD, DISTANCE, COLOUR):
            start = f"{PREFIX}{channel}."
            own = {name.removeprefix(start): array for name, array in tensors.items() if name.startswith(start)}
            if own or channel == RESIDUAL or (channel == COLOUR and distance is not None):
                channels[channel] = Calibration.from_tensors(own)
        if distance is None and COLOUR in channels:
            raise ValueError("calibration: a map of colour, and nothing of the channels")
        low, high = whole.tolist()
        colour = None if distance is None else ColourDistance.from_tensor(distance)
        return cls(channels, WholeLimits(tuple(low), tuple(high)), colour)


def measured(
    maps: Mapping[str, NDArray[np.float32]], colour: ColourDistance | None
) -> Mapping[str, NDArray[np.float32]]:
    """Return maps by kind with the distance of the channels in place of the residual of each."""
    if colour is None:
        return maps
    distance = restore_size(colour(maps[PLANES]), *maps[RESIDUAL].shape)
    return {**{name: map_ for name, map_ in maps.items() if name != PLANES}, COLOUR: distance}
