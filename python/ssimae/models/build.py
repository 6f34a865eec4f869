"""Build the network of a system, new or from stored weights, and place it on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from ssimae.config.settings import Settings
from ssimae.models.autoencoder import Autoencoder, VariationalAutoencoder
from ssimae.models.dictionary import FeatureDictionary
from ssimae.models.head import Head

AnyAutoencoder = Autoencoder | VariationalAutoencoder

Network = AnyAutoencoder | FeatureDictionary
"""What a model file holds."""

_Module = TypeVar("_Module", bound=nn.Module)


def new_autoencoder(settings: Settings, *, seed: int | None = None) -> AnyAutoencoder:
    """Return the untrained autoencoder that settings describe."""
    kind = VariationalAutoencoder if settings.row.variational else Autoencoder
    return kind(settings.latent_dim, settings.patch_size, settings.channels, seed=seed)


def place(model: _Module, device: torch.device) -> _Module:
    """Return the network on a device, its weights with channels last, as training and inspection expect them."""
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def stored_network(settings: Settings, tensors: Mapping[str, Tensor]) -> Network:
    """Return the network of stored weights, in evaluation mode.

    Raises
    ------
    ValueError
        If the weights do not fit the network that the settings describe.
    """
    if settings.method == "dictionary":
        return FeatureDictionary.from_state(dict(tensors))
    network = new_autoencoder(settings)
    _check_shapes(network, tensors)
    network.load_state_dict(dict(tensors))
    network.eval()
    return network


def stored_head(settings: Settings, tensors: Mapping[str, Tensor]) -> Head:
    """Return the head of stored weights, in evaluation mode.

    Raises
    ------
    ValueError
        If the weights do not fit.
    """
    head = Head(settings.channels)
    _check_shapes(head, tensors)
    head.load_state_dict(dict(tensors))
    return head.eval()


def _check_shapes(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    expected = network.state_dict()
    differing = sorted(
        name
        for name in expected.keys() | tensors.keys()
        if name not in expected or name not in tensors or expected[name].shape != tensors[name].shape
    )
    if differing:
        raise ValueError(f"weights do not fit the network of its settings; first difference: {differing[0]}")
