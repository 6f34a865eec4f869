"""Say the same network in other layers, which a CPU runs sooner; to inspect, not to train."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pixel_shuffle

from ssimae.models.build import AnyAutoencoder


class Doubling(nn.Module):
    """A transposed convolution of kernel 4, stride 2 and padding 1 as an ordinary one.

    Parameters
    ----------
    layer : nn.ConvTranspose2d
        Its weights are copied.

    Notes
    -----
    Output row 2 i sees input rows i - 1 and i through taps 3 and 1, row 2 i + 1 sees i and i + 1 through taps 2 and 0;
    columns likewise. So four convolutions of 2 x 2 give the four pixels of each square of 2 x 2 (Shi et al. 2016). They
    are computed as one, over the input with a border of zeros, and what lies beyond the output's border is cut off. The
    numbers are those of the layer but for the order of sums. oneDNN computes transposed layers of one output channel at
    a tenth of the speed of ordinary ones.

    References
    ----------
    Shi, Caballero, Theis et al.: Is the deconvolution layer the same as a convolutional layer? arXiv:1609.07009, 2016.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        super().__init__()
        if (layer.kernel_size, layer.stride, layer.padding) != ((4, 4), (2, 2), (1, 1)) or layer.bias is None:
            raise ValueError(f"not a transposed convolution of kernel 4, stride 2 and padding 1 with a bias: {layer}")
        weight, bias = doubling_weights(layer.weight.detach(), layer.bias.detach())
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, planes: Tensor) -> Tensor:
        """Return planes (N, C, 2 h, 2 w) of planes (N, c, h, w)."""
        return double(planes, self.weight, self.bias)


def doubling_weights(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights that :func:`double` takes for those of a transposed layer, (c, C, 4, 4) and (C,)."""
    taps = torch.tensor([[2, 0], [3, 1]])  # of the later row of a square, which comes first, and of the next one's
    weight = weight[:, :, taps][..., taps]  # (in, out, row, up or down, column, left or right)
    weight = weight.permute(1, 2, 4, 0, 3, 5).flatten(0, 2)
    return weight.contiguous(memory_format=torch.channels_last), bias.repeat_interleave(4)


def double(planes: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return planes (N, C, 2 h, 2 w) of planes (N, c, h, w); see :class:`Doubling`."""
    squares = conv2d(planes, weight, bias, padding=1)
    return pixel_shuffle(squares, 2)[..., 1:-1, 1:-1]


def for_cpu(model: AnyAutoencoder) -> AnyAutoencoder:
    """Return an autoencoder of the same numbers, but for rounding, that a CPU runs sooner; it is not to be trained."""
    fast = copy.deepcopy(model)
    last = fast.decoder[-1]
    assert isinstance(last, nn.ConvTranspose2d)
    fast.decoder[-1] = Doubling(last)
    return fast
