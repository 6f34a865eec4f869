"""Shrink images and maps to the size of a preview, band by band."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssimae.bands import Band, band_rows, in_bands, let_go
from ssimae.images.depth import Image as Pixels

_Value = TypeVar("_Value", bound=np.generic)


def shrink(image: Pixels, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an image of (h, w) or (h, w, 3) in [0, 1] as 8 bits in a smaller shape, pixels averaged."""
    narrow = np.empty((image.shape[0], shape[1], *image.shape[2:]), np.uint8)

    def rows(band: Band) -> NDArray[np.uint8]:
        whole = Image.fromarray(np.round(255 * np.clip(image[band.rows], 0, 1)).astype(np.uint8))
        return np.asarray(whole.resize((shape[1], whole.height), Image.Resampling.BOX))

    # The two passes that Pillow takes over the whole.
    whole = Image.fromarray(in_bands(rows, narrow, image))
    return np.asarray(whole.resize((shape[1], shape[0]), Image.Resampling.BOX))


def shrink_highest(map_: NDArray[_Value], shape: tuple[int, int]) -> NDArray[_Value]:
    """Return a map or mask in a smaller shape, each pixel the highest it stands for: a small defect does not fade."""
    height, width = map_.shape
    tops, lefts = (np.arange(short) * full // short for short, full in zip(shape, map_.shape, strict=True))
    highest = np.empty(shape, map_.dtype)
    together = max(1, band_rows(width) * shape[0] // height)
    for first in range(0, shape[0], together):
        starts = tops[first : first + together]
        end = int(tops[first + together]) if first + together < shape[0] else height
        rows = np.maximum.reduceat(map_[int(starts[0]) : end], starts - starts[0], axis=0)
        highest[first : first + together] = np.maximum.reduceat(rows, lefts, axis=1)
        let_go(map_)
    return highest
