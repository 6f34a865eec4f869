"""Compare a whole image with its reconstruction, band by band: the residual is that of the whole to the last bit."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ssimae import _rust
from ssimae.bands import Band, bands, in_bands, let_go, new_map
from ssimae.config.settings import Settings
from ssimae.images.depth import Image
from ssimae.images.resize import enlarge_rows
from ssimae.losses.protocol import loss_module
from ssimae.similarity.window import Window, make_window


@torch.inference_mode()
def compare(
    image: Image,
    reconstruction: NDArray[np.float32],
    settings: Settings,
    variances: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return the residual map of an image, (h, w) float32: what the module of the loss returns as ``residual``.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
    reconstruction : ndarray of the same shape, or (h, w, 1), float32
    settings : Settings
    variances : ndarray of the reconstruction's shape, float32, optional
        Of a VAE.
    """
    if settings.row.windowed:
        return _windowed(image, reconstruction, settings)
    loss = loss_module(settings)

    def compared(band: Band) -> NDArray[np.float32]:
        spread = None if variances is None else as_batch(variances[band.rows])
        found = loss.residual(as_batch(image[band.rows]), as_batch(reconstruction[band.rows]), settings, spread)
        map_: NDArray[np.float32] = found[0].numpy()
        return map_

    return in_bands(compared, new_map(image.shape[:2]), image, reconstruction, variances)


def _windowed(image: Image, reconstruction: NDArray[np.float32], settings: Settings) -> NDArray[np.float32]:
    """Return the mean over sizes of 1 - SSIM, as :func:`ssimae.losses.ssim.residual` does."""
    form = make_window(
        data_range=1.0, window=settings.residual_window, window_size=settings.residual_window_size,
        sigma=settings.sigma, k1=0.01, k2=0.03, c1=settings.c1, c2=settings.c2, border=settings.border,
    )  # fmt: skip
    total = _loss_map(image, reconstruction, form)
    x, y = image, reconstruction
    for scale in range(1, settings.n_scales):
        x, y = _halved(x), _halved(y)
        means = _loss_map(x, y, form)
        for band in bands(*total.shape, step=2**scale):
            part = torch.from_numpy(total[band.rows])
            part += torch.from_numpy(enlarge_rows(means, band.rows, 2**scale)[:, : total.shape[1]])
            let_go(total, means)
    for band in bands(*total.shape):
        torch.from_numpy(total[band.rows]).div_(settings.n_scales)
        let_go(total)
    return total


def _loss_map(x: Image, y: NDArray[np.float32], form: Window) -> NDArray[np.float32]:
    """Return 1 - SSIM averaged over channels, (h, w)."""
    height, width = x.shape[:2]

    def rows(band: Band) -> NDArray[np.float32]:
        seen_x, seen_y = (as_batch(plane[band.seen])[0].numpy() for plane in (x, y))
        maps = np.empty((len(seen_x), band.rows.stop - band.rows.start, width), np.float32)
        _rust.ssim_loss_rows(
            seen_x, seen_y, maps, window=form, height=height, top=band.seen.start, first=band.rows.start
        )
        mean: NDArray[np.float32] = torch.from_numpy(maps)[None].mean(dim=1)[0].numpy()
        return mean

    # The rows come by twos, so that one more than the window's radius is read.
    return in_bands(rows, new_map((height, width)), x, y, halo=form.radius + 1)


def _halved(image: Image) -> NDArray[np.float32]:
    """Return the means of blocks of 2 x 2 pixels, (h, w, C); of what there is, where the border cuts one."""
    height, width = (-(-side // 2) for side in image.shape[:2])
    channels = image.shape[2] if image.ndim == 3 else 1

    def rows(band: Band) -> NDArray[np.float32]:
        planes = as_batch(image[2 * band.rows.start : 2 * band.rows.stop])
        means = avg_pool2d(planes, 2, ceil_mode=True, count_include_pad=False)
        found: NDArray[np.float32] = means[0].permute(1, 2, 0).numpy()
        return found

    return in_bands(rows, new_map((height, width, channels)), image)


def as_batch(image: NDArray[np.float32]) -> Tensor:
    """Return an image (h, w) or (h, w, C) as a batch (1, C, h, w) with a memory of its own."""
    # A copy: torch warns of arrays that cannot be written, such as those of a file.
    planes = torch.tensor(np.ascontiguousarray(image)).reshape(*image.shape[:2], -1)
    return planes.permute(2, 0, 1)[None].contiguous()
