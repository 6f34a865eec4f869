"""Refuse before any training what cannot work with these images: their sizes, and the memory that is there, say so."""

from __future__ import annotations

from collections.abc import Sequence

from ssimae.config.settings import Settings
from ssimae.host import system

_WIDEST = 4
"""Part of the shortest side of an image that the opening's disk, or the smoothing's deviation, may have."""

_LARGEST = 10
"""Part of the smallest image that the least area of a region may have: of an image a fifth may be held out."""

_BYTES = 4
"""Of a float32."""

_COPIES = 4
"""Weights, gradients and two moments of Adam."""

_POSITION_BYTES = 64
"""Of a patch in an epoch: three whole numbers to find it, and five floats to cut it out."""


def refuse_infeasible(good: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]], settings: Settings) -> None:
    """Refuse settings that make nothing of these images, or need more memory than there is.

    Parameters
    ----------
    good, others : sequence of (height, width)
        Sizes in pixels of the good images, and of those that are to be inspected beside them.
    settings : Settings

    Raises
    ------
    ValueError
        For the first setting that cannot work; the message names it, its limit and the image's size.

    Notes
    -----
    A map that is opened or smoothed far more widely, or that can hold no region of the least area, is flat: no defect
    is found in it. The memory is the least that is needed. Whether the good images carry the shares of pixels that are
    asked for, :func:`ssimae.tuning.settle.refuse_unsettled` says once they are read.
    """
    shortest = min(min(shape) for shape in [*good, *others])
    for name in ("opening", "residual_smoothing"):
        value = getattr(settings, name)
        if value is not None and value > shortest / _WIDEST:
            raise ValueError(
                f"`{name}` must be at most a quarter of the shortest side of an image ({shortest} pixels), got {value}"
            )
    smallest = min(height * width for height, width in [*good, *others])
    if settings.min_area is not None and settings.min_area > smallest / _LARGEST:
        raise ValueError(
            f"`min_area` must be at most a tenth of the smallest image ({smallest} pixels), got {settings.min_area}"
        )
    if settings.method == "dictionary" and settings.dictionary_size > settings.patches:
        raise ValueError(
            f"`dictionary_size` must be at most `patches` ({settings.patches}), got {settings.dictionary_size}"
        )
    _refuse_large(good, settings)


def _refuse_large(good: Sequence[tuple[int, int]], settings: Settings) -> None:
    available = system.available_memory()
    if available is None:
        return
    side = settings.smallest_side
    pixels = sum(height * width for height, width in good) * settings.channels
    needs = {
        "scale": pixels * settings.scale**2,  # of a byte each, as files of 8 bits have them
        # The first layer puts out 32 channels of half the side.
        "batch_size": settings.batch_size * side**2 * (settings.channels + 8) * _BYTES,
        "latent_dim": settings.latent_dim * 32 * (side // 16) ** 2 * 2 * _BYTES * _COPIES,
        "patches": settings.patches * _POSITION_BYTES,
        "head_patches": settings.head_patches * _POSITION_BYTES,
    }
    for name, needed in needs.items():
        if needed > available:
            raise ValueError(
                f"`{name}` {getattr(settings, name)} needs {needed / 1e9:,.1f} GB of memory at least; "
                f"{available / 1e9:,.1f} GB are there"
            )
