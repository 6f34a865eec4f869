"""The squared error of L2-AE (Bergmann et al. 2019, sec. 3.1); functions as in :class:`.protocol.LossModule`."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ssimae.config.settings import Settings
from ssimae.losses.batch import Batch
from ssimae.losses.network import forward, reconstruct
from ssimae.models.autoencoder import Autoencoder


def training_loss(
    model: Autoencoder, batch: Batch, settings: Settings, *, precision: str, features: nn.Module | None = None
) -> Tensor:
    """Return the mean squared error of a batch, rebuilt by the network."""
    return reconstruction_loss(batch.crops, forward(model, batch.seen, precision), settings)


def reconstruction_loss(
    patches: Tensor, reconstruction: Tensor, settings: Settings, *, features: nn.Module | None = None
) -> Tensor:
    """Return the mean squared error of patches (N, C, h, w)."""
    return mse_loss(reconstruction, patches)


def rebuild(
    model: Autoencoder, patches: Tensor, settings: Settings, *, precision: str, first: int
) -> tuple[Tensor, None]:
    """Return the reconstruction of patches (N, C, h, w), which has no variance."""
    return reconstruct(model, patches, precision), None


def residual(images: Tensor, reconstructions: Tensor, settings: Settings, variances: Tensor | None = None) -> Tensor:
    """Return the squared difference of batches (N, C, h, w), averaged over channels, (N, h, w)."""
    return (images - reconstructions).square().mean(dim=1)
