"""State what the module of a loss computes, and find the module for given settings."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from torch import Tensor, nn

from ssimae.config.settings import Settings
from ssimae.losses.batch import Batch


class LossModule(Protocol):
    """The functions of each module of this package that is named after a loss."""

    def training_loss(
        self, model: Any, batch: Batch, settings: Settings, *, precision: str, features: nn.Module | None = None
    ) -> Tensor:
        """Return the loss of a batch, a scalar with its graph.

        Parameters
        ----------
        model : Autoencoder or VariationalAutoencoder
            The network of the loss.
        batch : Batch
            On the network's device.
        settings : Settings
        precision : {"float32", "bfloat16"}
            Arithmetic of the network; losses are float32.
        features : Module, optional
            Fixed network of a system that has one.
        """

    def reconstruction_loss(
        self, patches: Tensor, reconstruction: Tensor, settings: Settings, *, features: nn.Module | None = None
    ) -> Tensor:
        """Return how far patches (N, C, h, w), float32 in [0, 1], are from their reconstruction, a scalar."""

    def rebuild(
        self, model: Any, patches: Tensor, settings: Settings, *, precision: str, first: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return the reconstruction of patches at inspection, and its variance where the network gives one.

        Parameters
        ----------
        model : Autoencoder or VariationalAutoencoder
        patches : Tensor of shape (N, C, h, w), float32 in [0, 1]
        settings : Settings
        precision : {"float32", "bfloat16"}
        first : int
            Number of the first of these patches in its image.

        Returns
        -------
        reconstruction : Tensor of shape (N, C, h, w), float32
        variance : Tensor of shape (N, C, h, w), float32, or None
        """

    def residual(
        self, images: Tensor, reconstructions: Tensor, settings: Settings, variances: Tensor | None = None
    ) -> Tensor:
        """Return the residual maps (N, h, w) of batches (N, C, h, w), float32, averaged over channels.

        `variances` are those that :meth:`rebuild` returned, one for each value.
        """


def loss_module(settings: Settings) -> LossModule:
    """Return the module of the loss that settings choose."""
    module: Any = import_module(f"ssimae.losses.{settings.loss}")
    chosen: LossModule = module
    return chosen


def constant_loss(patches: Tensor, settings: Settings, *, features: nn.Module | None = None) -> float:
    """Return the loss of the trivial solution: each patch rebuilt as its own mean, and no latent value used."""
    constant = patches.mean(dim=(2, 3), keepdim=True).expand_as(patches).contiguous()
    return float(loss_module(settings).reconstruction_loss(patches.clone(), constant, settings, features=features))
