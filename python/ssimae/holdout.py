"""Which good images, or which part of each, stay out of training so that thresholds can be set on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.config import Settings
from ssimae.model import Autoencoder
from ssimae.residual import inspect_image

FEWEST_IMAGES = 20
"""From this number of good images on, whole images are held out."""

SHARE = 0.2
"""Share of the good images, or of each image's longer side, that is held out."""


@dataclass(frozen=True)
class Split:
    """Good images for training and for thresholds.

    `kept` and `held_out` are index and region pairs: the image's number, and the slices of its rows and columns.
    """

    kept: tuple[tuple[int, tuple[slice, slice]], ...]
    held_out: tuple[tuple[int, tuple[slice, slice]], ...]
    kind: str
    """`images`, `bands`, or `none` where nothing could or should be held out."""


_WHOLE = (slice(None), slice(None))


def split_good(shapes: Sequence[tuple[int, int]], settings: Settings) -> Split:
    """Return what is trained on and what thresholds are set on.

    Parameters
    ----------
    shapes : sequence of (height, width)
        Sizes of the good images after scaling.
    settings : Settings
        Its `hold_out`, `patch_size` and `seed` count.

    Notes
    -----
    From 20 images on, a fifth of them is held out, chosen by the seed. With fewer, a band at least a patch wide at the
    end of each image's longer side is; images too small for a band and a patch beside it are trained on whole. Where
    nothing is held out, thresholds come from training images and will be too low: the run records it.
    """
    everything = tuple((index, _WHOLE) for index in range(len(shapes)))
    if not settings.hold_out:
        return Split(everything, everything, "none")
    if len(shapes) >= FEWEST_IMAGES:
        chosen = np.random.default_rng([settings.seed, 3]).permutation(len(shapes))[: round(SHARE * len(shapes))]
        held_out = set(chosen.tolist())
        return Split(
            tuple(part for part in everything if part[0] not in held_out),
            tuple(part for part in everything if part[0] in held_out),
            "images",
        )
    kept, bands = [], []
    for index, (height, width) in enumerate(shapes):
        longer = max(height, width)
        band = max(settings.patch_size, round(SHARE * longer))
        if longer - band < settings.patch_size or min(height, width) < settings.patch_size:
            kept.append((index, _WHOLE))
            continue
        before, after = slice(0, longer - band), slice(longer - band, None)
        whole = slice(None)
        kept.append((index, (whole, before) if width == longer else (before, whole)))
        bands.append((index, (whole, after) if width == longer else (after, whole)))
    return Split(tuple(kept), tuple(bands), "bands") if bands else Split(everything, everything, "none")


def held_out_residuals(
    model: Autoencoder,
    images: Sequence[NDArray[np.float32]],
    split: Split,
    settings: Settings,
    *,
    device: torch.device,
    precision: str,
) -> Iterator[NDArray[np.float32]]:
    """Yield the residual map of each held-out part, computed on the whole image as at inspection.

    Parameters
    ----------
    model : Autoencoder
        On `device`.
    images : sequence of ndarray, float32 in [0, 1]
        Good images at their own size, in the order the split was made for.
    split, settings, device, precision
        As for training.
    """
    for index, region in split.held_out:
        _, residual = inspect_image(model, images[index], settings, device=device, precision=precision)
        rows, columns = (_unscaled(side, settings.scale) for side in region)
        yield take(residual, (rows, columns))


def _unscaled(side: slice, scale: float) -> slice:
    start, stop = (None if end is None else round(end / scale) for end in (side.start, side.stop))
    return slice(start, stop)


def take(image: NDArray[np.float32], region: tuple[slice, slice]) -> NDArray[np.float32]:
    """Return the region of an image as a contiguous array."""
    return np.ascontiguousarray(image[region])
