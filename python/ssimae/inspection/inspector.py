"""Inspect images with all that was learned: the network, and what good images show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import in_bands
from ssimae.calibration.places import place_features
from ssimae.calibration.reference import PLANES, RESIDUAL, Reference
from ssimae.calibration.whole import WholeLimits, measure_image, median
from ssimae.config.settings import Settings
from ssimae.data.ignore import inside_frame, inspected_frame
from ssimae.engines.engine import Engine, Rebuilder
from ssimae.images.depth import Image, view
from ssimae.inspection.cleaning import clean
from ssimae.inspection.head import head_maps
from ssimae.inspection.residual import framed, inspect_image, raw_residual


@dataclass(frozen=True)
class Maps:
    """The maps of one image, each of its size, and what is said of it as a whole."""

    reconstruction: NDArray[np.float32] | None
    residual: NDArray[np.float32]
    """(h, w): as the settings say; neither smoothed nor opened where it is calibrated."""
    judged: NDArray[np.float32]
    """(h, w): what the verdict rests on. The calibrated residual, smoothed and opened, 1 for as usual; or the residual
    itself. 0 where ignored."""
    calibrated: bool
    unlike: tuple[str, ...] = ()
    """How the whole image is unlike the good ones, in words."""


@dataclass(frozen=True, kw_only=True)
class Inspector:
    """What runs a trained network, with what good images show."""

    engine: Engine
    settings: Settings
    reference: Reference | None
    """None where the residual is not calibrated."""

    def inspect(self, image: Image, ignored: NDArray[np.bool_] | None = None) -> Maps:
        """Return the maps of an image of shape (h, w) or (h, w, C), float32 in [0, 1]; nothing where `ignored`.

        Raises
        ------
        ValueError
            If the image, or what is left of it, is smaller than a patch after scaling.
        """
        if self.reference is None:
            reconstruction, residual = inspect_image(self.engine, image, self.settings, ignored=ignored)
            return Maps(reconstruction, residual, residual, calibrated=False)
        frame, inner = inspected_frame(ignored), inside_frame(ignored)
        cut = view(image, frame)
        rebuilt, channels = self.channels(cut)
        joined, unlike = self.judged(cut, channels, place_features(surface_of(cut, rebuilt), inner), inner)
        judged = framed(clean(joined, self.settings, inner), frame, image.shape[:2])
        residual = channels[RESIDUAL]
        if inner is not None:
            in_bands(lambda band: np.where(inner[band.rows], np.float32(0), residual[band.rows]), residual)
        return Maps(
            None if rebuilt is None else framed(rebuilt, frame, image.shape, image),
            framed(residual, frame, image.shape[:2]),
            judged,
            calibrated=True,
            unlike=tuple(unlike),
        )

    def channels(self, image: Image) -> tuple[NDArray[np.float32] | None, dict[str, NDArray[np.float32]]]:
        """Return the reconstruction of an image and its maps by kind, before calibration and cleaning.

        Among them is the residual of each channel of an image in colour, unless it is not to be calibrated.
        """
        by_channel = self.settings.channels > 1 and (self.reference is None or self.reference.colour is not None)
        rebuilt, residual, planes = raw_residual(self.engine, image, self.settings, by_channel=by_channel)
        channels = {RESIDUAL: residual} if planes is None else {RESIDUAL: residual, PLANES: planes}
        if isinstance(self.engine, Rebuilder) and self.engine.has_head and rebuilt is not None:
            channels |= head_maps(self.engine, image, rebuilt, residual, self.settings)
        return rebuilt, channels

    def judged(
        self,
        image: Image,
        channels: Mapping[str, NDArray[np.float32]],
        features: NDArray[np.float32],
        ignored: NDArray[np.bool_] | None,
        *,
        rows: slice = slice(None),
    ) -> tuple[NDArray[np.float32], list[str]]:
        """Return the calibrated map of an image, before cleaning, and how the whole is unlike the good images.

        Where its surface as a whole is, the map is divided by the square root of the excess: single places still stand
        out, and it is still ranked above images that are as usual. The whole are some `rows`, where the image is part
        of a larger surface.
        """
        assert self.reference is not None
        joined = self.reference.joined(channels, features, self.settings)
        own = None if ignored is None else ignored[rows]
        level = surface_level(joined[rows], own)
        whole = self.reference.whole
        unlike = whole.unlike((*measure_image(view(image, rows), own), level))
        factor = surface_factor(level, whole)
        if factor > 1:
            in_bands(lambda band: joined[band.rows] / factor, joined)
        return joined, unlike


def surface_of(image: Image, rebuilt: NDArray[np.float32] | None) -> Image:
    """Return what places are described by: the reconstruction, which has no defects, or the image without one."""
    return image if rebuilt is None else rebuilt


def surface_factor(level: float, whole: WholeLimits) -> np.float32:
    """Return what the map of an image is divided by whose surface has a level: 1 where good ones have such."""
    return np.float32(np.exp(max(level - whole.high[-1], 0) / 2))


def surface_level(joined: NDArray[np.float32], ignored: NDArray[np.bool_] | None) -> float:
    """Return the logarithm of the median of a calibrated map."""
    return float(np.log(np.float32(median(joined, ignored))))
