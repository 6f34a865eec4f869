"""Extract features with torchvision's pretrained networks; their weights are fixed and never downloaded."""

from __future__ import annotations

import importlib.util
import math
import pickle
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from ssimae.config.settings import Settings
from ssimae.config.systems import Pretrained
from ssimae.errors import in_short
from ssimae.models.efficientnet import EfficientNetFeatures
from ssimae.reading import file_sha256

FILES: dict[Pretrained, str] = {"alexnet": "alexnet-owt-7be5be79.pth", "resnet18": "resnet18-f37072fd.pth"}
"""Torchvision's names of its ImageNet weights; the digits begin the SHA-256 of the file."""

URL = "https://download.pytorch.org/models/"

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours of ImageNet, in [0, 1], which torchvision's weights expect taken off."""


def pretrained_state(name: Pretrained, file: Path | None) -> tuple[dict[str, Tensor], str]:
    """Return torchvision's ImageNet weights of a network, and the SHA-256 of their file.

    Parameters
    ----------
    name : {"alexnet", "resnet18"}
    file : Path or None
        File of the weights; None for the cache of torchvision (``torch.hub.get_dir()``).

    Raises
    ------
    OSError
        If there is no such file; the message says which one is wanted, where it comes from and where it may lie.
    ValueError
        If it is not the one that torchvision names, or damaged.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / FILES[name] if file is None else file
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; it holds torchvision's ImageNet weights of {name} and comes from "
            f"{URL}{FILES[name]}: put it there, or name it with --weights FILE"
        )
    digest = file_sha256(path)
    wanted = _digits(name)
    if not digest.startswith(wanted):
        raise ValueError(f"{path}: not torchvision's {FILES[name]}: its SHA-256 begins {digest[:8]}, not {wanted}")
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path}: damaged ({in_short(error)})") from error
    return state, digest


def pretrained_name(file: Path) -> Pretrained:
    """Return the network whose pretrained weights a file holds.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or is neither of them.
    """
    digest = file_sha256(file)
    for name in FILES:
        if digest.startswith(_digits(name)):
            return name
    raise ValueError(f"{file}: neither {' nor '.join(FILES.values())} of torchvision: its SHA-256 begins {digest[:8]}")


def _digits(name: Pretrained) -> str:
    return Path(FILES[name]).stem.rsplit("-", 1)[1]


class AlexNetFeatures(nn.Module):
    """Output of the first three convolution layers of AlexNet, each with its ReLU (FM-AE, sec. 4.1).

    Called with images (N, C, h, w), float in [0, 1], C = 1 or 3 and at least 31 pixels a side, it returns
    (N, 384, h', w'). The weights are fixed; gradients reach the images. `source` says where the weights come from.
    """

    def __init__(self, state: dict[str, Tensor] | None, source: str, seed: int = 0) -> None:
        super().__init__()
        network = _torchvision_network("alexnet", state, seed)
        # Up to the ReLU behind the third convolution: what the fourth one sees.
        self.layers = nn.Sequential(*list(network.get_submodule("features").children())[:8])
        for layer in self.layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # the convolution's output is needed for the gradient
        self.source = source
        _fix(self)

    @classmethod
    def pretrained(cls, file: Path | None = None) -> Self:
        """Return those of ImageNet; see :func:`pretrained_state` for `file` and errors."""
        state, digest = pretrained_state("alexnet", file)
        return cls(state, f"imagenet:{digest}")

    @classmethod
    def random(cls, seed: int) -> Self:
        """Return random ones, the same for the same seed."""
        return cls(None, f"random:{seed}", seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images."""
        features: Tensor = self.layers(_as_imagenet(images))
        return features


class ResNet18Features(nn.Module):
    """Features of ResNet-18 before its classifier, averaged over the image: (N, 512) for images (N, C, h, w).

    Images are float in [0, 1], C = 1 or 3, of any size; patches of 16 and 32 pixels leave a single place to average.
    The weights are fixed. `source` says where the weights come from.
    """

    n_features = 512

    def __init__(self, state: dict[str, Tensor] | None, source: str, seed: int = 0) -> None:
        super().__init__()
        self.network = _torchvision_network("resnet18", state, seed)
        self.network.set_submodule("fc", nn.Identity())
        self.source = source
        _fix(self)

    @classmethod
    def pretrained(cls, file: Path | None = None) -> Self:
        """Return those of ImageNet; see :func:`pretrained_state` for `file` and errors."""
        state, digest = pretrained_state("resnet18", file)
        return cls(state, f"imagenet:{digest}")

    @classmethod
    def random(cls, seed: int) -> Self:
        """Return random ones, the same for the same seed."""
        return cls(None, f"random:{seed}", seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images."""
        features: Tensor = self.network(_as_imagenet(images))
        return features

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: the statistics of batch normalisation are fixed, too."""
        return super().train(False)


PatchFeatures = ResNet18Features | EfficientNetFeatures
"""Fixed networks that describe a patch by a vector, of as many numbers as their `n_features` says."""


def fixed_features(settings: Settings, pretrained: Path | None) -> AlexNetFeatures | PatchFeatures | None:
    """Return the fixed network of the system that settings make, or None for a system without one.

    Parameters
    ----------
    settings : Settings
        Its system, `features` and `seed` count.
    pretrained : Path or None
        File of pretrained weights; see :func:`pretrained_state`, also for errors.
    """
    if settings.row.pretrained is None:
        return None
    if settings.features == "efficientnet-lite0":
        return EfficientNetFeatures.pretrained(pooled=settings.method == "dictionary")
    kind: type[AlexNetFeatures | ResNet18Features]
    kind = AlexNetFeatures if settings.row.pretrained == "alexnet" else ResNet18Features
    return kind.random(settings.seed) if settings.features == "random" else kind.pretrained(pretrained)


def check_torchvision(name: str) -> None:
    """Refuse, with a ValueError, what needs torchvision where it is not installed."""
    if importlib.util.find_spec("torchvision") is None:
        raise ValueError(f"{name} needs torchvision: pip install 'ssimae[features]'")


def _torchvision_network(name: Pretrained, state: dict[str, Tensor] | None, seed: int) -> nn.Module:
    """Return a network of torchvision with given weights, or with random ones."""
    check_torchvision(name)
    models: Any = importlib.import_module("torchvision.models")  # an extra, and slow to import
    with torch.random.fork_rng(devices=[]):  # torchvision draws initial weights, which nobody needs
        network: nn.Module = getattr(models, name)(weights=None)
    if state is not None:
        network.load_state_dict(state)
        return network
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            with torch.no_grad():
                layer.weight.normal_(0.0, math.sqrt(2 / fan_in), generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
    return network


def _fix(network: nn.Module) -> None:
    network.eval()
    network.requires_grad_(False)


def _as_imagenet(images: Tensor) -> Tensor:
    """Return images as torchvision's weights expect them: three channels, mean and spread of ImageNet taken off."""
    # Numbers and no tensors of them: those would be copied to a GPU each time, which a captured graph cannot hold.
    channels = images.expand(-1, 3, -1, -1).unbind(dim=1)
    return torch.stack(
        [(channel - mean) / std for channel, mean, std in zip(channels, _MEAN, _STD, strict=True)], dim=1
    )
