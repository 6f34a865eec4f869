"""The batch of a training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """The patches that one step trains on; all float32."""

    crops: Tensor
    """Patches (N, C, h, w) in [0, 1] that the network is asked for."""
    painted: Tensor | None = None
    """What it sees instead of them: the same with stains; None if nothing was painted."""
    noise: Tensor | None = None
    """Standard normal numbers (N, d) for a network that draws its latent values."""

    @property
    def seen(self) -> Tensor:
        """What the network sees, (N, C, h, w) in [0, 1]."""
        return self.crops if self.painted is None else self.painted

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device, patches with channels last."""

        def move(patches: Tensor) -> Tensor:
            return patches.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)

        noise = None if self.noise is None else self.noise.to(device, non_blocking=True)
        return Batch(move(self.crops), None if self.painted is None else move(self.painted), noise)

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with every part of it changed."""
        painted, noise = (None if part is None else change(part) for part in (self.painted, self.noise))
        return Batch(change(self.crops), painted, noise)

    def part(self, patches: slice) -> Batch:
        """Return the batch of some of the patches."""
        return self.map(lambda part: part[patches])
