"""The head: a small network that judges, pixel by pixel, what the autoencoder made of an image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu, pad

from ssimae.models.reach import STEP

_SLOPE = 0.1
_WIDTH = 16

FEATURES = 3 * _WIDTH
"""Number of features that a distance is taken of."""


class Head(nn.Module):
    """Discriminative head after DRAEM: how likely each pixel is a defect.

    Parameters
    ----------
    channels : int
        1 or 3, those of the images.
    seed : int or None
        Seed of the initialisation; None draws from torch's global generator.
    distance : bool
        Whether it knows how good surfaces look to it (:meth:`knowing`).

    Raises
    ------
    ValueError
        If `channels` is neither.

    Notes
    -----
    A U-Net over three sizes, a half to an eighth of the image's; the logits at half its size are enlarged. About 55,000
    parameters. Every convolution continues its input past the border by repeating the last pixels, so that the border
    itself is nothing that could be seen.

    What it was trained to see in stains, defects of other kinds show too, though not as it was asked for. So its last
    features at a quarter of the size are kept: where they lie far from those of good surfaces, something is there that
    does not belong. The distance is Mahalanobis's, as in PaDiM, of features that were learned on the surface itself.

    References
    ----------
    Zavrtanik, Kristan, Skočaj: DRAEM - A discriminatively trained reconstruction embedding for surface anomaly
    detection. ICCV 2021. Theirs sees image and reconstruction, and has 28 million parameters; ours also sees the
    residual.

    Defard, Setkov, Loesch, Audigier: PaDiM - a Patch Distribution Modeling Framework for Anomaly Detection and
    Localization. ICPR 2020 workshops.
    """

    def __init__(self, channels: int = 1, *, seed: int | None = None, distance: bool = False) -> None:
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
        self.whiten = nn.Conv2d(FEATURES, FEATURES, 1).requires_grad_(False) if distance else None

    def forward(self, planes: Tensor) -> Tensor:
        """Return what it makes of planes by :func:`head_input`, (N, 3 C + 1, h, w) float; any h and w.

        Returns
        -------
        Tensor of shape (N, 1, h, w) or (N, 2, h, w)
            Logits of a defect, and the distance from good surfaces where it knows them: 1 is that of their mean square.
        """
        height, width = planes.shape[-2:]
        fine, middle = self._seen(planes)
        found = _doubled(self.last(fine))
        if self.whiten is not None:
            with torch.autocast(planes.device.type, enabled=False):  # squares lose more digits than bfloat16 has
                whitened = self.whiten(_joined(fine, middle).float())
                distance = whitened.square().mean(1, keepdim=True).sqrt()
                distance = interpolate(distance, scale_factor=4, mode="bilinear", align_corners=False)
            found = torch.cat([found.float(), distance], 1)
        return found[..., :height, :width]

    def features(self, planes: Tensor) -> Tensor:
        """Return its last features, (N, 48, ceil(h / 8) * 2, ceil(w / 8) * 2) float32."""
        return _joined(*self._seen(planes)).float()

    def knowing(self, mean: Tensor, whitening: Tensor) -> Head:
        """Return the head, which also knows how good surfaces look to it.

        Parameters
        ----------
        mean : Tensor of shape (48,), float32
            Of its features on good surfaces.
        whitening : Tensor of shape (48, 48), float32
            What makes their differences from the mean of covariance 1.
        """
        head = Head(self.channels, distance=True)
        assert head.whiten is not None
        head.load_state_dict(self.state_dict(), strict=False)
        with torch.no_grad():
            head.whiten.weight.copy_(whitening[:, :, None, None])
            head.whiten.bias.copy_(-whitening @ mean)  # type: ignore[union-attr]
        return head.to(self.last.weight.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]

    def _seen(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last features at a half and at a quarter of the size."""
        height, width = planes.shape[-2:]
        planes = pad(planes, (0, -width % STEP, 0, -height % STEP), mode="replicate")
        fine = leaky_relu(self.fine(leaky_relu(self.stem(planes), _SLOPE)), _SLOPE)
        middle = self.middle(avg_pool2d(fine, 2))
        coarse = self.coarse(avg_pool2d(middle, 2))
        middle = leaky_relu(self.to_middle(torch.cat([_doubled(self.from_coarse(coarse)), middle], 1)), _SLOPE)
        fine = leaky_relu(self.to_fine(torch.cat([_doubled(self.from_middle(middle)), fine], 1)), _SLOPE)
        return fine, middle


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


def _joined(fine: Tensor, middle: Tensor) -> Tensor:
    return torch.cat([avg_pool2d(fine, 2), middle], 1)


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
