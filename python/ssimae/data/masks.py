"""Read the masks of an image: its ground truth, and its pixels that are not inspected."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import GOOD, Sample
from ssimae.images.decoding import decode
from ssimae.images.read import MAX_PIXELS

logger = logging.getLogger(__name__)


def read_mask(sample: Sample, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the ground truth of a test image.

    Parameters
    ----------
    sample : Sample
    shape : tuple of int
        Height and width of the image; what follows is left out of account.

    Returns
    -------
    ndarray of shape (h, w), bool
        True where defective; nowhere for good images.

    Raises
    ------
    OSError
        If the mask cannot be read.
    ValueError
        If there is none, it is of another size, it is no mask, or a good image has one that marks something.

    Notes
    -----
    1-bit masks and masks whose largest value is 1 are defective where they are not zero. Others may be anti-aliased:
    they are defective above half of white, so 8-bit masks above 127. Of coloured masks the brightest channel counts.
    """
    height, width = shape[:2]
    mask = load_mask(sample, (height, width))
    if sample.defect != GOOD and not mask.any():
        logger.warning("%s: the mask %s marks no pixel", sample.path, sample.mask)
    return mask


def load_mask(sample: Sample, shape: tuple[int, int] | None) -> NDArray[np.bool_]:
    """Return what :func:`read_mask` does, with no warning about an empty mask; any size for a shape of None."""
    if sample.mask is None:
        if sample.defect != GOOD or shape is None:
            raise ValueError(f"{sample.path}: no ground-truth mask")
        return np.zeros(shape, dtype=np.bool_)
    mask = _marked(sample.mask, sample.path, shape)
    if sample.defect == GOOD and mask.any():
        raise ValueError(f"{sample.path}: a good image, but its mask {sample.mask} marks {int(mask.sum())} pixels")
    return mask


def read_ignored(sample: Sample, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Return the pixels of an image that are not to be inspected, (h, w) bool, or None where there are none.

    Raises
    ------
    OSError, ValueError
        If the ignore mask cannot be read, is of another size, or leaves nothing of the image.
    """
    if sample.ignore is None:
        return None
    ignored = _marked(sample.ignore, sample.path, (shape[0], shape[1]))
    if ignored.all():
        raise ValueError(f"{sample.ignore}: leaves nothing of {sample.path}")
    return ignored if ignored.any() else None


def _marked(mask: Path, image: Path, shape: tuple[int, int] | None) -> NDArray[np.bool_]:
    """Return the pixels a mask marks; its size is the image's, or any for a shape of None."""
    decoded = decode(mask, page=None, max_pixels=MAX_PIXELS)
    if decoded.white is None:
        raise ValueError(f"{mask}: a mask must be of unsigned integers, got {decoded.samples.dtype.name}")
    levels = decoded.samples if decoded.samples.ndim == 2 else decoded.samples.max(axis=2)
    if shape is not None and levels.shape != shape:
        raise ValueError(
            f"{image}: the image is {shape[0]} x {shape[1]} (height x width), its mask {mask} is "
            f"{levels.shape[0]} x {levels.shape[1]}"
        )
    marked: NDArray[np.bool_] = levels > (0 if levels.max() <= 1 else decoded.white / 2)
    return marked
