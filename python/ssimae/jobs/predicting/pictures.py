"""Write pictures of what was found: masks of black and white, and images with the outlines of their regions."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from ssimae.atomic import write_bytes
from ssimae.figures.outlines import outlined
from ssimae.images.depth import Image
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Judgement


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask, (h, w), as a PNG of 8 bits: 255 where a region lies, 0 elsewhere."""
    _write_png(path, Pillow.fromarray(mask.view(np.uint8) * np.uint8(255)))


def write_overlay(path: Path, image: Image, judgement: Judgement, thresholds: Thresholds) -> None:
    """Write an image of shape (h, w) or (h, w, 3), in [0, 1], as a PNG with its regions outlined in colour."""
    _write_png(path, outlined(image, judgement.mask, judgement.regions, thresholds))


def _write_png(path: Path, picture: Pillow.Image) -> None:
    buffer = io.BytesIO()
    # Of all levels the first is by far the quickest, and a few per cent larger.
    picture.save(buffer, "png", compress_level=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, buffer.getvalue())
