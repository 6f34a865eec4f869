"""Paint what was found: regions outlined on their image, and maps in colours that say what their values mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from ssimae.figures.previews import shrink, shrink_highest
from ssimae.images.depth import Image
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Region
from ssimae.regions import outline_region

REVIEW, DEFECTIVE = (255, 176, 0), (220, 38, 38)
"""Colours of outlines: amber for regions to be reviewed, red for defective ones."""

_LIGHTEST = 235
"""Gray of a map just at `review`."""

_FINE = 400
"""Pixels of the shorter side for each pixel of an outline's width."""


def outlined(
    image: Image,
    mask: NDArray[np.bool_],
    regions: Sequence[Region],
    thresholds: Thresholds,
    *,
    shape: tuple[int, int] | None = None,
) -> Pillow.Image:
    """Return an image as 8 bits RGB with its regions outlined in colour.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, 3), float32 in [0, 1], or Pixels
    mask : ndarray of shape (h, w), bool
        True where a region lies.
    regions : sequence of Region
        Highest first; it is drawn on top.
    thresholds : Thresholds
        Of these `defective` divides the colours.
    shape : tuple of int, optional
        Height and width of the picture, no larger than the image's; by default the image's own.
    """
    height, width = image.shape[:2] if shape is None else shape
    if shape is None:
        samples = np.empty((height, width, 3), np.uint8)
        # Row by row: as float32 the image would take four times as much.
        for row in range(height):
            line = np.rint(image[row] * np.float32(255)).astype(np.uint8)
            samples[row] = line if line.ndim == 2 else line[:, None]
    else:
        small = shrink(image, shape)
        samples = small if small.ndim == 3 else np.repeat(small[:, :, None], 3, axis=2)
    picture = Pillow.fromarray(samples)
    draw = ImageDraw.Draw(picture)
    line_width = max(1, round(min(height, width) / _FINE))
    scale = np.array([width / image.shape[1], height / image.shape[0]])
    for region in reversed(regions):
        corners = outline_region(mask, (region.top, region.left, region.bottom, region.right))
        colour = DEFECTIVE if region.max_score > thresholds.defective else REVIEW
        draw.line(_closed(corners if shape is None else corners * scale), fill=colour, width=line_width)
    return picture


def _closed(corners: NDArray[Any]) -> Sequence[Any]:
    return [tuple(corner) for corner in [*corners.tolist(), corners[0].tolist()]]


def painted(
    map_: NDArray[np.float32], thresholds: Thresholds, *, shape: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Return a map in colours, (h, w, 3) uint8: gray up to `review`, amber from there on, red from `defective` on.

    In a smaller `shape`, each pixel has the highest value of those it stands for, so that a small defect does not fade.
    """
    values = map_ if shape is None else shrink_highest(map_, shape)
    gray = np.clip(values / max(thresholds.review, float(np.finfo(np.float32).tiny)), 0, 1)
    picture = np.repeat(np.rint(_LIGHTEST * gray).astype(np.uint8)[:, :, None], 3, axis=2)
    picture[values > thresholds.review] = REVIEW
    picture[values > thresholds.defective] = DEFECTIVE
    return picture
