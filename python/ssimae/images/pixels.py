"""Define what all decoders share: samples and heads of images, refusals, and Pillow without its warnings."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssimae.bands import band_rows
from ssimae.host import system

logger = logging.getLogger(__name__)

ORIENTATION = 274
"""Tag of EXIF and TIFF that says how the image is turned."""

DEFLATED = 1032
"""Bytes that one byte of a deflated stream stands for at most."""

_WHITE = {"bool": 1.0, "uint8": 255.0, "uint16": 65535.0, "float32": None}

# By way of RGBA: Pillow warns of transparent palettes turned into RGB.
_READ_AS = {
    **{mode: mode for mode in ("1", "L", "LA", "RGB", "RGBA", "RGBX", "I;16", "I;16L", "I;16B", "F")},
    **{"P": "RGBA", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB"},
}
"""Mode that the samples of each mode of Pillow are taken in."""

_pillow_lock = threading.Lock()
system.free_in_forks(_pillow_lock)


class RefusedError(ValueError):
    """A file that breaks a rule of ours, and is not damaged."""


@dataclass(frozen=True)
class Decoded:
    """Samples of one image."""

    samples: NDArray[Any]
    """(h, w) gray or (h, w, 3) colour: bool, integers or floats."""
    white: float | None
    """Value of white; None where the type does not say (floats and signed integers)."""
    lossy: bool = False
    """Whether the file changes values a little, as JPEG does."""
    alpha: NDArray[Any] | None = None
    """(h, w): opacity, beside samples that leave it out, up to `white`; None where the file has none."""

    def turned(self, orientation: int) -> Decoded:
        """Return the samples turned as EXIF's orientation 1..8 asks."""
        alpha = None if self.alpha is None else upright(self.alpha, orientation)
        return replace(self, samples=upright(self.samples, orientation), alpha=alpha)

    @property
    def depth(self) -> str:
        """Depth in words: how many bits white has, or the type of values without one."""
        if self.white is None:
            return self.samples.dtype.name
        bits = int(self.white).bit_length()
        return "1 bit" if bits == 1 else f"{bits} bits"


@dataclass(frozen=True)
class Stored:
    """The head of an image file: its size, and how to decode it."""

    height: int
    width: int
    orientation: int
    decode: Callable[[], Decoded]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width once upright."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def from_pillow(image: Image.Image) -> Decoded:
    """Return what Pillow decoded, alpha dropped; palettes, CMYK and YCbCr as RGB."""
    if image.mode not in _READ_AS:
        raise RefusedError(f"pixels of kind {image.mode} are not understood")
    mode = _READ_AS[image.mode]
    samples, alpha = _samples(image, mode), None
    if mode in ("LA", "RGBA"):
        alpha = samples[:, :, -1]
    if samples.ndim == 3:
        samples = samples[:, :, 0] if mode == "LA" else samples[:, :, :3]
    return Decoded(samples, _WHITE[samples.dtype.name], alpha=alpha)


def _samples(image: Image.Image, mode: str) -> NDArray[Any]:
    """Return the samples of an image in a mode; band by band, since Pillow makes two copies of what it hands over."""
    width, height = image.size
    rows = band_rows(width)
    if rows >= height:
        return np.asarray(image if mode == image.mode else image.convert(mode))
    samples: NDArray[Any] | None = None
    for top in range(0, height, rows):
        part = image.crop((0, top, width, min(top + rows, height)))
        values = np.asarray(part if mode == image.mode else part.convert(mode))
        if samples is None:
            samples = np.empty((height, *values.shape[1:]), values.dtype)
        samples[top : top + rows] = values
    assert samples is not None
    return samples


def select_page(pages: int, page: int | None, seek: Callable[[int], object]) -> None:
    """Move to a page; refuse several pages with none named, and a page that is not there."""
    if pages == 0:
        raise RefusedError("not a readable image (no page in it)")
    if page is None:
        if pages > 1:
            raise RefusedError(
                f"{pages} pages: name one with `page` in 0..{pages - 1} to `ssimae.read_image`, or save it as a file "
                "of its own"
            )
        return
    if not 0 <= page < pages:
        raise RefusedError(f"`page` must be in 0..{pages - 1}, got {page}")
    seek(page)


def upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return samples turned as EXIF's orientation 1..8 asks."""
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


@contextmanager
def pillow_quiet() -> Iterator[None]:
    """Log Pillow's warnings and lift its own limit of pixels, for which `max_pixels` stands.

    Both are global in Python 3.11 and Pillow, hence the lock, and hence only round what needs them.
    """
    with _pillow_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    for warning in caught:
        logger.info("%s", warning.message)
