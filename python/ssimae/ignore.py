"""What of an image is not inspected: selvedge, clamp, background. Which mask belongs to which image, and the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssimae.images import IMAGE_SUFFIXES


def pair_ignore_masks(given: Path, images: Sequence[Path], *, all_used: bool) -> dict[Path, Path]:
    """Return the ignore mask of each image that has one.

    Parameters
    ----------
    given : Path
        One mask for all images, or a folder of masks. In a folder, a mask belongs to the images whose path without
        suffix ends with the mask's, so ``train/good/07.png`` belongs to one image of an MVTec layout and ``07.png`` to
        every image 07; the longest that fits is taken.
    images : sequence of Path
        Absolute.
    all_used : bool
        Whether a mask that belongs to no image is an error.

    Raises
    ------
    OSError
        If there is no such file or folder.
    ValueError
        If a folder holds no mask, or one that belongs to no image.
    """
    given = Path(os.path.abspath(given))
    if not given.exists():
        raise FileNotFoundError(f"{given}: no such ignore mask, or folder of them")
    if not given.is_dir():
        return dict.fromkeys(images, given)
    masks = {
        path.relative_to(given).with_suffix("").parts: path
        for path in sorted(given.rglob("*"))
        if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    }
    if not masks:
        raise ValueError(f"{given}: no ignore mask in this folder")
    pairs = {}
    for image in images:
        parts = image.with_suffix("").parts
        fitting = (parts[start:] for start in range(len(parts)) if parts[start:] in masks)
        if (name := next(fitting, None)) is not None:
            pairs[image] = masks[name]
    unused = sorted(set(masks.values()) - set(pairs.values()))
    if all_used and unused:
        raise ValueError(f"{unused[0]}: an ignore mask that belongs to no image ({len(unused)} such)")
    return pairs


def inspected_frame(ignored: NDArray[np.bool_] | None) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest rectangle that holds all that is inspected.

    Networks and windows see nothing outside it, so a selvedge or a clamp at the border has no influence.

    Parameters
    ----------
    ignored : ndarray of shape (h, w), bool, or None
        True for what is not inspected; not all of it. None for nothing.
    """
    if ignored is None:
        return slice(None), slice(None)
    rows, columns = (np.flatnonzero(~ignored.all(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def inside_frame(ignored: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Return what is ignored inside the frame, or None for nothing."""
    if ignored is None:
        return None
    inner = np.ascontiguousarray(ignored[inspected_frame(ignored)])
    return inner if inner.any() else None
