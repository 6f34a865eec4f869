"""Read images of every depth as float32 in [0, 1]."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import in_bands, new_map
from ssimae.images.decoding import decode, read_head
from ssimae.images.depth import Image, Pixels
from ssimae.images.pixels import Decoded

MAX_PIXELS = 10**9
"""Largest image read unless told otherwise, in pixels."""

_GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114])
"""Luma of ITU-R BT.601."""

_BAND_ROWS = 256

_WHITE_16_BIT = 65535

_COLOURED, _SHARE_COLOURED = 0.1, 1e-4
"""Share of white by which the channels of a pixel differ where it has a colour, and share of such pixels from which on
an image has."""


def read_image(
    path: Path | str,
    *,
    channels: int = 1,
    data_range: float | None = None,
    page: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.float32]:
    """Return an image file as float32 in [0, 1].

    Parameters
    ----------
    path : path
        PNG, JPEG, TIFF, BMP or WebP, told by its content.
    channels : int
        1: gray, colour by the weights of ITU-R BT.601 at full depth; 3: colour, gray repeated.
    data_range : float, optional
        Stored value that becomes 1. By default the largest of the stored type: 255 for 8 bits, 65535 for 16; floats
        and signed integers have none, and need it. 12-bit data in 16-bit files needs 4095.
    page : int, optional
        Page of a file that has several, from 0.
    max_pixels : int
        Larger images are refused before they are decoded.

    Returns
    -------
    ndarray of shape (h, w), or (h, w, 3) for three channels, float32 in [0, 1]
        Turned upright as EXIF says; alpha dropped.

    See Also
    --------
    ssimae.images.read.read_stored : the same in the depth of the file, for a quarter of the memory.

    Raises
    ------
    OSError
        If the file cannot be read or is cut short.
    ValueError
        If it is no image, is damaged, too large, has several pages and none is named, would lose depth, has a value
        that is not finite or outside 0..`data_range`, or a parameter breaks its rule. Each message names the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import ssimae
    >>> from PIL import Image
    >>> path = Path(tempfile.mkdtemp()) / "gray.png"
    >>> Image.fromarray(np.array([[0, 51, 255]], np.uint8)).save(path)
    >>> ssimae.read_image(path)
    array([[0. , 0.2, 1. ]], dtype=float32)
    """
    return read_stored(path, channels=channels, data_range=data_range, page=page, max_pixels=max_pixels)[:]


def read_stored(
    path: Path | str,
    *,
    channels: int = 1,
    data_range: float | None = None,
    page: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Image:
    """Return an image file in its own depth where that is 8 or 16 bits: its parts come as :func:`read_image` has them.

    Parameters and errors are those of :func:`read_image`. Colour turned into gray is float32.
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3, got {channels}")
    if max_pixels < 1:
        raise ValueError(f"`max_pixels` must be at least 1, got {max_pixels}")
    path = Path(path)
    decoded = decode(path, page=page, max_pixels=max_pixels)
    return as_image(decoded.samples, white_level(decoded, path, data_range=data_range), channels=channels)


def as_image(samples: NDArray[Any], white: float, *, channels: int) -> Image:
    """Return samples of 0..`white` as :func:`read_stored` does, of shape (h, w) or (h, w, 3)."""
    if channels == 1 and samples.ndim == 3:
        return _gray(samples, white)
    if channels == 3 and samples.ndim == 2:
        samples = np.broadcast_to(samples[:, :, None], (*samples.shape, 3))
    image = Pixels(samples, white)
    return image if samples.dtype in (np.uint8, np.uint16) else image[:]


