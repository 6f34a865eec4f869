"""What a training step gets from the CPU: crops, the same with stains, noise; for a GPU prepared ahead of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ssimae.config.settings import Settings
from ssimae.training.crops import CropSampler
from ssimae.training.stains import paint_stains

_NOISE = 6  # stream of random numbers under the seed, beside those of the crops

_AHEAD = 3
"""Batches that wait for a GPU; more than the one that is next, so that a slow one among them does not matter."""


@dataclass(frozen=True)
class Batch:
    """What one step trains on; all float32."""

    crops: Tensor
    """Patches (N, C, h, w) in [0, 1] that the network is asked for."""
    painted: Tensor | None = None
    """What it sees instead of them: the same with stains; None if nothing was painted."""
    noise: Tensor | None = None
    """Standard normal numbers (N, d) of a VAE."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device, patches with channels last."""

        def place(patches: Tensor) -> Tensor:
            return patches.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)

        noise = None if self.noise is None else self.noise.to(device, non_blocking=True)
        return Batch(place(self.crops), None if self.painted is None else place(self.painted), noise)

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with every part of it changed."""
        painted, noise = (None if part is None else change(part) for part in (self.painted, self.noise))
        return Batch(change(self.crops), painted, noise)


def make_batch(crops: CropSampler, settings: Settings, step: int) -> Batch:
    """Return the batch of a step. All of it follows from the seed and the step, so that a resumed run trains alike.

    Its crops are overwritten by the next call.
    """
    patches = crops.batch(step)
    painted = paint_stains(patches, settings.stains, seed=settings.seed, step=step) if settings.stains else None
    noise = None
    if settings.loss == "vae":
        rng = np.random.default_rng([settings.seed, _NOISE, step])
        noise = torch.from_numpy(rng.standard_normal((len(patches), settings.latent_dim), dtype=np.float32))
    return Batch(patches, painted, noise)


def batches(crops: CropSampler, settings: Settings, first: int, stop: int, *, device: torch.device) -> Iterator[Batch]:
    """Yield the batches of the steps from `first` to before `stop`, on a device; each is valid until the next.

    On a CPU, whose cores the step itself keeps busy, each is made when it is asked for; for a GPU a thread makes them
    ahead.
    """
    if device.type == "cpu":
        for step in range(first, stop):
            yield make_batch(crops, settings, step).to(device)
        return
    waiting: deque[Future[Batch]] = deque()

    def make(step: int) -> Batch:
        return make_batch(crops, settings, step).map(Tensor.pin_memory)

    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        for step in range(first, stop):
            waiting.append(thread.submit(make, step))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result().to(device)
        while waiting:
            yield waiting.popleft().result().to(device)
