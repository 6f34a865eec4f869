"""Read the masks of an image: its ground truth, and its pixels that are not inspected."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import GOOD, Sample
from ssimae.images.decoding import decode
from ssimae.images.read import MAX_PIXELS, image_orientation, is_flat

logger = logging.getLogger(__name__)

MaskKind = Literal["two values", "numbers", "shades", "opacity"]

RULES: dict[MaskKind, str] = {
    "two values": "black and white: what is not black is marked",
    "numbers": "numbers of classes or instances: all but 0 is marked",
    "shades": "shades, as of smooth edges: what is brighter than half of white is marked",
    "opacity": "one colour, drawn in the alpha channel: what is more than half opaque is marked",
}
"""How each kind of mask is read."""

_MOST_NUMBERS = 12
"""Values between black and white up to which a mask that reaches white may be of numbers that are nowhere flat."""

_BAND_ROWS = 256
"""Rows looked at together, so that memory is bounded."""

_MOST_GRAY = 0.75
"""Share of a mask of shades that may be neither dark nor bright; smooth edges are less, photographs more."""

_MOST_MARKED = 0.5
"""Share of an image beyond which a mask is probably turned over."""


@dataclass(frozen=True)
class Marks:
    """What a mask file, or several of one image, mark."""

    marked: NDArray[np.bool_]
    """Of shape (h, w)."""
    kinds: tuple[MaskKind, ...]
    """What each file holds."""


def read_mask(sample: Sample, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the ground truth of a test image; log what is suspicious about it.

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
    What a mask marks depends on what it holds (:data:`RULES`). Where its values lie between black and white, they are
    taken for numbers of classes or instances if most of them are no step from a darker to a brighter neighbour, as
    those of a smooth edge are, and, where there are many up to white, most lie among equal ones; so 1 is marked in a
    mask of 0 and 1, and so are 1, 2 and 255 in one of 0, 1, 2 and 255. JPEG changes values, so its masks are always
    taken as shades. Of coloured masks the brightest channel counts. Several masks of one image are united. Where an
    alpha channel says something, a mask of a single colour is what is opaque, and colour must not mark what cannot be
    seen.
    """
    mask = load_mask(sample, shape)
    for note in mask_notes(sample, mask):
        logger.warning("%s: %s", ", ".join(map(str, sample.masks)), note)
    return mask


