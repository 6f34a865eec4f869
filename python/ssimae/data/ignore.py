"""Pair images with their ignore masks, which mark what is not inspected: selvedge, clamps, background."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssimae.images.decoding import IMAGE_SUFFIXES

logger = logging.getLogger(__name__)


def pair_ignore_masks(masks_path: Path, images: Sequence[Path], *, all_used: bool) -> dict[Path, Path]:
    """Return the ignore mask of each image that has one.

    Parameters
    ----------
    masks_path : Path
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
        If a folder holds no mask, two of one name, none that belongs to an image, or one that does not.

    Notes
    -----
    Images that a folder has no mask for are inspected whole; a warning counts them.
    """
    masks = IgnoreMasks(masks_path)
    pairs = {image: mask for image in images if (mask := masks.of(image)) is not None}
    unused = sorted(set(masks.files) - set(pairs.values()))
    if masks.are_many and unused and (all_used or not pairs):
        raise ValueError(f"{unused[0]}: an ignore mask that belongs to no image ({len(unused)} such)")
    without = [image for image in images if image not in pairs]
    if without:
        logger.warning("%d of %d images have no ignore mask, the first %s", len(without), len(images), without[0])
    return pairs


class IgnoreMasks:
    """The ignore masks of images that come one by one: one for all, or those of a folder by their names.

    Parameters
    ----------
    masks_path : Path
        As for :func:`pair_ignore_masks`, whose errors are raised where they are about masks alone.
    """

    def __init__(self, masks_path: Path) -> None:
        path = Path(os.path.abspath(masks_path))
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such ignore mask, or folder of them")
        self.are_many = path.is_dir()
        self._by_name: dict[tuple[str, ...], Path] = _masks_by_name(path) if self.are_many else {(): path}

    @property
    def files(self) -> Iterable[Path]:
        """All masks."""
        return self._by_name.values()

    def of(self, image: Path) -> Path | None:
        """Return the mask that belongs to an image, or None."""
        parts = image.with_suffix("").parts if self.are_many else ()
        # The whole path first: the longest name that fits is taken.
        fitting = (parts[start:] for start in range(len(parts) + 1) if parts[start:] in self._by_name)
        return self._by_name.get(next(fitting, ("",)))


def _masks_by_name(folder: Path) -> dict[tuple[str, ...], Path]:
    """Return the masks in a folder and below by the parts of their path without suffix; nothing hidden."""
    masks: dict[tuple[str, ...], Path] = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inner.parts)
        if hidden or path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
            continue
        if (other := masks.get(inner.with_suffix("").parts)) is not None:
            raise ValueError(f"{path}: doubly named, as {other.name} is; rename one")
        masks[inner.with_suffix("").parts] = path
    if not masks:
        raise ValueError(f"{folder}: no ignore mask in this folder")
    return masks


def is_ignore_mask(path: Path, masks_path: Path | None) -> bool:
    """Return whether a file is that mask, or lies in that folder of masks: it is no image then."""
    if masks_path is None:
        return False
    masks = {Path(os.path.abspath(masks_path)), masks_path.resolve()}
    return bool(masks & {path, *path.parents, path.resolve(), *path.resolve().parents})


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
