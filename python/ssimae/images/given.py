"""Take images of callers: paths, and arrays by the rules of image files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.images.decoding import decode
from ssimae.images.depth import Image, Pixels
from ssimae.images.pixels import Decoded
from ssimae.images.read import MAX_PIXELS, as_image, has_colour, white_level

_WHITE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0, "float64": 1.0}
"""Value of white by the type of an array, where none is given."""


@dataclass(frozen=True)
class Given:
    """An image of a caller."""

    pixels: Image
    """(h, w) or (h, w, 3), in [0, 1]."""
    made_gray: bool
    """Whether the file was in colour."""
    depth: str | None
    """Depth of the file in words; None for an array."""


def take_image(image: NDArray[Any] | str | Path, name: str, *, channels: int, data_range: float | None = None) -> Given:
    """Return a file as :func:`.read.read_stored` does, or an array as :func:`image_of_array`; raises as these."""
    if not isinstance(image, str | Path):
        if np.ma.is_masked(image):
            raise ValueError(
                f"{name} is a masked array: hand over its `data`, and its `mask` as what is not inspected (`ignore`)"
            )
        pixels = image_of_array(np.asarray(image), name, channels=channels, data_range=data_range)
        return Given(pixels, made_gray=False, depth=None)
    path = Path(image)
    decoded = decode(path, page=None, max_pixels=MAX_PIXELS)
    white = white_level(decoded, path, data_range=data_range)
    made_gray = channels == 1 and has_colour(decoded.samples, white)
    return Given(as_image(decoded.samples, white, channels=channels), made_gray, decoded.depth)


def image_of_array(array: NDArray[Any], name: str, *, channels: int, data_range: float | None = None) -> Image:
    """Return an array as an image.

    Parameters
    ----------
    array : ndarray of shape (h, w) or (h, w, 1), or (h, w, 3) for three channels, uint8, uint16, float32 or float64
    name : str
        What it is called in messages.
    channels : int
        1 or 3.
    data_range : float, optional
        Value that becomes 1. By default the largest of integers, and 1 of floats.

    Returns
    -------
    ndarray of shape (h, w) or (h, w, 3), float32 in [0, 1], or Pixels of the array's own memory where it holds integers

    Raises
    ------
    ValueError
        If shape or type is another, or a value is not finite or outside 0..`data_range`; nothing is guessed from the
        values, as it is not for files.
    """
    found = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or found != channels:
        wanted = "(h, w)" if channels == 1 else "(h, w, 3)"
        raise ValueError(f"{name} must have shape {wanted}, got {array.shape}")
    if array.ndim == 3 and channels == 1:
        array = array[:, :, 0]
    if 0 in array.shape:
        raise ValueError(f"{name} must have pixels, got shape {array.shape}")
    if array.dtype.name not in _WHITE:
        raise ValueError(f"{name} must be uint8, uint16, float32 or float64, got {array.dtype}")
    white = _WHITE[array.dtype.name]
    if array.dtype.kind == "f":
        # Floats can hold more than white; integers are checked where a range is given.
        white = white_level(Decoded(array, None), name, data_range=white if data_range is None else data_range)
        return (array / white).astype(np.float32)
    white = white_level(Decoded(array, white), name, data_range=data_range)
    return Pixels(array, float(np.float32(white)))
