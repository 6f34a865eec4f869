"""Say the layers of an autoencoder with gradients that a CPU computes sooner."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import leaky_relu_

from ssimae.models.build import AnyAutoencoder
from ssimae.models.fast.inspecting import double, doubling_weights

_Layer = nn.Conv2d | nn.ConvTranspose2d


class _LayerAndActivation(torch.autograd.Function):
    """A layer and the LeakyReLU after it, if there is one; the gradient it is given becomes another in place.

    oneDNN sums the gradient of a transposed layer's bias so slowly that it takes up to two thirds of the time of the
    weights' gradient: torch sums it instead. The forward pass of a transposed layer of few outputs is slow in the same
    way, and is :func:`double`; its gradients are not.
    """

    @staticmethod
    def forward(
        ctx: Any, planes: Tensor, weight: Tensor, bias: Tensor, layer_and_slope: tuple[_Layer, float | None]
    ) -> Tensor:
        layer, slope = layer_and_slope
        transposed = isinstance(layer, nn.ConvTranspose2d)
        if transposed and slope is None:
            out = double(planes, *doubling_weights(weight, bias))
        else:
            out = torch.convolution(planes, weight, bias, *_options(layer))
        if slope is not None:
            leaky_relu_(out, slope)
        # LeakyReLU keeps the sign, so that its own output tells its slope.
        ctx.save_for_backward(planes, weight, None if slope is None else out)
        ctx.layer, ctx.slope = layer, slope
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        planes, weight, out = ctx.saved_tensors
        if out is not None:
            # Nobody else has this gradient: the next layer of the sequence has just made it.
            torch.ops.aten.leaky_relu_backward.grad_input(grad, out, ctx.slope, True, grad_input=grad)
        transposed = isinstance(ctx.layer, nn.ConvTranspose2d)
        of_planes, of_weight, of_bias = torch.ops.aten.convolution_backward(
            grad,
            planes,
            weight,
            [ctx.layer.out_channels],
            *_options(ctx.layer),
            [ctx.needs_input_grad[0], True, not transposed],
        )
        return of_planes, of_weight, grad.sum((0, 2, 3)) if transposed else of_bias, None


def _options(layer: _Layer) -> tuple[Any, ...]:
    """Return stride, padding, dilation, whether the layer is transposed, output padding and groups."""
    return layer.stride, layer.padding, layer.dilation, layer.transposed, layer.output_padding, layer.groups


class _Layers(nn.Module):
    """A sequence of layers with or without a LeakyReLU each, in the arithmetic of the autocast around it."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, planes: Tensor) -> Tensor:
        kind = planes.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else planes.dtype
        planes = planes.to(dtype)
        slopes = [layer.negative_slope for layer in self.layers if isinstance(layer, nn.LeakyReLU)]
        layers = [layer for layer in self.layers if not isinstance(layer, nn.LeakyReLU)]
        for layer, slope in zip(layers, [*slopes, None], strict=True):
            planes = _LayerAndActivation.apply(planes, layer.weight.to(dtype), layer.bias.to(dtype), (layer, slope))
        return planes


def for_training(model: AnyAutoencoder) -> AnyAutoencoder:
    """Return an autoencoder with the parameters of this one, the same but for rounding, whose gradients come sooner.

    Notes
    -----
    Gradients are those that torch computes, in the same arithmetic: all but sums over the same numbers in another order
    in the last layer, and in biases of transposed layers. They cannot be differentiated again.
    """
    fast = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    fast.encoder, fast.decoder = _Layers(model.encoder), _Layers(model.decoder)  # type: ignore[assignment]
    return fast
