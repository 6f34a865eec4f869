"""Keep some good images, or a part of each, out of training, so that thresholds can be set on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.data.ignore import inside_frame, inspected_frame
from ssimae.images.depth import Image, view
from ssimae.images.resize import scale_image, scale_mask, scaled_shape

FEWEST_IMAGES = 20
"""From this number of good images on, whole images can be held out."""

FEWEST_CALIBRATED = 40
"""From this number on they are, where the residual is calibrated: by position it takes 8 whole images. Bands of fewer
images calibrate as well by the distance from the border, and a band of each shows more of the good images' levels than
the 4 to 7 images that a fifth of them are."""

TAUGHT_SHARE = 0.25
"""Share of the training that images have that joined later."""

SHARE = 0.2
"""Share of the good images, or of each image's longer side, that is held out."""

Regions = tuple[tuple[int, tuple[slice, slice]], ...]
"""Numbers of images, and the rows and columns of each."""


@dataclass(frozen=True)
class Split:
    """Good images for training and for thresholds.

    `kept` and `held_out` are index and region pairs: the image's number, and the slices of its rows and columns.
    """

    kept: Regions
    held_out: Regions
    kind: str
    """`images`, `bands`, or `none` where nothing could or should be held out."""


_WHOLE = (slice(None), slice(None))

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True)
class GoodImages:
    """Defect-free images, what of them is ignored, and what is held out of training."""

    images: tuple[Image, ...]
    """At their own size, cut to what is inspected; in the depth that they came in."""
    ignored: tuple[NDArray[np.bool_] | None, ...]
    """What is not inspected inside each; None for nothing."""
    masked: bool
    """Whether any had an ignore mask."""
    split: Split
    taught: int = 0
    """How many of the images, the last ones, joined later: they are trained on more often than their number says."""

    def training_parts(self, settings: Settings) -> tuple[list[Image], list[NDArray[np.bool_] | None]]:
        """Return the parts that are trained on, scaled, and what of them is ignored."""
        parts: list[Image] = []
        masks: list[NDArray[np.bool_] | None] = []
        scaled = [scale_image(image, settings.scale) for image in self.images]
        for index, region in self.split.kept:
            mask = scale_mask(self.ignored[index], settings.scale)
            for _ in range(self._times(index)):
                parts.append(view(scaled[index], region))
                masks.append(None if mask is None else take(mask, region))
        return parts, masks

    def _times(self, index: int) -> int:
        """Return how often the part of an image is trained on."""
        first = len(self.images) - self.taught
        if index < first:
            return 1
        others = sum(number < first for number, _ in self.split.kept)
        return max(1, round(TAUGHT_SHARE / (1 - TAUGHT_SHARE) * others / (len(self.split.kept) - others)))


def arrange_good(
    images: Sequence[Image], ignored: Sequence[NDArray[np.bool_] | None], settings: Settings, *, taught: int = 0
) -> GoodImages:
    """Return defect-free images cut to what is inspected of them, and split for training and thresholds.

    The last `taught` of them joined later.
    """
    cut = tuple(view(image, inspected_frame(mask)) for image, mask in zip(images, ignored, strict=True))
    split = split_good([scaled_shape(image, settings.scale) for image in cut], settings, taught=taught)
    return GoodImages(
        cut, tuple(inside_frame(mask) for mask in ignored), any(mask is not None for mask in ignored), split, taught
    )


def split_good(shapes: Sequence[tuple[int, int]], settings: Settings, *, taught: int = 0) -> Split:
    """Return what is trained on and what thresholds are set on.

    Parameters
    ----------
    shapes : sequence of (height, width)
        Sizes of the good images after scaling.
    settings : Settings
        Its `hold_out`, `patch_size` and `seed` count.
    taught : int
        How many of the images, the last ones, joined later. The others are split as without them, so that what a
        network was trained on stays that; of whole images that joined, every other one is held out, from the second.

    Notes
    -----
    From 20 images on, a fifth of them is held out, chosen by the seed. With fewer, a band at least a patch wide at the
    end of each image's longer side is; images too small for a band and a patch beside it are trained on whole. Where
    the residual is calibrated, bands are held out below 40 images, if all images are large enough for them, and every
    other image has its band at the start: both ends, such as a selvedge on one side, are seen. Where nothing is held
    out, thresholds come from training images and will be too low: the run records it.
    """
    if taught:
        first = len(shapes) - taught
        before = split_good(shapes[:first], settings)
        whole = tuple((index, _WHOLE) for index in range(first, len(shapes)))
        if before.kind == "images":
            return Split((*before.kept, *whole[::2]), (*before.held_out, *whole[1::2]), "images")
        if before.kind == "none":
            return Split((*before.kept, *whole), (*before.held_out, *whole), "none")
        return Split(*_bands(shapes, settings.patch_size, alternating=settings.calibration != "none"), "bands")
    everything = tuple((index, _WHOLE) for index in range(len(shapes)))
    if not settings.hold_out:
        return Split(everything, everything, "none")
    calibrated = settings.calibration != "none"
    kept, bands = _bands(shapes, settings.patch_size, alternating=calibrated)
    few = calibrated and len(shapes) < FEWEST_CALIBRATED and len(bands) == len(shapes)
    if len(shapes) >= FEWEST_IMAGES and not few:
        chosen = np.random.default_rng([settings.seed, 3]).permutation(len(shapes))[: round(SHARE * len(shapes))]
        held_out = set(chosen.tolist())
        return Split(
            tuple(part for part in everything if part[0] not in held_out),
            tuple(part for part in everything if part[0] in held_out),
            "images",
        )
    return Split(kept, bands, "bands") if bands else Split(everything, everything, "none")


def _bands(shapes: Sequence[tuple[int, int]], patch_size: int, *, alternating: bool) -> tuple[Regions, Regions]:
    """Return what is left of each image beside a band, and the bands, at the end or in turn at the start."""
    kept: list[tuple[int, tuple[slice, slice]]] = []
    bands: list[tuple[int, tuple[slice, slice]]] = []
    for index, (height, width) in enumerate(shapes):
        longer = max(height, width)
        band = max(patch_size, round(SHARE * longer))
        if longer - band < patch_size or min(height, width) < patch_size:
            kept.append((index, _WHOLE))  # too small for both
            continue
        left, held_out = slice(0, longer - band), slice(longer - band, None)
        if alternating and len(bands) % 2:
            left, held_out = slice(band, None), slice(0, band)
        whole = slice(None)
        kept.append((index, (whole, left) if width == longer else (left, whole)))
        bands.append((index, (whole, held_out) if width == longer else (held_out, whole)))
    return tuple(kept), tuple(bands)


def take(image: NDArray[_Value], region: tuple[slice, slice]) -> NDArray[_Value]:
    """Return the region of an image or mask as a contiguous array."""
    return np.ascontiguousarray(image[region])
