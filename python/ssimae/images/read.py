"""Images and float maps from and to files, every depth in full."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ssimae.atomic import write_bytes
from ssimae.images.decoding import IMAGE_SUFFIXES, decode, measure
from ssimae.images.pixels import Decoded

__all__ = [
    "IMAGE_SUFFIXES",
    "image_size",
    "read_array",
    "read_float_map",
    "read_image",
    "stored_head",
    "white_level",
    "write_float_tiff",
]

MAX_PIXELS = 10**9
"""Largest image read unless told otherwise, in pixels."""

_GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114])
"""Luma of ITU-R BT.601."""

_BAND_ROWS = 256


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

    Raises
    ------
    OSError
        If the file cannot be read or is cut short.
    ValueError
        If it is no image, is damaged, too large, has several pages and none is named, would lose depth, has a value
        that is not finite or outside 0..`data_range`, or a parameter breaks its rule. Each message names the file.
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3, got {channels}")
    if max_pixels < 1:
        raise ValueError(f"`max_pixels` must be at least 1, got {max_pixels}")
    path = Path(path)
    decoded = decode(path, page=page, max_pixels=max_pixels)
    white = white_level(decoded, path, data_range=data_range)
    samples = decoded.samples
    if channels == 1 and samples.ndim == 3:
        return _gray(samples, white)
    image = np.empty(samples.shape, dtype=np.float32)
    np.divide(samples, white, out=image, casting="same_kind")
    return np.repeat(image[:, :, None], 3, axis=2) if channels == 3 and image.ndim == 2 else image


def white_level(decoded: Decoded, path: Path, *, data_range: float | None) -> float:
    """Return the stored value that becomes 1, once every sample is known to be finite and in 0..that value.

    Raises
    ------
    ValueError
        If the samples have no range of their own and none is given, the given one is more than they can hold, or a
        sample breaks the rule; the message names the file and the position.
    """
    samples, white = decoded.samples, decoded.white
    if data_range is None:
        if white is None:
            raise ValueError(f"{path}: {samples.dtype.name} samples have no range of their own: give `data_range`")
        return white
    if not (data_range > 0 and math.isfinite(data_range)):
        raise ValueError(f"`data_range` must be positive and finite, got {data_range}")
    if white is not None and data_range > white:
        raise ValueError(f"{path}: `data_range` ({data_range:g}) is more than its samples can hold ({white:g})")
    if samples.dtype.kind == "f":
        _refuse_not_finite(samples, path)
    _refuse_outside(samples, path, data_range)
    return data_range


def image_size(path: Path | str, *, page: int | None = None) -> tuple[int, int]:
    """Return height and width of an image file in pixels, upright, without decoding it.

    Raises
    ------
    OSError, ValueError
        If the file is no image or has several pages and none is named.
    """
    return measure(Path(path), page=page)


def write_float_tiff(path: Path | str, array: NDArray[np.float32]) -> None:
    """Write a map or image of shape (h, w) or (h, w, 3), float32, as an uncompressed TIFF, whole or not at all.

    Raises
    ------
    OSError
        If the folder cannot be written; what stood under the name stays.
    ValueError
        If the array is of another shape or type.
    """
    if array.dtype != np.float32 or not _is_image_shape(array.shape):
        raise ValueError(
            f"`array` must be float32 of shape (h, w) or (h, w, 3), got {array.dtype} of shape {array.shape}"
        )
    buffer = io.BytesIO()
    # No metadata: the file depends on the array alone.
    tifffile.imwrite(buffer, array, photometric="rgb" if array.ndim == 3 else "minisblack", metadata=None)
    write_bytes(Path(path), buffer.getvalue())


def read_float_map(path: Path | str) -> NDArray[np.float32]:
    """Return a float map, such as a residual, from a TIFF or ``.npy`` file.

    Returns
    -------
    ndarray of shape (h, w) or (h, w, 3), float32, finite

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it holds another type or shape, or a value that is not finite; the message names file and position.
    """
    path = Path(path)
    array = read_array(path)
    if array.dtype.newbyteorder("=") != np.float32 or not _is_image_shape(array.shape):
        raise ValueError(
            f"{path}: a map must be float32 of shape (h, w) or (h, w, 3), got {array.dtype.name} of shape {array.shape}"
        )
    _refuse_not_finite(array, path)
    return np.ascontiguousarray(array, dtype=np.float32)


def read_array(path: Path) -> NDArray[Any]:
    """Return what a TIFF, or another image, or a ``.npy`` file holds, of whatever type and shape.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read; the message names it.
    """
    if path.suffix.lower() != ".npy":
        return decode(path, page=None, max_pixels=MAX_PIXELS).samples
    try:
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise ValueError(f"{path}: not a readable .npy array ({error})") from error


def stored_head(path: Path) -> tuple[tuple[int, ...], np.dtype[Any] | None]:
    """Return shape and type of what a file holds, from its head: (h, w), or with channels behind.

    The type is None for images that are neither TIFF nor ``.npy``.

    Raises
    ------
    OSError, ValueError
        As there.
    """
    if path.suffix.lower() != ".npy":
        size = image_size(path)
        try:
            with tifffile.TiffFile(path) as tiff:
                page: Any = tiff.pages[0]
                channels = () if page.samplesperpixel == 1 else (page.samplesperpixel,)
                return (*size, *channels), page.dtype
        except tifffile.TiffFileError:
            return size, None
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, SyntaxError) as error:
        raise ValueError(f"{path}: not a readable .npy array ({error})") from error
    return array.shape, array.dtype


def _is_image_shape(shape: tuple[int, ...]) -> bool:
    return 0 not in shape and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))


def _gray(samples: NDArray[Any], white: float) -> NDArray[np.float32]:
    """Return colour as gray; float64 in bands, so that depth is kept and memory bounded."""
    image = np.empty(samples.shape[:2], dtype=np.float32)
    for top in range(0, len(image), _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        image[band] = samples[band].astype(np.float64) @ _GRAY_WEIGHTS / white
    return image


def _refuse_not_finite(samples: NDArray[Any], path: Path) -> None:
    for row, line in enumerate(samples):
        bad = ~np.isfinite(line)
        if bad.any():
            column = int(np.argmax(bad.reshape(len(line), -1).any(axis=1)))
            raise ValueError(f"{path}: pixels must be finite, got {line[column]} at row {row}, column {column}")


def _refuse_outside(samples: NDArray[Any], path: Path, white: float) -> None:
    if samples.min() >= 0 and samples.max() <= white:
        return
    outside = (samples < 0) | (samples > white)
    row, column, *_ = (int(position) for position in np.argwhere(outside)[0])
    raise ValueError(
        f"{path}: pixels must lie in 0..`data_range` ({white:g}), got {samples[row, column]} at row {row}, "
        f"column {column}"
    )
