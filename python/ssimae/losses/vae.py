"""The loss of the variational autoencoder and the residual from its samples (Bergmann et al. 2019, sec. 4.1).

Its functions are as in :class:`.protocol.LossModule`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ssimae.config.settings import Settings
from ssimae.losses.batch import Batch
from ssimae.losses.l2 import reconstruction_loss
from ssimae.losses.network import arithmetic
from ssimae.models.autoencoder import VariationalAutoencoder

__all__ = ["rebuild", "reconstruction_loss", "residual", "sample_reconstructions", "training_loss"]

_SAMPLES = 7  # stream of random numbers under the seed, beside those of training


def training_loss(
    model: VariationalAutoencoder,
    batch: Batch,
    settings: Settings,
    *,
    precision: str,
    features: nn.Module | None = None,
) -> Tensor:
    """Return the mean squared error of a batch, rebuilt by the network, plus `kl_weight` times its divergence.

    Notes
    -----
    The Kullback-Leibler divergence of the latent values from standard normal ones is summed over them, averaged over
    the batch, and divided by the number of values of a patch: both terms are means over values then, and the weight
    does not depend on the size of the patch.
    """
    if batch.noise is None:
        raise ValueError("a VAE needs the noise of its latent values")
    with arithmetic(batch.seen.device, precision):
        (reconstruction,), mean, log_variance = model.sample(batch.seen, [batch.noise])
    loss = reconstruction_loss(batch.crops, reconstruction.float(), settings)
    divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean() / 2
    return loss + settings.kl_weight * divergence / batch.crops[0].numel()


def rebuild(
    model: VariationalAutoencoder, patches: Tensor, settings: Settings, *, precision: str, first: int
) -> tuple[Tensor, Tensor]:
    """Return mean and variance of `latent_samples` reconstructions of patches (N, C, h, w).

    Latent values are drawn anew for each batch from the seed and the number of its first patch, so that an image always
    gets the same map.
    """
    rng = np.random.default_rng([settings.seed, _SAMPLES, first])
    noise = rng.standard_normal((settings.latent_samples, len(patches), model.latent_dim), dtype=np.float32)
    return sample_reconstructions(model, patches, torch.from_numpy(noise).to(patches.device), precision)


@torch.inference_mode()
def sample_reconstructions(
    model: VariationalAutoencoder, patches: Tensor, noise: Tensor, precision: str
) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the reconstructions of patches (N, C, h, w) from S latent samples each.

    Parameters
    ----------
    model : VariationalAutoencoder
    patches : Tensor of shape (N, C, h, w), float32 in [0, 1]
    noise : Tensor of shape (S, N, d), float32
        Standard normal.
    precision : {"float32", "bfloat16"}

    Returns
    -------
    mean, variance : Tensor of shape (N, C, h, w), float32
        The variance is over the S samples, not S - 1: it is a scale, not an estimate.
    """
    with arithmetic(patches.device, precision):
        reconstructions, _, _ = model.sample(patches.contiguous(memory_format=torch.channels_last), noise)
    samples = torch.stack([reconstruction.float() for reconstruction in reconstructions])
    return samples.mean(dim=0).contiguous(), samples.var(dim=0, unbiased=False).contiguous()


def residual(images: Tensor, reconstructions: Tensor, settings: Settings, variances: Tensor | None = None) -> Tensor:
    """Return the squared difference of batches (N, C, h, w) over its variance, averaged over channels, (N, h, w).

    Where the variance is less than `variance_floor`, that divides instead.
    """
    squares = (images - reconstructions).square()
    if variances is not None:
        squares = squares / variances.clamp(min=settings.variance_floor)
    return squares.mean(dim=1)
