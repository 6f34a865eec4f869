"""Decode TIFF files: by Pillow where it reads them in full, by tifffile where Pillow would cut them to 8 bits.

Large maps stay in their file, mapped into memory.
"""

from __future__ import annotations

import math
import mmap
import sys
from dataclasses import replace
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from ssimae import bands
from ssimae.images.pixels import (
    ORIENTATION,
    Decoded,
    RefusedError,
    Stored,
    from_pillow,
    pillow_quiet,
    select_page,
)

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF, of either byte order."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6
_PACKED = (5, 8, 32773, 32946)
"""Compressions whose byte stands for a bounded number of bytes: LZW, deflate, PackBits."""
_MOST_PACKED = 4096
_UNSIGNED, _FLOAT = 1, 3
_FLOAT_BYTES = 4
_SUBIFDS = 330
"""Tag of pages below a page."""
_NATIVE = "<" if sys.byteorder == "little" else ">"
_ALPHA = ((1,), (2,))
_JPEG = (6, 7)
"""Compressions that change values."""


def open_tiff(file: IO[bytes], tiff: tifffile.TiffFile, page: int | None) -> Stored:
    """Return what the head of a TIFF says; `tiff` reads from `file`, and both stay open until it is decoded."""
    index = page or 0
    select_page(len(tiff.pages), page, lambda _: None)
    head: Any = tiff.pages[index]
    if page is None and head.is_reduced and _SUBIFDS in head.tags:
        raise RefusedError(
            "its first page is a preview, as in raw files of cameras; save the image as a file of its own"
        )
    if head.imagedepth != 1:
        raise RefusedError(f"a volume of {head.imagedepth} planes is not an image")
    tag = head.tags.get(ORIENTATION)
    orientation = int(tag.value) if tag is not None and tag.value in range(1, 9) else 1

    lossy = head.compression in _JPEG

    def decode_page() -> Decoded:
        _refuse_missing_bytes(tiff, head)
        if orientation == 1 and _can_stay(head, tiff.byteorder):
            return Decoded(_mapped(file, head), None)
        if _pillow_reads_in_full(head, tiff.byteorder):
            return replace(_decode_with_pillow(file, index, head.bitspersample), lossy=lossy)
        return replace(_decode_with_tifffile(tiff, head).turned(orientation), lossy=lossy)

    return Stored(head.imagelength, head.imagewidth, orientation, decode_page)


def _can_stay(head: Any, byteorder: str) -> bool:
    """Return whether the pixels are those of a large map, as they lie in memory: they can be left in the file."""
    size = math.prod(head.shape)
    plain = head.photometric in (_BLACK_IS_ZERO, _RGB) and head.samplesperpixel in (1, 3) and head.axes in ("YX", "YXS")
    return bool(
        size >= bands.LARGE
        and plain
        and head.dtype == np.float32
        and byteorder == _NATIVE
        and head.is_memmappable
        and head.databytecounts[0] >= _FLOAT_BYTES * size
    )


def _mapped(file: IO[bytes], head: Any) -> NDArray[np.float32]:
    """Return the pixels of a page mapped into memory: the system need not keep them there."""
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(content, np.float32, math.prod(head.shape), head.dataoffsets[0]).reshape(head.shape)


def _pillow_reads_in_full(head: Any, byteorder: str) -> bool:
    if head.sampleformat == _UNSIGNED and head.bitspersample <= 8:
        return head.samplesperpixel == 1 or head.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
    if head.samplesperpixel != 1 or head.photometric != _BLACK_IS_ZERO:
        # Pillow cuts colour to 8 bits, and does not turn 16 bits over where white is zero.
        return False
    if head.sampleformat == _FLOAT:
        # Pillow swaps the bytes of compressed big-endian floats once too often.
        return bool(head.bitspersample == 32 and byteorder == "<")
    return head.sampleformat == _UNSIGNED and head.bitspersample in (12, 16)


def _decode_with_pillow(file: IO[bytes], index: int, bits: int) -> Decoded:
    file.seek(0)
    with pillow_quiet():
        image = TiffImageFile(file)
        image.seek(index)
        # Turns the image upright by itself.
        image.load()
    decoded = from_pillow(image)
    return replace(decoded, white=4095.0) if bits == 12 else decoded


def _decode_with_tifffile(tiff: tifffile.TiffFile, head: Any) -> Decoded:
    colour = head.photometric == _RGB
    if head.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        raise RefusedError(f"{head.bitspersample}-bit TIFF of colour model {head.photometric!r} is not understood")
    extra = head.samplesperpixel - (3 if colour else 1)
    # Many programs leave out that the fourth channel beside colour is alpha; beside gray it may be anything.
    if extra not in (0, 1) or (extra and not colour and tuple(head.extrasamples) not in _ALPHA):
        raise RefusedError(f"{head.samplesperpixel} channels that are not gray, colour and alpha")
    try:
        samples = head.asarray()
    except ValueError as error:
        if "imagecodecs" in str(error):
            raise RefusedError(
                f"{head.bitspersample}-bit TIFF compressed as {head.compression!r} needs the package imagecodecs, or "
                "another compression"
            ) from error
        raise
    if head.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    elif head.axes not in ("YX", "YXS"):
        raise RefusedError(f"axes {head.axes} are not an image")
    alpha = samples[:, :, -1] if extra else None
    if samples.ndim == 3:
        samples = samples[:, :, :3] if colour else samples[:, :, 0]
    if samples.dtype.kind not in "ui":
        return Decoded(samples, None)
    white = None if samples.dtype.kind == "i" else float(2**head.bitspersample - 1)
    if head.photometric == _WHITE_IS_ZERO:
        if white is None:
            raise RefusedError("signed samples with white as zero are not understood")
        samples = samples.dtype.type(white) - samples
    return Decoded(samples, white, alpha=alpha)


def _refuse_missing_bytes(tiff: tifffile.TiffFile, head: Any) -> None:
    """Refuse files cut short, whose missing part tifffile would fill with zeros, before memory is taken for it."""
    size = tiff.filehandle.size
    ends = [offset + count for offset, count in zip(head.dataoffsets, head.databytecounts, strict=True)]
    if not ends or max(ends) > size:
        raise RefusedError(f"not a readable image (its pixels end at byte {max(ends, default=0)}, the file at {size})")
    ratio = 1 if head.compression == 1 else _MOST_PACKED if head.compression in _PACKED else None
    if ratio is None or head.dtype is None or head.photometric == _YCBCR:
        return
    held = sum(head.databytecounts)
    if ratio * held < head.nbytes * head.bitspersample // (8 * head.dtype.itemsize):
        raise RefusedError(f"not a readable image ({held} bytes of pixels, {head.nbytes} announced)")
