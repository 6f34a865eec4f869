"""The SSIM loss and residual of SSIM-AE (Bergmann et al. 2019, sec. 3.2).

Its functions are as in :class:`.protocol.LossModule`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from ssimae.config.settings import Settings
from ssimae.losses.batch import Batch
from ssimae.losses.l2 import rebuild
from ssimae.losses.network import forward
from ssimae.models.autoencoder import Autoencoder
from ssimae.similarity.loss import ssim_loss

__all__ = ["rebuild", "reconstruction_loss", "residual", "training_loss"]


def training_loss(
    model: Autoencoder, batch: Batch, settings: Settings, *, precision: str, features: nn.Module | None = None
) -> Tensor:
    """Return the mean of 1 - SSIM of a batch, rebuilt by the network."""
    return reconstruction_loss(batch.crops, forward(model, batch.seen, precision), settings)


def reconstruction_loss(
    patches: Tensor, reconstruction: Tensor, settings: Settings, *, features: nn.Module | None = None
) -> Tensor:
    """Return the mean of 1 - SSIM of patches (N, C, h, w)."""
    return ssim_loss(
        patches,
        reconstruction,
        data_range=1.0,
        window=settings.window,
        window_size=settings.window_size,
        sigma=settings.sigma,
        border=settings.border,
        c1=settings.c1,
        c2=settings.c2,
    )


def residual(images: Tensor, reconstructions: Tensor, settings: Settings, variances: Tensor | None = None) -> Tensor:
    """Return 1 - SSIM of batches (N, C, h, w), averaged over channels and sizes, (N, h, w) in [0, 2].

    The sizes are the `residual_scales` of the images, each half the one before.
    """
    height, width = images.shape[-2:]
    total = torch.zeros(len(images), height, width, device=images.device)
    for scale in range(settings.n_scales):
        if scale:
            images, reconstructions = (
                avg_pool2d(planes, 2, ceil_mode=True, count_include_pad=False) for planes in (images, reconstructions)
            )
        maps: Tensor = ssim_loss(
            images,
            reconstructions,
            data_range=1.0,
            window=settings.residual_window,
            window_size=settings.residual_window_size,
            sigma=settings.sigma,
            border=settings.border,
            reduction="none",
            c1=settings.c1,
            c2=settings.c2,
        )
        mean = maps.mean(dim=1, keepdim=True)
        if scale:  # a pixel there stands for 2^scale x 2^scale, of which the last may lie outside the image
            mean = interpolate(mean, scale_factor=2**scale, mode="bilinear", align_corners=False)
        total += mean[:, 0, :height, :width]
    return total / settings.n_scales
