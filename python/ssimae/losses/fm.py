"""The loss of FM-AE: squared error of gray values and of features (Bergmann et al. 2019, sec. 4.1).

Its functions are as in :class:`.protocol.LossModule`; at inspection it is an L2-AE.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ssimae.config.settings import Settings
from ssimae.losses.batch import Batch
from ssimae.losses.l2 import rebuild, residual
from ssimae.losses.network import forward
from ssimae.models.autoencoder import Autoencoder

__all__ = ["rebuild", "reconstruction_loss", "residual", "training_loss"]


def training_loss(
    model: Autoencoder, batch: Batch, settings: Settings, *, precision: str, features: nn.Module | None = None
) -> Tensor:
    """Return :func:`reconstruction_loss` of a batch, rebuilt by the network."""
    return reconstruction_loss(batch.crops, forward(model, batch.seen, precision), settings, features=features)


def reconstruction_loss(
    patches: Tensor, reconstruction: Tensor, settings: Settings, *, features: nn.Module | None = None
) -> Tensor:
    """Return the mean squared error of patches (N, C, h, w), plus `feature_weight` times that of their features.

    Notes
    -----
    The paper does not say whether its norms are sums or means.
    """
    if features is None:
        raise ValueError("FM-AE needs the network whose features it compares")
    loss = mse_loss(reconstruction, patches)
    with torch.no_grad():
        wanted = features(patches)
    return loss + settings.feature_weight * mse_loss(features(reconstruction).float(), wanted.float())
