"""Decode image files to their samples as stored: full depth, upright, alpha dropped, one page.

Pillow decodes whatever it reads in full. TIFFs it would cut to 8 bits or cannot open go to tifffile; everything else
that would lose depth is refused.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import tifffile
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ssimae.errors import in_short
from ssimae.images.pixels import (
    DEFLATED,
    ORIENTATION,
    Decoded,
    RefusedError,
    Stored,
    from_pillow,
    pillow_quiet,
    select_page,
)
from ssimae.images.tiff import TIFF_SIGNATURES, open_tiff
from ssimae.reading import open_regular

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Suffixes of image files, in lower case."""

PICTURE_SUFFIXES = (
    *(".arw", ".avif", ".cr2", ".cr3", ".dib", ".dng", ".exr", ".fits", ".gif", ".hdr", ".heic", ".heif", ".j2k"),
    *(".jp2", ".jpf", ".jpx", ".jxl", ".nef", ".orf", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psd", ".raf"),
    *(".raw", ".rw2", ".tga"),
)
"""Suffixes of image files, in lower case, that are not read."""

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By the colour type in the head."""

_JPEG_PIXELS = 512
"""Pixels that a byte stands for at most: a bit for the mean of each block of 8 x 8."""

# What Pillow, tifffile and the codecs below them raise for damaged files.
_DECODER_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
)


def decode(path: Path, *, page: int | None, max_pixels: int) -> Decoded:
    """Return the samples of an image file.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no image, is damaged, larger than `max_pixels`, of several pages with none named, or of a depth that
        would be cut.
    """
    with _opened(path, page) as stored:
        if stored.height < 1 or stored.width < 1:
            raise RefusedError(f"not a readable image ({stored.height} x {stored.width} pixels)")
        if stored.height * stored.width > max_pixels:
            raise RefusedError(
                f"{stored.height} x {stored.width} = {stored.height * stored.width} pixels is more than `max_pixels` "
                f"({max_pixels})"
            )
        decoded = stored.decode()
        if decoded.samples.shape[:2] != stored.shape:
            raise RefusedError(f"damaged: {decoded.samples.shape[:2]} pixels decoded, {stored.shape} announced")
    return decoded


def read_head(path: Path, *, page: int | None) -> Stored:
    """Return what the head of a file says, not to be decoded any more; raises as :func:`decode` does."""
    with _opened(path, page) as stored:
        return stored


@contextmanager
def _opened(path: Path, page: int | None) -> Iterator[Stored]:
    try:
        with open_regular(path) as file:
            signature = file.read(32)
            file.seek(0)
            if not signature:
                raise RefusedError("the file is empty")
            if signature.startswith(TIFF_SIGNATURES):
                with tifffile.TiffFile(file, name=path.name) as tiff:
                    yield open_tiff(file, tiff, page)
            else:
                yield _open_pillow(file, signature, page)
    except RefusedError as error:
        raise ValueError(f"{path}: {error}") from error
    except OSError as error:
        # Errors of the system name the file themselves; those of the decoders carry no number.
        if (error.errno is not None and error.filename is not None) or str(error).startswith(f"{path}: "):
            raise
        raise OSError(f"{path}: not a readable image ({in_short(error)})") from error
    except _DECODER_ERRORS as error:
        raise ValueError(f"{path}: not a readable image ({error or type(error).__name__})") from error


def _open_pillow(file: IO[bytes], signature: bytes, page: int | None) -> Stored:
    kind: type[ImageFile.ImageFile]
    if signature.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = PngImageFile
        _refuse_cut_png(signature)
    elif signature.startswith(b"\xff\xd8\xff"):
        kind = JpegImageFile
    elif signature.startswith(b"BM"):
        kind = BmpImageFile
    elif signature[:4] == b"RIFF" and signature[8:12] == b"WEBP":
        kind = WebPImageFile
    else:
        raise RefusedError(f"not a PNG, JPEG, TIFF, BMP or WebP image (begins with {signature[:8]!r})")
    with pillow_quiet():
        image = kind(file)
        select_page(getattr(image, "n_frames", 1), page, image.seek)
        orientation = _exif_orientation(image, file.name)
    width, height = image.size
    # Only a WebP that says so in its head keeps values as they were.
    lossy = kind is JpegImageFile or (kind is WebPImageFile and signature[12:16] != b"VP8L")

    def decode_image() -> Decoded:
        _refuse_more_than_held(image, kind, signature, os.fstat(file.fileno()).st_size)
        image.load()
        if kind is PngImageFile:
            _refuse_wrong_sums(file)
        return replace(from_pillow(image).turned(orientation), lossy=lossy)

    return Stored(height, width, orientation, decode_image)


def _refuse_more_than_held(image: Image.Image, kind: type[ImageFile.ImageFile], signature: bytes, size: int) -> None:
    """Refuse a head that announces more pixels than a file of `size` bytes can hold, before memory is taken for them.

    Of WebP, whose sides are 14 bits each, a few bytes may hold any size.
    """
    width, height = image.size
    most = None
    if kind is PngImageFile:
        depth, channels = signature[24], _PNG_CHANNELS.get(signature[25], 1)
        most = DEFLATED * size * 8 // (depth * channels)
    elif kind is JpegImageFile:
        most = _JPEG_PIXELS * size
    elif kind is BmpImageFile and image.info.get("compression") == 0:
        most = 8 * size  # of one bit each
    if most is not None and height * width > most:
        raise RefusedError(f"not a readable image ({height} x {width} pixels announced in {size} bytes)")


def _refuse_cut_png(signature: bytes) -> None:
    if len(signature) < 26:
        raise RefusedError("not a readable image (the file ends in its head)")
    depth, colour_type = signature[24], signature[25]
    if depth == 16 and colour_type != 0:
        raise RefusedError(
            "16-bit PNG with colour or alpha would be cut to 8 bits; save it as 16-bit TIFF or as 16-bit gray PNG"
        )


def _refuse_wrong_sums(file: IO[bytes]) -> None:
    """Refuse a PNG with flipped bits: Pillow decodes pixels without looking at their check sums."""
    file.seek(0)
    with pillow_quiet():
        image = PngImageFile(file)
    image.verify()


def _exif_orientation(image: Image.Image, name: str) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except (*_DECODER_ERRORS, OSError) as error:
        logger.warning("%s: damaged EXIF data, taken as upright (%s)", name, error)
        return 1
    return value if value in range(1, 9) else 1