def load_mask(sample: Sample, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return what :func:`read_mask` does, and log nothing."""
    return load_marks(sample, shape).marked


def load_marks(sample: Sample, shape: tuple[int, ...] | None) -> Marks:
    """Return the ground truth of a test image, of any size for a shape of None, and what its masks hold."""
    if not sample.masks:
        if sample.defect != GOOD or shape is None:
            raise ValueError(f"{sample.path}: no ground-truth mask")
        return Marks(np.zeros(shape[:2], dtype=np.bool_), ())
    expected = None if shape is None else (shape[0], shape[1])
    marked: NDArray[np.bool_] | None = None
    kinds = []
    for path in sample.masks:
        one, kind = _read_marks(path)
        expected = expected or (one.shape[0], one.shape[1])
        _refuse_other_size(one.shape, expected, path, sample.path)
        marked = one if marked is None else marked | one
        kinds.append(kind)
    assert marked is not None
    if sample.defect == GOOD and marked.any():
        raise ValueError(
            f"{sample.path}: a good image, but its mask {sample.masks[0]} marks {int(marked.sum())} pixels"
        )
    return Marks(marked, tuple(kinds))


def mask_notes(sample: Sample, mask: NDArray[np.bool_], ignored: NDArray[np.bool_] | None = None) -> list[str]:
    """Return what is suspicious about the ground truth of a test image, in words, none for most.

    Parameters
    ----------
    sample : Sample
    mask : ndarray of shape (h, w), bool
        What its masks mark.
    ignored : ndarray of shape (h, w), bool, optional
        Pixels that are not inspected.
    """
    if not sample.masks:
        return []
    notes = []
    if sample.defect != GOOD and not mask.any():
        notes.append(f"marks no pixel of {sample.path}")
    elif sample.defect != GOOD and ignored is not None and not (mask & ~ignored).any():
        notes.append(f"marks only pixels that are ignored of {sample.path}")
    if (share := float(mask.mean())) > _MOST_MARKED:
        notes.append(f"marks {100 * share:.0f} % of {sample.path}; if it is turned over, white has to be the defect")
    turn = image_orientation(sample.path)
    if turn != 1 and any(image_orientation(path) != turn for path in sample.masks):
        notes.append(
            f"taken as drawn on {sample.path} once its EXIF data has turned it (orientation {turn}); a mask "
            "of the file as it is stored would lie elsewhere"
        )
    return notes


def ignored_note(ignored: NDArray[np.bool_]) -> str | None:
    """Return what is suspicious about an ignore mask, in words, or None."""
    share = float(ignored.mean())
    if share <= _MOST_MARKED:
        return None
    return f"leaves {100 * share:.0f} % of its image uninspected; white has to be what is not inspected"


def marks_anything(masks: Sequence[Path]) -> bool:
    """Return whether masks mark a pixel; True where one cannot be read, so that reading it again names it."""
    try:
        return any(_read_marks(path)[0].any() for path in masks)
    except (OSError, ValueError):
        return True


def read_ignored(sample: Sample, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Return the pixels of an image that are not to be inspected, (h, w) bool, or None where there are none.

    Raises
    ------
    OSError, ValueError
        If the ignore mask cannot be read, is of another size, or leaves nothing of the image.
    """
    if sample.ignore is None:
        return None
    ignored, _ = _read_marks(sample.ignore)
    _refuse_other_size(ignored.shape, (shape[0], shape[1]), sample.ignore, sample.path)
    if ignored.all():
        raise ValueError(f"{sample.ignore}: leaves nothing of {sample.path}")
    return ignored if ignored.any() else None


def _read_marks(path: Path) -> tuple[NDArray[np.bool_], MaskKind]:
    """Return the pixels that a mask file marks, and what it holds."""
    decoded = decode(path, page=None, max_pixels=MAX_PIXELS)
    if decoded.white is None:
        raise ValueError(f"{path}: a mask must be of unsigned integers, got {decoded.samples.dtype.name}")
    levels = decoded.samples if decoded.samples.ndim == 2 else decoded.samples.max(axis=2)
    alpha = decoded.alpha
    if alpha is not None and not is_flat(alpha):
        if is_flat(decoded.samples):
            return alpha > decoded.white / 2, "opacity"
    else:
        alpha = None
    kind = _kind_of(levels, decoded.white, lossy=decoded.lossy)
    if kind == "shades":
        _refuse_photograph(path, levels, decoded.white)
    marked: NDArray[np.bool_] = levels > (decoded.white / 2 if kind == "shades" else 0)
    if alpha is not None and (unseen := int(np.count_nonzero(marked & (alpha == 0)))):
        raise ValueError(
            f"{path}: {unseen} pixels are marked by their colour and transparent: save the mask without an alpha "
            "channel"
        )
    return marked, kind


def _refuse_photograph(path: Path, levels: NDArray[Any], white: float) -> None:
    gray = float(np.mean((levels > white / 8) & (levels < white * 7 / 8)))
    if gray > _MOST_GRAY:
        raise ValueError(
            f"{path}: {100 * gray:.0f} % of it is neither dark nor bright, as in a photograph; a mask is black where "
            "nothing is marked, and white where something is"
        )


def _kind_of(levels: NDArray[Any], white: float, *, lossy: bool) -> MaskKind:
    found: set[int] = set()
    in_between = steps = flat = 0
    for top in range(0, len(levels), _BAND_ROWS):
        rows = slice(top, min(top + _BAND_ROWS, len(levels)))
        band = levels[rows]
        between = (band > 0) & (band < white)
        if not between.any():
            continue
        found |= set(np.unique(band[between]).tolist())
        lowest, highest = _extremes_around(levels, rows)
        in_between += int(np.count_nonzero(between))
        flat += int(np.count_nonzero(between & (lowest == highest)))
        steps += int(np.count_nonzero(between & (lowest < band) & (band < highest)))
    if not in_between:
        return "two values"
    # Few numbers may mark thin lines. Many are of regions, where noise and soft edges are not flat.
    many = levels.max() >= 7 / 8 * white and len(found) > _MOST_NUMBERS
    uneven = 2 * steps >= in_between or (many and 2 * flat < in_between)
    return "shades" if lossy or uneven else "numbers"


def _extremes_around(levels: NDArray[Any], rows: slice) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the lowest and the highest value among each pixel of some rows and its eight neighbours."""
    beside = np.arange(rows.start - 1, rows.stop + 1).clip(0, len(levels) - 1)
    padded = np.pad(levels[beside], ((0, 0), (1, 1)), mode="edge")
    height, width = len(beside) - 2, levels.shape[1]
    windows = [padded[row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return functools.reduce(np.minimum, windows), functools.reduce(np.maximum, windows)


def _refuse_other_size(size: tuple[int, ...], shape: tuple[int, int], mask: Path, image: Path) -> None:
    if size == shape:
        return
    message = (
        f"{image}: the image is {shape[0]} x {shape[1]} (height x width), its mask {mask} is {size[0]} x {size[1]}"
    )
    if size == shape[::-1] and image_orientation(image) != image_orientation(mask):
        message += "; EXIF data turns the one and not the other: turn the mask, or store the image upright"
    raise ValueError(message)
