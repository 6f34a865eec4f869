"""Write and read float maps, such as residuals: TIFF or ``.npy`` files of float32 values of any range."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ssimae.atomic import replacing
from ssimae.bands import bands, let_go
from ssimae.errors import in_short
from ssimae.images.decoding import decode
from ssimae.images.npy import npy_head, read_npy
from ssimae.images.read import MAX_PIXELS, image_size, refuse_not_finite
from ssimae.reading import open_regular


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
    kind: dict[str, Any] = {"shape": array.shape, "dtype": array.dtype}
    with replacing(Path(path)) as partial, partial.open("r+b") as file:
        # No metadata: the file depends on the array alone, whose values follow band by band.
        written: Any = tifffile.imwrite(
            file, **kind, photometric="rgb" if array.ndim == 3 else "minisblack", metadata=None, returnoffset=True
        )
        file.seek(written[0])
        for band in bands(*array.shape[:2]):
            file.write(np.ascontiguousarray(array[band.rows]).data)
            let_go(array)
        file.flush()
        os.fsync(file.fileno())


def read_float_map(path: Path | str) -> NDArray[np.float32]:
    """Return a float map, such as a residual, from a TIFF or ``.npy`` file.

    A large one in an uncompressed TIFF, as :func:`write_float_tiff` writes it, stays in its file.

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
    for band in bands(*array.shape[:2]):
        refuse_not_finite(array[band.rows], path, first=band.rows.start)
        let_go(array)
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
    with open_regular(path) as file:
        try:
            return read_npy(file, os.fstat(file.fileno()).st_size)
        except ValueError as error:
            raise ValueError(f"{path}: not a readable .npy array ({in_short(error)})") from error


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
    with open_regular(path) as file:
        try:
            return npy_head(file, os.fstat(file.fileno()).st_size)
        except ValueError as error:
            raise ValueError(f"{path}: not a readable .npy array ({in_short(error)})") from error


def _is_image_shape(shape: tuple[int, ...]) -> bool:
    return 0 not in shape and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))
