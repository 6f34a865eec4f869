"""The network that a CPU runs is the one that was trained, and trains as the plain one does."""

import pytest
import torch
from ssimae.losses.network import arithmetic
from ssimae.models.autoencoder import Autoencoder, VariationalAutoencoder
from ssimae.models.build import place
from ssimae.models.fast.inspecting import Doubling, for_cpu
from ssimae.models.fast.training import for_training
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


def gradients(network: nn.Module, model: nn.Module, patches: torch.Tensor, precision: str) -> list[torch.Tensor]:
    """Return the output and the gradients of the model's parameters for a loss that weighs pixels differently."""
    model.zero_grad(set_to_none=True)
    noise = torch.randn(len(patches), 20, generator=torch.Generator().manual_seed(3))
    with arithmetic(patches.device, precision):
        out = network(patches) if isinstance(model, Autoencoder) else network.sample(patches, [noise.to(patches)])[0][0]
    weights = torch.rand(out.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (out.double() * weights).square().sum().backward()
    return [out.detach(), *(parameter.grad for parameter in model.parameters())]


@pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_the_form_for_training_has_the_same_gradients_and_the_same_parameters(
    kind: type, channels: int, precision: str
) -> None:
    model = place(kind(20, 64, channels, seed=0), torch.device("cpu"))
    if precision == "float64":
        model = model.double()
    patches = torch.rand(3, channels, 64, 64, dtype=next(model.parameters()).dtype)
    fast = for_training(model)
    assert [id(parameter) for parameter in fast.parameters()] == [id(parameter) for parameter in model.parameters()]
    wanted = gradients(model, model, patches, precision)
    found = gradients(fast, model, patches, precision)
    # A product of two numbers of 8 bits is rounded to 8 bits in either order of their sums.
    tolerance = 1e-10 if precision == "float64" else 2e-2
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        assert (one - other).norm() <= tolerance * other.norm()


def test_the_form_for_training_refuses_second_derivatives() -> None:
    model = Autoencoder(4, 32, seed=0)
    out = for_training(model)(torch.rand(1, 1, 32, 32))
    (gradient,) = torch.autograd.grad(out.square().sum(), [model.decoder[-1].weight], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
