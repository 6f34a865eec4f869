"""Make images smaller before the network, and residuals larger after it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssimae import _rust
from ssimae.bands import Band, in_bands, let_go, new_map
from ssimae.images.depth import Image


def scale_image(image: Image, factor: float) -> Image:
    """Return an image resized by a factor, bilinear with antialiasing.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32, or Pixels
    factor : float
        Bergmann et al. 2019, sec. 4.2 halves the textures; 1 returns the image itself.
    """
    return image if factor == 1.0 else _resized(image, factor)


def scale_mask(mask: NDArray[np.bool_] | None, factor: float) -> NDArray[np.bool_] | None:
    """Return a mask resized as its image is: True wherever a True pixel contributes; None stays None."""
    return mask if mask is None or factor == 1.0 else _resized(mask.astype(np.float32), factor) > 0


def scaled_shape(image: Image, factor: float) -> tuple[int, int]:
    """Return the height and width that :func:`scale_image` gives."""
    return max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor))


def restore_size(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return an image or residual resized to (height, width), bilinear."""
    if image.shape[:2] == (height, width):
        return image
    planes = _planes(image)
    down, across = (np.float32(old) / np.float32(new) for old, new in zip(image.shape, (height, width), strict=False))

    def resized(band: Band) -> NDArray[np.float32]:
        rows = np.empty((band.rows.stop - band.rows.start, width, *image.shape[2:]), np.float32)
        _rust.interpolate(planes, _planes(rows), down=float(down), across=float(across), first=band.rows.start)
        return rows

    return in_bands(resized, new_map((height, width, *image.shape[2:])), image)


def enlarge_rows(values: NDArray[np.float32], rows: slice, factor: int) -> NDArray[np.float32]:
    """Return some rows of a map that is enlarged by a factor, (rows, w times the factor) or with channels, bilinear.

    They are those of the whole to the last bit.

    Parameters
    ----------
    values : ndarray of shape (h, w) or (h, w, C), float32
    rows : slice
        Of the enlarged map; its start is a multiple of the factor.
    factor : int
        A power of two: others are rounded as the rows lie.
    """
    first = max(rows.start // factor - 1, 0)
    seen = values[first : -(-rows.stop // factor) + 1]
    enlarged = np.empty((rows.stop - rows.start, values.shape[1] * factor, *values.shape[2:]), np.float32)
    skipped = rows.start - first * factor
    _rust.interpolate(_planes(seen), _planes(enlarged), down=1 / factor, across=1 / factor, first=skipped)
    return enlarged


def _resized(image: Image, factor: float) -> NDArray[np.float32]:
    """Return an image resized with antialiasing: first its rows, band by band, then its columns, stripe by stripe.

    The two passes are those that torch takes over the whole.
    """
    height, width = scaled_shape(image, factor)
    tall, channels = image.shape[0], image.shape[2:]
    narrow = new_map((tall, width, *channels))

    def narrowed(band: Band) -> NDArray[np.float32]:
        rows = np.empty((band.rows.stop - band.rows.start, width, *channels), np.float32)
        _rust.shrink_columns(_planes(image[band.rows]), _planes(rows))
        return rows

    in_bands(narrowed, narrow, image)
    resized = new_map((height, width, *channels))
    _rust.shrink_rows(_planes(narrow), _planes(resized))
    let_go(narrow, resized)
    return resized


def _planes(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image (h, w) or (h, w, C) as (h, w, C), contiguous."""
    return np.ascontiguousarray(image).reshape(*image.shape[:2], -1)
