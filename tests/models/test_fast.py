"""The network that a CPU runs is the one that was trained."""

import pytest
import torch
from ssimae.models.autoencoder import Autoencoder, VariationalAutoencoder
from ssimae.models.fast import Doubling, for_cpu
from torch import nn

ROUNDING = 2e-5
"""Sums of some hundred products of order one in float32, in another order."""


@pytest.mark.parametrize(("inputs", "outputs", "size"), [(32, 1, (8, 8)), (5, 3, (1, 7)), (1, 2, (3, 2))])
def test_a_transposed_layer_is_an_ordinary_one_with_its_pixels_laid_out(
    inputs: int, outputs: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)
    planes = torch.randn(2, inputs, *size)
    torch.testing.assert_close(Doubling(layer)(planes), layer(planes), rtol=0, atol=ROUNDING)


def test_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="kernel 4, stride 2 and padding 1 with a bias"):
        Doubling(nn.ConvTranspose2d(2, 1, 3, 1, 1))


@pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_fast_form_gives_the_same_patches_and_leaves_the_network_alone(kind: type, channels: int) -> None:
    model = kind(20, 64, channels, seed=0).eval()
    before = [name for name, _ in model.named_parameters()]
    patches = torch.rand(3, channels, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(for_cpu(model)(patches), model(patches), rtol=0, atol=ROUNDING)
    assert [name for name, _ in model.named_parameters()] == before
