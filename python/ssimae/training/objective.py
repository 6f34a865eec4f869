"""What training lowers: the loss of a batch, for every autoencoder of the paper."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ssimae.config.settings import Settings
from ssimae.models.autoencoder import Autoencoder, VariationalAutoencoder
from ssimae.similarity.loss import ssim_loss
from ssimae.training.batches import Batch


def batch_loss(
    model: Autoencoder | VariationalAutoencoder,
    batch: Batch,
    settings: Settings,
    *,
    precision: str,
    features: nn.Module | None = None,
) -> Tensor:
    """Return the loss of a batch, rebuilt by the network.

    Parameters
    ----------
    model : Autoencoder or VariationalAutoencoder
    batch : Batch
        On the network's device; a VAE needs its noise.
    settings : Settings
    precision : {"float32", "bfloat16"}
        Arithmetic of the network; losses are float32.
    features : Module, optional
        Fixed network of FM-AE.

    Notes
    -----
    A VAE adds to the mean squared error `kl_weight` times the Kullback-Leibler divergence of the latent values from
    standard normal ones, summed over them, averaged over the batch, and divided by the number of values of a patch:
    both terms are means over values then, and the weight does not depend on the size of the patch.
    """
    patches = batch.crops
    seen = patches if batch.painted is None else batch.painted
    with torch.autocast(patches.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        if isinstance(model, VariationalAutoencoder):
            if batch.noise is None:
                raise ValueError("a VAE needs the noise of its latent values")
            mean, log_variance = (part.float() for part in model.encode(seen))
            log_variance = log_variance.clamp(max=20.0)  # far beyond sense, and short of exp() overflowing
            reconstruction = model.decode(mean + (log_variance / 2).exp() * batch.noise)
        else:
            reconstruction = model(seen)
    loss = reconstruction_loss(patches, reconstruction.float(), settings, features=features)
    if isinstance(model, VariationalAutoencoder):
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean() / 2
        loss = loss + settings.kl_weight * divergence / patches[0].numel()
    return loss


def reconstruction_loss(
    patches: Tensor, reconstruction: Tensor, settings: Settings, *, features: nn.Module | None = None
) -> Tensor:
    """Return how far patches (N, C, h, w) are from their reconstruction.

    The mean of 1 - SSIM, or the mean squared error (sec. 3.1 and 3.2); for FM-AE that, plus `feature_weight` times the
    mean squared error of the features (sec. 4.1; the paper does not say whether its norms are sums or means).
    """
    if settings.loss == "ssim":
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
    loss = mse_loss(reconstruction, patches)
    if settings.loss != "fm":
        return loss
    if features is None:
        raise ValueError("FM-AE needs the network whose features it compares")
    with torch.no_grad():
        wanted = features(patches)
    return loss + settings.feature_weight * mse_loss(features(reconstruction).float(), wanted.float())


def constant_loss(patches: Tensor, settings: Settings, *, features: nn.Module | None = None) -> float:
    """Return the loss of the best-known dead end: each patch rebuilt as its own mean, and no latent value used."""
    constant = patches.mean(dim=(2, 3), keepdim=True).expand_as(patches).contiguous()
    return float(reconstruction_loss(patches.clone(), constant, settings, features=features))
