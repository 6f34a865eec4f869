"""Compare a whole image with its reconstruction, band by band: the residual is that of the whole to the last bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssimae import _rust
from ssimae.bands import Band, bands, in_bands, let_go, new_map
from ssimae.config.settings import Settings
from ssimae.images.depth import Image
from ssimae.images.resize import enlarge_rows
from ssimae.similarity.window import Window, make_window


def compare(
    image: Image,
    reconstruction: NDArray[np.float32],
    settings: Settings,
    variances: NDArray[np.float32] | None = None,
    *,
    planes: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return the residual map of an image, (h, w) float32: what the module of the loss returns as ``residual``.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
    reconstruction : ndarray of the same shape, or (h, w, 1), float32
    settings : Settings
    variances : ndarray of the reconstruction's shape, float32, optional
        Of a VAE.
    planes : ndarray of shape (h, w, C), float32, optional
        Becomes the residual of each channel, of which the map is the mean.

    Notes
    -----
    It is computed here once more, without torch: a test holds it and the losses together.
    """
    if settings.row.windowed:
        return _windowed(image, reconstruction, settings, planes)

    def compared(band: Band) -> NDArray[np.float32]:
        squares = np.square(_planes(image[band.rows]) - _planes(reconstruction[band.rows]))
        if variances is not None:
            squares /= np.maximum(_planes(variances[band.rows]), np.float32(settings.variance_floor))
        if planes is not None:
            planes[band.rows] = np.moveaxis(squares, 0, 2)
        return _mean(squares)

    return in_bands(compared, new_map(image.shape[:2]), image, reconstruction, variances, planes)


def compare_patches(
    patches: NDArray[np.float32],
    reconstructions: NDArray[np.float32],
    settings: Settings,
    variances: NDArray[np.float32] | None = None,
    *,
    planes: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return the residual maps of patches (P, C, k, k), each compared by itself, (P, k, k) float32.

    `planes` of the patches' shape becomes the residual of each channel.
    """
    x, y = np.moveaxis(patches, 1, -1), np.moveaxis(reconstructions, 1, -1)
    spread = None if variances is None else np.moveaxis(variances, 1, -1)
    by_channel = None if planes is None else np.moveaxis(planes, 1, -1)
    each = [
        compare(
            x[i],
            y[i],
            settings,
            None if spread is None else spread[i],
            planes=None if by_channel is None else by_channel[i],
        )
        for i in range(len(x))
    ]
    return np.stack(each)


def _windowed(
    image: Image, reconstruction: NDArray[np.float32], settings: Settings, planes: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Return the mean over sizes of 1 - SSIM, as :func:`ssimae.losses.ssim.residual` does."""
    form = make_window(
        data_range=1.0, window=settings.residual_window, window_size=settings.residual_window_size,
        sigma=settings.sigma, k1=0.01, k2=0.03, c1=settings.c1, c2=settings.c2, border=settings.border,
    )  # fmt: skip
    total = _loss_map(image, reconstruction, form, planes)
    whole = total if planes is None else planes
    x, y = image, reconstruction
    for scale in range(1, settings.n_scales):
        x, y = _halved(x), _halved(y)
        coarse = None if planes is None else new_map((*x.shape[:2], planes.shape[2]))
        means = _loss_map(x, y, form, coarse)
        for band in bands(len(total), whole[0].size, step=2**scale):
            total[band.rows] += enlarge_rows(means, band.rows, 2**scale)[:, : total.shape[1]]
            if planes is not None and coarse is not None:
                planes[band.rows] += enlarge_rows(coarse, band.rows, 2**scale)[:, : total.shape[1]]
            let_go(total, means, planes, coarse)
    if planes is not None:
        in_bands(lambda band: planes[band.rows] / np.float32(settings.n_scales), planes)
    return in_bands(lambda band: total[band.rows] / np.float32(settings.n_scales), total)


def _loss_map(
    x: Image, y: NDArray[np.float32], form: Window, planes: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Return 1 - SSIM averaged over channels, (h, w); `planes` (h, w, C) becomes that of each."""
    height, width = x.shape[:2]

    def rows(band: Band) -> NDArray[np.float32]:
        seen_x, seen_y = (np.ascontiguousarray(_planes(plane[band.seen])) for plane in (x, y))
        maps = np.empty((len(seen_x), band.rows.stop - band.rows.start, width), np.float32)
        _rust.ssim_loss_rows(
            seen_x, seen_y, maps, window=form, height=height, top=band.seen.start, first=band.rows.start
        )
        if planes is not None:
            planes[band.rows] = np.moveaxis(maps, 0, 2)
        return _mean(maps)

    # The rows come by twos, so that one more than the window's radius is read.
    return in_bands(rows, new_map((height, width)), x, y, planes, halo=form.radius + 1)


def _halved(image: Image) -> NDArray[np.float32]:
    """Return the means of blocks of 2 x 2 pixels, (h, w, C); of what there is, where the border cuts one."""
    height, width = (-(-side // 2) for side in image.shape[:2])
    channels = image.shape[2] if image.ndim == 3 else 1

    across = np.full((width, 1), 2, np.float32)
    across[-1] -= image.shape[1] % 2

    def rows(band: Band) -> NDArray[np.float32]:
        seen = image[2 * band.rows.start : 2 * band.rows.stop].reshape(-1, image.shape[1], channels)
        down = np.full((band.rows.stop - band.rows.start, 1, 1), 2, np.float32)
        down[-1] -= len(seen) % 2
        whole = np.pad(seen, ((0, len(seen) % 2), (0, image.shape[1] % 2), (0, 0)))
        upper, lower = whole[::2], whole[1::2]
        means: NDArray[np.float32] = upper[:, ::2] + upper[:, 1::2] + lower[:, ::2] + lower[:, 1::2]
        means /= down * across
        return means

    return in_bands(rows, new_map((height, width, channels)), image)


def _planes(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image (h, w) or (h, w, C) as planes (C, h, w)."""
    planes: NDArray[np.float32] = np.moveaxis(image.reshape(*image.shape[:2], -1), 2, 0)
    return planes


def _mean(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of planes (C, h, w), (h, w)."""
    mean: NDArray[np.float32] = planes[0] if len(planes) == 1 else planes.mean(axis=0)
    return mean
