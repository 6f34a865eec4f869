"""Run the forward pass that the losses share."""

from __future__ import annotations

import torch
from torch import Tensor

from ssimae.models.build import AnyAutoencoder


def arithmetic(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which a network on `device` computes in `precision`, float32 or bfloat16."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def forward(model: AnyAutoencoder, patches: Tensor, precision: str) -> Tensor:
    """Return the reconstruction of patches (N, C, h, w) as float32, with its graph."""
    with arithmetic(patches.device, precision):
        reconstruction: Tensor = model(patches)
    return reconstruction.float()


@torch.inference_mode()
def reconstruct(model: AnyAutoencoder, patches: Tensor, precision: str) -> Tensor:
    """Return the reconstruction of patches (N, C, h, w) as contiguous float32; of a VAE that of its latent means."""
    return forward(model, patches.contiguous(memory_format=torch.channels_last), precision).contiguous()
