"""Cut the patches of an image in batches, from a band of its rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import band_rows, let_go
from ssimae.images.depth import Image
from ssimae.tiling import count_patches, extract_patches, patch_grid


def patch_batches(
    image: Image, *, patch_size: int, stride: int, batch: int, margin: int = 0
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the patches of an image in batches (n, C, h, h), float32, each with the number of its first patch.

    Patches and their order are those of :func:`ssimae.tiling.extract_patches` on the image with its margin.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32, or Pixels
    patch_size, stride : int
    batch : int
        Patches of a batch; the last may be short. A batch is overwritten by the next.
    margin : int
        Width in pixels by which the image is continued past its border by its mirror image.
    """
    height, width = (side + 2 * margin for side in image.shape[:2])
    tops = patch_grid(height, patch_size, patch_size=patch_size, stride=stride)[:, 0]
    across = count_patches(patch_size, width, patch_size=patch_size, stride=stride)
    out = np.empty((batch, image.shape[2] if image.ndim == 3 else 1, patch_size, patch_size), np.float32)
    more = (
        max(band_rows(width * out.shape[1]) - patch_size, 0) // stride
    )  # rows of patches that a band holds beyond the first
    first = last = -1
    band = np.empty((0, 0, 0), np.float32)
    for start in range(0, len(tops) * across, batch):
        stop = min(start + batch, len(tops) * across)
        if (stop - 1) // across > last:
            first = start // across
            last = min(max((stop - 1) // across, first + more), len(tops) - 1)
            band = _padded_rows(image, margin, int(tops[first]), int(tops[last]) + patch_size)
            let_go(image)
        before = first * across
        part = {"start": start - before, "stop": stop - before}
        yield start, extract_patches(band, patch_size=patch_size, stride=stride, **part, out=out[: stop - start])


def _padded_rows(image: Image, margin: int, top: int, bottom: int) -> NDArray[np.float32]:
    """Return rows of an image with its margin, (rows, w, C)."""
    rows = np.pad(np.arange(image.shape[0]), margin, mode="reflect")[top:bottom]
    read = image[int(rows.min()) : int(rows.max()) + 1]
    band = read.reshape(*read.shape[:2], -1)
    return np.pad(band[rows - rows.min()], ((0, 0), (margin, margin), (0, 0)), mode="reflect") if margin else band
