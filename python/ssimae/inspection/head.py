"""Compute the maps of a head: how likely each pixel of an image is a defect, and how unlike good surfaces it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import let_go, new_map
from ssimae.calibration.reference import DISTANCE, HEAD
from ssimae.config.settings import Settings
from ssimae.engines.engine import Rebuilder
from ssimae.images.depth import Image
from ssimae.images.resize import restore_size, scale_image
from ssimae.models.reach import REACH

TILE = 1024
"""Side in pixels of the tiles that large images are judged in, a multiple of the head's step."""


def head_maps(
    engine: Rebuilder,
    image: Image,
    reconstruction: NDArray[np.float32],
    residual: NDArray[np.float32],
    settings: Settings,
) -> dict[str, NDArray[np.float32]]:
    """Return the maps of a head by channel, each (h, w) float32.

    That of :data:`ssimae.calibration.reference.HEAD` tells how likely each pixel is a defect, in [0, 1]; that of
    :data:`ssimae.calibration.reference.DISTANCE`, of a head that knows good surfaces, how far from them it is.

    Parameters
    ----------
    engine : Rebuilder
        With a head.
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
    reconstruction : ndarray of the image's shape, float32
    residual : ndarray of shape (h, w), float32
        Neither smoothed nor opened, as the head was trained.
    settings : Settings
        Its `scale` counts.

    Notes
    -----
    Large images are judged in tiles, of which each sees as far beyond its border as the head does: the map is that of
    the whole image but for rounding.
    """
    with engine.steady():
        planes = [scale_image(plane, settings.scale) for plane in (image, reconstruction, residual)]
        height, width = planes[0].shape[:2]
        maps: list[NDArray[np.float32]] = []
        for rows, seen_rows in _tiles(height):
            for columns, seen_columns in _tiles(width):
                seen = [plane[seen_rows, seen_columns] for plane in planes]
                part = _inside(rows, seen_rows), _inside(columns, seen_columns)
                said = engine.defects(seen[0], seen[1], seen[2], part)
                maps = maps or [new_map((height, width)) for _ in said]
                for map_, values in zip(maps, said, strict=True):
                    map_[rows, columns] = values
            let_go(*maps, *planes)
        channels = (HEAD, DISTANCE)[: len(maps)]
        return {name: restore_size(map_, *image.shape[:2]) for name, map_ in zip(channels, maps, strict=True)}


def _tiles(length: int) -> Iterator[tuple[slice, slice]]:
    """Yield the parts of a side that are judged together, and what is seen of it for each."""
    for start in range(0, length, TILE):
        stop = min(start + TILE, length)
        yield slice(start, stop), slice(max(start - REACH, 0), min(stop + REACH, length))


def _inside(part: slice, seen: slice) -> slice:
    return slice(part.start - seen.start, part.stop - seen.start)
