"""Compute the residual map of an image: patches, reconstruction, comparison, smoothing, opening."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import Band, in_bands, new_map
from ssimae.config.settings import Settings
from ssimae.data.ignore import inside_frame, inspected_frame
from ssimae.engines.engine import Engine, Rebuilder, Scorer
from ssimae.images.depth import Image, view
from ssimae.images.patches import patch_batches
from ssimae.images.resize import restore_size, scale_image
from ssimae.inspection.cleaning import clean
from ssimae.inspection.comparison import compare, compare_patches
from ssimae.tiling import Stitcher

BATCH = 64
"""Patches a forward pass at least; larger ones gain nothing on a CPU and cost memory."""

_BATCH_PIXELS = BATCH * 64**2
"""Pixels of a channel a forward pass at least: of small patches it takes more, or layers are too small to be quick."""

_FLIPS = ((1, -1), (-1, 1), (-1, -1))
"""Steps along rows and columns of a mirrored image."""


def inspect_image(
    engine: Engine, image: Image, settings: Settings, *, ignored: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Return the reconstruction and the residual map of one image, both of its size.

    Parameters
    ----------
    engine : Rebuilder or Scorer
        What runs the trained network.
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
    settings : Settings
        Stride, residual window, averaging, smoothing, opening, scale.
    ignored : ndarray of shape (h, w), bool, or None
        True for pixels that are not inspected. The image is cut to the rectangle around the others first.

    Returns
    -------
    reconstruction : ndarray of the image's shape, float32, or None
        None for a dictionary, which rebuilds nothing; else the mean of the patches' reconstructions where they overlap
        (Bergmann et al. 2019, sec. 4.2), of the image as it lies, and the image itself outside that rectangle.
    residual : ndarray of shape (h, w), float32
        What the module of the loss in :mod:`ssimae.losses` returns, such as 1 - SSIM in [0, 2]. For a dictionary the
        distance of features. 0 where ignored.

    Raises
    ------
    ValueError
        If the image, or what is left of it, is smaller than a patch after scaling.
    """
    if ignored is None:
        reconstruction, raw, _ = raw_residual(engine, image, settings)
        return reconstruction, clean(raw, settings)
    frame = inspected_frame(ignored)
    rebuilt, raw, _ = raw_residual(engine, view(image, frame), settings)
    residual = framed(clean(raw, settings, inside_frame(ignored)), frame, image.shape[:2])
    return None if rebuilt is None else framed(rebuilt, frame, image.shape, image), residual


def framed(
    values: NDArray[np.float32], frame: tuple[slice, slice], shape: tuple[int, ...], outside: Image | None = None
) -> NDArray[np.float32]:
    """Return a map of the inspected frame as one of the whole image: what lies outside, or 0, round it."""
    if values.shape == shape:
        return values
    top, bottom, _ = frame[0].indices(shape[0])

    def rows(band: Band) -> NDArray[np.float32]:
        start, stop = max(band.rows.start, top), min(band.rows.stop, bottom)
        whole = np.zeros((band.rows.stop - band.rows.start, *shape[1:]), np.float32)
        if outside is not None:
            whole[:] = outside[band.rows]
        if start < stop:
            whole[start - band.rows.start : stop - band.rows.start, frame[1]] = values[start - top : stop - top]
        return whole

    return in_bands(rows, new_map(shape), values, outside)


def raw_residual(
    engine: Engine, image: Image, settings: Settings, *, by_channel: bool = False
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the reconstruction and the residual map of a whole image, neither smoothed nor opened.

    Where it is asked for `by_channel`, and the image is rebuilt, the residual of each channel comes with them,
    (h', w', C) at the size of the scaled image; else None. Other parameters, and errors, are those of
    :func:`inspect_image`.
    """
    with engine.steady():
        scaled = scale_image(image, settings.scale)
        shape = image.shape[:2]
        if isinstance(engine, Scorer):
            return None, restore_size(engine.scores(scaled), *shape), None
        reconstruction, residual, planes = _rebuild(engine, scaled, settings, by_channel=by_channel)
        for down, right in _FLIPS if settings.residual_flips else ():
            mirrored = view(scaled, (slice(None, None, down), slice(None, None, right)))
            for best, again in zip(
                (residual, planes), _rebuild(engine, mirrored, settings, by_channel=by_channel)[1:], strict=True
            ):
                if best is not None and again is not None:
                    upright = again[::down, ::right]
                    in_bands(partial(_lower, best, upright), best, upright)
        return restore_size(reconstruction, *shape), restore_size(residual, *shape), planes


def _lower(one: NDArray[np.float32], other: NDArray[np.float32], band: Band) -> NDArray[np.float32]:
    return np.minimum(one[band.rows], other[band.rows])


def _rebuild(
    engine: Rebuilder, image: Image, settings: Settings, *, by_channel: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32] | None]:
    height, width = image.shape[:2]
    if min(height, width) < settings.patch_size:
        raise ValueError(f"image is {width} x {height} after scaling, smaller than a patch of {settings.patch_size}")
    margin = settings.margin
    shape = height + 2 * margin, width + 2 * margin
    grid: dict[str, int] = {"patch_size": settings.patch_size, "stride": settings.stride}
    rebuilt = Stitcher(*shape, **grid, channels=settings.channels)
    variances = Stitcher(*shape, **grid, channels=settings.channels) if settings.row.variational else None
    differences = Stitcher(*shape, **grid) if settings.residual_average else None
    each = Stitcher(*shape, **grid, channels=settings.channels) if settings.residual_average and by_channel else None
    batch = max(BATCH, _BATCH_PIXELS // settings.patch_size**2)
    # A batch at a time is cut, rebuilt and laid back: all patches together are some fifteen times the image.
    for start, cut in patch_batches(image, **grid, margin=margin, batch=batch):
        output, variance = engine.rebuild(cut, first=start)
        rebuilt.add(output)
        if differences is not None:
            planes = None if each is None else np.empty(cut.shape, np.float32)
            differences.add(compare_patches(cut, output, settings, variance, planes=planes))
            if each is not None and planes is not None:
                each.add(planes)
        elif variances is not None and variance is not None:
            variances.add(variance)
    inner = (slice(margin, margin + height), slice(margin, margin + width))
    reconstruction = rebuilt.image()[inner]
    if differences is not None:
        residual, planes = differences.image()[inner], None if each is None else each.image()[inner]
    else:
        planes = new_map((height, width, settings.channels)) if by_channel else None
        spread = None if variances is None else variances.image()[inner]
        residual = compare(image, reconstruction, settings, spread, planes=planes)
    return reconstruction[:, :, 0] if settings.channels == 1 else reconstruction, residual, planes
