"""The head: a small network that judges, pixel by pixel, what the autoencoder made of an image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu, pad

from ssimae.models.reach import STEP

_SLOPE = 0.1
_WIDTH = 16


class Head(nn.Module):
    """Discriminative head after DRAEM: how likely each pixel is a defect.

    Parameters
    ----------
    channels : int
        1 or 3, those of the images.
    seed : int or None
        Seed of the initialisation; None draws from torch's global generator.

    Raises
    ------
    ValueError
        If `channels` is neither.

    Notes
    -----
    A U-Net over three sizes, a half to an eighth of the image's; the logits at half its size are enlarged. About 55,000
    parameters. Every convolution continues its input past the border by repeating the last pixels, so that the border
    itself is nothing that could be seen.

    References
    ----------
    Zavrtanik, Kristan, Skočaj: DRAEM - A discriminatively trained reconstruction embedding for surface anomaly
    detection. ICCV 2021. Theirs sees image and reconstruction, and has 28 million parameters; ours also sees the
    residual.
    """

    def __init__(self, channels: int = 1, *, seed: int | None = None) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"`channels` must be 1 or 3, got {channels}")
        narrow, wide = _WIDTH, 2 * _WIDTH
        self.channels = channels
        self.stem = nn.Conv2d(3 * channels + 1, narrow, 4, 2, 1, padding_mode="replicate")
        self.fine = _conv(narrow, narrow)
        self.middle = nn.Sequential(*_unit(narrow, wide), *_unit(wide, wide))
        self.coarse = nn.Sequential(*_unit(wide, wide), *_unit(wide, wide))
        self.from_coarse = nn.Conv2d(wide, narrow, 1)
        self.to_middle = _conv(narrow + wide, wide)
        self.from_middle = nn.Conv2d(wide, narrow, 1)
        self.to_fine = _conv(2 * narrow, narrow)
        self.last = nn.Conv2d(narrow, 1, 1)
        _initialise(self, seed)

    def forward(self, planes: Tensor) -> Tensor:
        """Return logits (N, 1, h, w) of what :func:`head_input` made, (N, 3 C + 1, h, w) float; any h and w."""
        height, width = planes.shape[-2:]
        planes = pad(planes, (0, -width % STEP, 0, -height % STEP), mode="replicate")
        fine = leaky_relu(self.fine(leaky_relu(self.stem(planes), _SLOPE)), _SLOPE)
        middle = self.middle(avg_pool2d(fine, 2))
        coarse = self.coarse(avg_pool2d(middle, 2))
        middle = leaky_relu(self.to_middle(torch.cat([_doubled(self.from_coarse(coarse)), middle], 1)), _SLOPE)
        fine = leaky_relu(self.to_fine(torch.cat([_doubled(self.from_middle(middle)), fine], 1)), _SLOPE)
        return _doubled(self.last(fine))[..., :height, :width]


def head_input(images: Tensor, reconstructions: Tensor, residuals: Tensor) -> Tensor:
    """Return what a :class:`Head` sees of images.

    Parameters
    ----------
    images : Tensor of shape (N, C, h, w), float32 in [0, 1]
    reconstructions : Tensor of shape (N, C, h, w), float32
    residuals : Tensor of shape (N, 1, h, w), float32
        Of the loss, as it is: neither smoothed nor opened.

    Returns
    -------
    Tensor of shape (N, 3 C + 1, h, w), float32, channels last
        Image, reconstruction, their difference and the logarithm of the residual, each about as lively as the others.
    """
    planes = [
        2 * images - 1,
        2 * reconstructions - 1,
        4 * (images - reconstructions),
        (residuals.clamp(min=0) + 0.05).log() + 1.5,
    ]
    return torch.cat(planes, 1).contiguous(memory_format=torch.channels_last)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")


def _unit(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return _conv(inputs, outputs), nn.LeakyReLU(_SLOPE)


def _doubled(planes: Tensor) -> Tensor:
    return interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False)


def _initialise(head: Head, seed: int | None) -> None:
    """Draw Kaiming normal weights for LeakyReLU."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for layer in head.modules():
        if isinstance(layer, nn.Conv2d):
            std = nn.init.calculate_gain("leaky_relu", _SLOPE) / math.sqrt(layer.weight[0].numel())
            with torch.no_grad():
                layer.weight.normal_(0.0, std, generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
