"""The network is that of the paper's table 1, and starts so that it can learn."""

from itertools import pairwise

import pytest
import torch
from ssimae.models.autoencoder import NEGATIVE_SLOPE, OUTPUT_GAIN, Autoencoder
from torch import nn

# Bergmann et al. 2019, table 1: output channels, kernel, stride, padding; the decoder is the encoder reversed.
ENCODER = [
    (32, 4, 2, 1),
    (32, 4, 2, 1),
    (32, 3, 1, 1),
    (64, 4, 2, 1),
    (64, 3, 1, 1),
    (128, 4, 2, 1),
    (64, 3, 1, 1),
    (32, 3, 1, 1),
    (100, 8, 1, 0),
]
ENCODER_SIDES = [64, 32, 32, 16, 16, 8, 8, 8, 1]
# An untrained network that has gone flat reconstructs with a spread below 1e-3.
LEAST_SPREAD = 0.02
LEAST_DIFFERENCE = 0.005


def layers(network: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]


def geometry(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int, int]:
    (kernel, kernel_x), (stride, stride_x), (padding, padding_x) = layer.kernel_size, layer.stride, layer.padding
    assert (kernel, stride, padding) == (kernel_x, stride_x, padding_x)
    return kernel, stride, padding


def test_layers_are_those_of_the_paper() -> None:
    model = Autoencoder(100)
    encoder, decoder = layers(model.encoder), layers(model.decoder)
    assert all(isinstance(layer, nn.Conv2d) for layer in encoder)
    assert all(isinstance(layer, nn.ConvTranspose2d) for layer in decoder)
    assert [(layer.out_channels, *geometry(layer)) for layer in encoder] == ENCODER
    assert [(layer.in_channels, *geometry(layer)) for layer in decoder] == ENCODER[::-1]
    for network, ends in ((encoder, (1, 100)), (decoder, (100, 1))):
        assert (network[0].in_channels, network[-1].out_channels) == ends
        assert all(before.out_channels == after.in_channels for before, after in pairwise(network))


def test_every_layer_but_the_last_of_each_half_is_followed_by_the_leaky_slope() -> None:
    for network in (Autoencoder().encoder, Autoencoder().decoder):
        modules = list(network)
        assert isinstance(modules[-1], nn.Conv2d | nn.ConvTranspose2d)
        assert len(modules) == 2 * len(ENCODER) - 1
        for activation in modules[1::2]:
            assert isinstance(activation, nn.LeakyReLU)
            assert activation.negative_slope == NEGATIVE_SLOPE == 0.2


def test_sizes_between_the_layers_are_those_of_the_paper() -> None:
    model = Autoencoder(100, seed=0)
    sides = []
    values = torch.rand(1, 1, 128, 128)
    for module in model.encoder:
        values = module(values)
        if isinstance(module, nn.Conv2d):
            sides.append(values.shape[-1])
    assert sides == ENCODER_SIDES
    assert values.shape == (1, 100, 1, 1)


def test_paper_network_has_1048549_parameters() -> None:
    assert sum(parameter.numel() for parameter in Autoencoder(100).parameters()) == 1_048_549


@pytest.mark.parametrize("latent_dim", [1, 7, 500])
def test_parameters_grow_by_the_two_layers_at_the_bottleneck(latent_dim: int) -> None:
    count = sum(parameter.numel() for parameter in Autoencoder(latent_dim).parameters())
    each = 2 * 32 * 8 * 8 + 1
    assert count == 1_048_549 + (latent_dim - 100) * each


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("patch_size", [32, 64, 128, 256])
def test_reconstruction_has_the_shape_of_the_patches_and_is_not_flat(patch_size: int, channels: int) -> None:
    model = Autoencoder(100, patch_size, channels, seed=0)
    patches = torch.rand(2, channels, patch_size, patch_size, generator=torch.Generator().manual_seed(1))
    before = patches.clone()
    with torch.inference_mode():
        latent, reconstruction = model.encoder(patches), model(patches)
    assert latent.shape == (2, 100, 1, 1)
    assert reconstruction.shape == patches.shape
    assert torch.equal(patches, before)
    lively = reconstruction / OUTPUT_GAIN
    assert lively.std(dim=(1, 2, 3)).min() > LEAST_SPREAD
    assert (lively[0] - lively[1]).abs().mean() > LEAST_DIFFERENCE


def test_every_parameter_gets_a_gradient() -> None:
    model = Autoencoder(10, 32, seed=0)
    model(torch.rand(2, 1, 32, 32)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_one_seed_gives_one_network() -> None:
    first, again, other = (Autoencoder(20, 32, seed=seed).state_dict() for seed in (3, 3, 4))
    assert list(first) == list(again)
    for name, values in first.items():
        assert torch.equal(values, again[name])
        assert name.endswith("bias") or not torch.equal(values, other[name])


def test_a_seed_does_not_depend_on_the_global_generator() -> None:
    torch.manual_seed(0)
    first = Autoencoder(20, 32, seed=3).state_dict()
    torch.manual_seed(1)
    for name, values in Autoencoder(20, 32, seed=3).state_dict().items():
        assert torch.equal(values, first[name])


def test_without_a_seed_the_global_generator_decides() -> None:
    networks = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        networks.append(Autoencoder(20, 32).encoder[0].weight)
    assert torch.equal(networks[0], networks[1])
    assert not torch.equal(networks[0], networks[2])


def test_weights_are_kaiming_normal_with_the_fan_of_each_layer_the_last_at_a_tenth() -> None:
    # Sixteen networks, so that the smallest layer has 8192 weights: its standard deviation is known to 0.8 %.
    models = [Autoencoder(100, 128, seed=seed) for seed in range(16)]
    gain = (2 / (1 + 0.2**2)) ** 0.5
    for same_layers in zip(*map(layers, models), strict=True):
        layer = same_layers[0]
        last = layer is models[0].decoder[-1]
        fan_in = layer.in_channels * layer.kernel_size[0] ** 2
        if isinstance(layer, nn.ConvTranspose2d):
            fan_in /= layer.stride[0] ** 2
        weights = torch.cat([same.weight.detach().flatten() for same in same_layers])
        std = (OUTPUT_GAIN if last else 1) * gain / fan_in**0.5
        assert weights.std().item() == pytest.approx(std, rel=0.05)
        assert abs(weights.mean().item()) < 0.05 * std
        # Of normal values, 4.6 % lie beyond two standard deviations; of uniform ones, none.
        assert (weights.abs() > 2 * std).float().mean().item() == pytest.approx(0.0455, abs=0.01)
        assert all(not same.bias.any() for same in same_layers)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((100, 100), r"`patch_size` must be one of \(32, 64, 128, 256\), got 100"),
        ((100, 0), r"`patch_size` must be one of \(32, 64, 128, 256\), got 0"),
        ((0,), "`latent_dim` must be at least 1, got 0"),
        ((-5,), "`latent_dim` must be at least 1, got -5"),
        ((100, 128, 2), "`channels` must be 1 or 3, got 2"),
        ((100, 128, 4), "`channels` must be 1 or 3, got 4"),
    ],
)
def test_sizes_the_network_is_not_defined_for_are_refused(arguments: tuple[int, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Autoencoder(*arguments)
