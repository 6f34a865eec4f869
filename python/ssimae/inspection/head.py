"""Compute the map of a head: how likely each pixel of an image is a defect."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.bands import let_go, new_map
from ssimae.config.settings import Settings
from ssimae.hardware import steady
from ssimae.images.depth import Image
from ssimae.images.resize import restore_size, scale_image
from ssimae.inspection.comparison import as_batch
from ssimae.losses.network import arithmetic
from ssimae.models.head import REACH, Head, head_input

TILE = 1024
"""Side in pixels of the tiles that large images are judged in, a multiple of the head's step."""


@steady()
@torch.inference_mode()
def head_map(
    head: Head,
    image: Image,
    reconstruction: NDArray[np.float32],
    residual: NDArray[np.float32],
    settings: Settings,
    *,
    device: torch.device,
    precision: str,
) -> NDArray[np.float32]:
    """Return how likely each pixel is a defect, (h, w) float32 in [0, 1].

    Parameters
    ----------
    head : Head
        On `device`.
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
    reconstruction : ndarray of the image's shape, float32
    residual : ndarray of shape (h, w), float32
        Neither smoothed nor opened, as the head was trained.
    settings : Settings
        Its `scale` counts.
    device : torch.device
    precision : {"float32", "bfloat16"}
        Arithmetic of the head; probabilities are float32.

    Notes
    -----
    Large images are judged in tiles, of which each sees as far beyond its border as the head does: the map is that of
    the whole image but for rounding.
    """
    planes = [scale_image(plane, settings.scale) for plane in (image, reconstruction, residual)]
    height, width = planes[0].shape[:2]
    probabilities: NDArray[np.float32] = new_map((height, width))
    for rows, seen_rows in _tiles(height):
        for columns, seen_columns in _tiles(width):
            seen = [as_batch(plane[seen_rows, seen_columns]).to(device) for plane in planes]
            with arithmetic(device, precision):
                logits = head(head_input(*seen))
            top, left = rows.start - seen_rows.start, columns.start - seen_columns.start
            tile = logits[0, 0, top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]
            probabilities[rows, columns] = tile.float().sigmoid().cpu().numpy()
        let_go(probabilities, *planes)
    return restore_size(probabilities, *image.shape[:2])


def _tiles(length: int) -> Iterator[tuple[slice, slice]]:
    """Yield the parts of a side that are judged together, and what is seen of it for each."""
    for start in range(0, length, TILE):
        stop = min(start + TILE, length)
        yield slice(start, stop), slice(max(start - REACH, 0), min(stop + REACH, length))