def white_level(decoded: Decoded, path: Path | str, *, data_range: float | None) -> float:
    """Return the stored value that becomes 1, once every sample is known to be finite and in 0..that value.

    `path` is the file, or what an array is called in messages.

    Raises
    ------
    ValueError
        If the samples have no range of their own and none is given, the given one is more than they can hold, or a
        sample breaks the rule; the message names the file and the position.
    """
    samples, white = decoded.samples, decoded.white
    if data_range is None:
        if white is None:
            raise ValueError(
                f"{path}: {samples.dtype.name} samples have no range of their own: give `data_range` "
                "(--data-range of check, run and train, which the model keeps)"
            )
        if white > _WHITE_16_BIT and (largest := samples.max()) <= _WHITE_16_BIT:
            raise ValueError(
                f"{path}: {samples.dtype.name} samples of which none exceeds {largest}, black beside the range of "
                "their type: give `data_range` (--data-range of check, run and train, which the model keeps)"
            )
        return white
    if not (data_range > 0 and math.isfinite(data_range)):
        raise ValueError(f"`data_range` must be positive and finite, got {data_range}")
    if white is not None and data_range > white:
        raise ValueError(f"{path}: `data_range` ({data_range:g}) is more than its samples can hold ({white:g})")
    if samples.dtype.kind == "f":
        refuse_not_finite(samples, path)
    _refuse_outside(samples, path, data_range)
    return data_range


def has_colour(samples: NDArray[Any], white: float) -> bool:
    """Return whether samples, (h, w) or (h, w, 3) of 0..`white`, show any colour but the noise of compression."""
    if samples.ndim == 2:
        return False
    coloured = sum(np.count_nonzero(np.ptp(samples[band], axis=2) > _COLOURED * white) for band in _bands(len(samples)))
    return bool(coloured > _SHARE_COLOURED * samples[..., 0].size)


def is_flat(image: Image | NDArray[Any]) -> bool:
    """Return whether all pixels of an image, or of samples, (h, w) or (h, w, 3), are the same."""
    return all(bool((image[band] == image[0, 0]).all()) for band in _bands(image.shape[0]))


def image_size(path: Path | str, *, page: int | None = None) -> tuple[int, int]:
    """Return height and width of an image file in pixels, upright, without decoding it.

    Raises
    ------
    OSError, ValueError
        If the file is no image or has several pages and none is named.
    """
    return read_head(Path(path), page=page).shape


def image_orientation(path: Path | str) -> int:
    """Return EXIF's orientation of an image file, 1..8, by which it is turned when it is read; 1 for upright.

    Raises
    ------
    OSError, ValueError
        If the file is no image or has several pages.
    """
    return read_head(Path(path), page=None).orientation


def _gray(samples: NDArray[Any], white: float) -> NDArray[np.float32]:
    """Return colour as gray; float64 in bands, so that depth is kept and memory bounded."""
    gray: NDArray[np.float32] = new_map(samples.shape[:2])
    return in_bands(lambda band: samples[band.rows].astype(np.float64) @ _GRAY_WEIGHTS / white, gray)


def _bands(rows: int) -> list[slice]:
    return [slice(top, top + _BAND_ROWS) for top in range(0, rows, _BAND_ROWS)]


def refuse_not_finite(samples: NDArray[Any], path: Path | str, *, first: int = 0) -> None:
    """Refuse pixels that are not finite; the message names the file and the position of the first.

    The samples are rows from `first` on.
    """
    for row, line in enumerate(samples, first):
        bad = ~np.isfinite(line)
        if bad.any():
            column = int(np.argmax(bad.reshape(len(line), -1).any(axis=1)))
            raise ValueError(f"{path}: pixels must be finite, got {line[column]} at row {row}, column {column}")


def _refuse_outside(samples: NDArray[Any], path: Path | str, white: float) -> None:
    if samples.min() >= 0 and samples.max() <= white:
        return
    outside = (samples < 0) | (samples > white)
    row, column, *_ = (int(position) for position in np.argwhere(outside)[0])
    raise ValueError(
        f"{path}: pixels must lie in 0..`data_range` ({white:g}), got {samples[row, column]} at row {row}, "
        f"column {column}"
    )
