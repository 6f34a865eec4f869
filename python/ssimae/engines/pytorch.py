"""Run a trained network with torch, in its own arithmetic, on any of its devices."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssimae.config.settings import Settings
from ssimae.engines.engine import Engine, Rebuilder, Scorer
from ssimae.hardware import describe, steady
from ssimae.images.depth import Image
from ssimae.losses.network import arithmetic
from ssimae.losses.protocol import loss_module
from ssimae.models.build import AnyAutoencoder, Network
from ssimae.models.dictionary import FeatureDictionary, score_map
from ssimae.models.fast.inspecting import for_cpu
from ssimae.models.head import Head, head_input


def torch_engine(
    model: Network, settings: Settings, *, head: Head | None = None, device: torch.device, precision: str
) -> Engine:
    """Return what runs a network of torch.

    Parameters
    ----------
    model : Autoencoder, VariationalAutoencoder or FeatureDictionary
        Trained network, on `device`.
    settings : Settings
        Those it was trained with.
    head : Head or None
        Discriminative head, on `device`.
    device : torch.device
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass.
    """
    name = f"torch {torch.__version__} on {describe(device)}"
    if isinstance(model, FeatureDictionary):
        return TorchScorer(
            name=name, precision=precision, has_head=False, settings=settings, device=device, dictionary=model
        )
    return TorchRebuilder(
        name=name,
        precision=precision,
        has_head=head is not None,
        settings=settings,
        device=device,
        model=for_cpu(model) if device.type == "cpu" else model,
        head=head,
    )


@dataclass(frozen=True, kw_only=True)
class TorchRebuilder(Rebuilder):
    """An autoencoder of torch, with or without a head; methods as in :class:`.engine.Rebuilder`."""

    settings: Settings
    device: torch.device
    model: AnyAutoencoder
    head: Head | None

    def steady(self) -> AbstractContextManager[None]:
        """Return the context of steady speed and repeatable results."""
        return steady()

    @torch.inference_mode()
    def rebuild(
        self, patches: NDArray[np.float32], *, first: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return reconstruction and variance as the module of the loss says."""
        batch = torch.from_numpy(patches).to(self.device)
        output, variance = loss_module(self.settings).rebuild(
            self.model, batch, self.settings, precision=self.precision, first=first
        )
        return output.cpu().numpy(), None if variance is None else variance.cpu().numpy()

    @torch.inference_mode()
    def defects(
        self,
        image: NDArray[np.float32],
        reconstruction: NDArray[np.float32],
        residual: NDArray[np.float32],
        part: tuple[slice, slice],
    ) -> NDArray[np.float32]:
        """Return what the head says."""
        assert self.head is not None
        planes = [_as_batch(plane).to(self.device) for plane in (image, reconstruction, residual)]
        with arithmetic(self.device, self.precision):
            said = self.head(head_input(*planes))
        said = said[0][:, *part].float()
        said[0].sigmoid_()
        found: NDArray[np.float32] = said.cpu().numpy()
        return found

    @torch.inference_mode()
    def features(
        self, image: NDArray[np.float32], reconstruction: NDArray[np.float32], residual: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the head's features of an image, (rows, columns, 48) float32, for squares of 4 x 4 pixels."""
        assert self.head is not None
        planes = [_as_batch(plane).to(self.device) for plane in (image, reconstruction, residual)]
        with arithmetic(self.device, self.precision):
            seen = self.head.features(head_input(*planes))
        found: NDArray[np.float32] = seen[0].permute(1, 2, 0).cpu().numpy()
        return found


@dataclass(frozen=True, kw_only=True)
class TorchScorer(Scorer):
    """A dictionary of features; methods as in :class:`.engine.Scorer`."""

    settings: Settings
    device: torch.device
    dictionary: FeatureDictionary

    def steady(self) -> AbstractContextManager[None]:
        """Return the context of steady speed and repeatable results."""
        return steady()

    def scores(self, image: Image) -> NDArray[np.float32]:
        """Return the distance to the dictionary."""
        return score_map(
            self.dictionary,
            image,
            patch_size=self.settings.dictionary_patch,
            stride=self.settings.dictionary_stride,
            device=self.device,
        )


def _as_batch(image: NDArray[np.float32]) -> Tensor:
    """Return an image (h, w) or (h, w, C) as a batch (1, C, h, w) with a memory of its own."""
    # A copy: torch warns of arrays that cannot be written, such as those of a file.
    planes = torch.tensor(np.ascontiguousarray(image)).reshape(*image.shape[:2], -1)
    return planes.permute(2, 0, 1)[None].contiguous()
