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
        If the weights do not fit the network that the settings describe, or one is not finite.
    """
    check_weights(tensors)
    if settings.method == "dictionary":
        return FeatureDictionary.from_state(dict(tensors))
    try:
        with torch.device("meta"):  # no memory is taken before the weights are known to fit
            network = new_autoencoder(settings)
    except RuntimeError as error:
        raise ValueError(f"a network that cannot be: {error}") from error
    _check_shapes(network, tensors)
    # Copies: what was read may lie in the file still.
    network.load_state_dict({name: tensor.clone() for name, tensor in tensors.items()}, assign=True)
    network.eval()
    return network


def stored_head(settings: Settings, tensors: Mapping[str, Tensor]) -> Head:
    """Return the head of stored weights, in evaluation mode.

    Raises
    ------
    ValueError
        If the weights do not fit, or one is not finite.
    """
    check_weights(tensors)
    head = Head(settings.channels, distance="whiten.weight" in tensors)
    _check_shapes(head, tensors)
    head.load_state_dict(dict(tensors))
    return head.eval()


def check_weights(tensors: Mapping[str, Tensor]) -> None:
    """Refuse stored weights that are of another type than a network's, or not finite, with a ValueError."""
    for name, tensor in tensors.items():
        if tensor.dtype not in (torch.float32, torch.int64):
            raise ValueError(f"damaged: {name} is stored as {tensor.dtype}")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"damaged: {name} has a number that is not finite")


def _check_shapes(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    expected = network.state_dict()
    differing = sorted(
        name
        for name in expected.keys() | tensors.keys()
        if name not in expected
        or name not in tensors
        or expected[name].shape != tensors[name].shape
        or expected[name].dtype != tensors[name].dtype
    )
    if differing:
        raise ValueError(f"weights do not fit the network of its settings; first difference: {differing[0]}")
