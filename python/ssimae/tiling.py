"""Images to patches and back; the work is done in Rust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae import _rust


def patch_grid(height: int, width: int, *, patch_size: int, stride: int) -> NDArray[np.int64]:
    """Return the top-left corners of all patches of an image, row by row.

    Parameters
    ----------
    height, width : int
        Size of the image, at least `patch_size`.
    patch_size : int
        Side of the square patches.
    stride : int
        Step between them, in 1..patch_size.

    Returns
    -------
    ndarray of shape (P, 2), int64
        Row and column. The last row and column of patches are shifted to the border (Bergmann et al. 2019, sec. 4.2
        leaves open what happens there).

    Raises
    ------
    ValueError
        If the patch is larger than the image, or the stride would leave gaps.
    """
    _check_grid(height, width, patch_size, stride)
    return _rust.patch_grid(height, width, patch_size, stride)


def extract_patches(image: NDArray[Any], *, patch_size: int, stride: int) -> NDArray[np.float32]:
    """Return all patches of an image.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C)
        uint8 and uint16 are scaled to [0, 1] by their type's range; float32 and float64 are taken as they are.
    patch_size, stride : int
        As for :func:`patch_grid`.

    Returns
    -------
    ndarray of shape (P, h, w), or (P, C, h, w) for an image with channels, float32

    Raises
    ------
    ValueError
        If the image has another number of dimensions or another type, or the grid cannot be laid.
    """
    if image.ndim not in (2, 3):
        raise ValueError(f"`image` must have shape (H, W) or (H, W, C), got {image.shape}")
    if image.dtype == np.float64:
        image = image.astype(np.float32)
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        raise ValueError(f"`image` must be uint8, uint16, float32 or float64, got {image.dtype}")
    count = len(patch_grid(image.shape[0], image.shape[1], patch_size=patch_size, stride=stride))
    planes = np.ascontiguousarray(image.reshape(*image.shape[:2], -1))
    patches = np.empty((count, planes.shape[2], patch_size, patch_size), dtype=np.float32)
    _rust.extract_patches(planes, stride, patches)
    return patches[:, 0] if image.ndim == 2 else patches


def stitch_patches(patches: NDArray[np.float32], *, height: int, width: int, stride: int) -> NDArray[np.float32]:
    """Return the image of patches laid on their grid, the mean where they overlap.

    Parameters
    ----------
    patches : ndarray of shape (P, h, w) or (P, C, h, w), float32
        In the order of :func:`patch_grid`.
    height, width : int
        Size of the image.
    stride : int
        Step the patches were extracted with.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, C), float32

    Raises
    ------
    ValueError
        If the patches are not square or their number is not that of the grid.
    """
    if patches.ndim not in (3, 4) or patches.shape[-1] != patches.shape[-2]:
        raise ValueError(f"`patches` must have shape (P, h, h) or (P, C, h, h), got {patches.shape}")
    _check_grid(height, width, patches.shape[-1], stride)
    planes = np.ascontiguousarray(patches if patches.ndim == 4 else patches[:, None], dtype=np.float32)
    image = np.empty((height, width, planes.shape[1]), dtype=np.float32)
    _rust.stitch_patches(planes, stride, image)
    return image[:, :, 0] if patches.ndim == 3 else image


def gather_crops(images: Sequence[NDArray[np.float32]], boxes: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """Bring rectangles of several images to patches, straight into a batch.

    Parameters
    ----------
    images : sequence of ndarray of shape (H, W) or (H, W, C), float32, C-contiguous
        Sizes may differ.
    boxes : ndarray of shape (N, 5), float64
        Image number, first row, first column, height and width of each crop in pixels. Crops of the patch's size at
        whole pixels are copied, others resampled (bilinear).
    out : ndarray of shape (N, C, h, h), float32, C-contiguous
        Overwritten.

    Raises
    ------
    ValueError
        If a crop does not lie inside its image.
    """
    views = [image if image.ndim == 3 else image[:, :, None] for image in images]
    _rust.gather_crops(views, np.ascontiguousarray(boxes), out)


def _check_grid(height: int, width: int, patch_size: int, stride: int) -> None:
    if not 1 <= patch_size <= min(height, width):
        raise ValueError(
            f"`patch_size` must be in 1..{min(height, width)} for an image of {width} x {height}, got {patch_size}"
        )
    if not 1 <= stride <= patch_size:
        raise ValueError(f"`stride` must be in 1..patch_size ({patch_size}), got {stride}")
