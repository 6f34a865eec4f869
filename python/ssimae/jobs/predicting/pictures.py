"""Write pictures of what was found: masks of black and white, and images with the outlines of their regions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from ssimae.atomic import write_bytes
from ssimae.images.depth import Image
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Judgement
from ssimae.regions import outline_region

REVIEW, DEFECTIVE = (255, 176, 0), (220, 38, 38)
"""Colours of outlines: amber for regions to be reviewed, red for defective ones."""

_FINE = 400
"""Pixels of the shorter side for each pixel of an outline's width."""


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask, (h, w), as a PNG of 8 bits: 255 where a region lies, 0 elsewhere."""
    _write_png(path, Pillow.fromarray(mask.view(np.uint8) * np.uint8(255)))


def write_overlay(path: Path, image: Image, judgement: Judgement, thresholds: Thresholds) -> None:
    """Write an image of shape (h, w) or (h, w, 3), in [0, 1], as a PNG with its regions outlined in colour."""
    samples = np.empty((*image.shape[:2], 3), np.uint8)
    # Row by row: as float32 the image would take four times as much.
    for row in range(len(samples)):
        line = np.rint(image[row] * np.float32(255)).astype(np.uint8)
        samples[row] = line if line.ndim == 2 else line[:, None]
    picture = Pillow.fromarray(samples)
    draw = ImageDraw.Draw(picture)
    width = max(1, round(min(samples.shape[:2]) / _FINE))
    for region in reversed(judgement.regions):  # the highest on top
        corners = outline_region(judgement.mask, (region.top, region.left, region.bottom, region.right))
        colour = DEFECTIVE if region.max_score > thresholds.defective else REVIEW
        draw.line(_closed(corners), fill=colour, width=width)
    _write_png(path, picture)


def _closed(corners: NDArray[np.int64]) -> Sequence[Any]:
    return [tuple(corner) for corner in [*corners.tolist(), corners[0].tolist()]]


def _write_png(path: Path, picture: Pillow.Image) -> None:
    buffer = io.BytesIO()
    # Of all levels the first is by far the quickest, and a few per cent larger.
    picture.save(buffer, "png", compress_level=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, buffer.getvalue())
