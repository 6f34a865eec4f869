"""Make the batches of a training on the CPU: crops, stains and noise; a thread prefetches them for a GPU."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ssimae.config.settings import Settings
from ssimae.losses.batch import Batch
from ssimae.training.crops import CropSampler
from ssimae.training.sharing.group import Group
from ssimae.training.stains.paint import paint_stains

_NOISE = 6  # stream of random numbers under the seed, beside those of crops and stains

_AHEAD = 3
"""Batches that wait for a GPU; more than the one that is next, so that a slow one among them does not matter."""


def make_batch(crops: CropSampler, settings: Settings, step: int) -> Batch:
    """Return the batch of a step, which follows from the seed and the step alone: a resumed run trains alike.

    Its crops are overwritten by the next call.
    """
    patches = crops.batch(step)
    painted = None
    if settings.stains:
        painted = paint_stains(patches, settings.stains, fill=settings.stain_fill, seed=settings.seed, step=step)
    noise = None
    if settings.row.variational:
        rng = np.random.default_rng([settings.seed, _NOISE, step])
        noise = torch.from_numpy(rng.standard_normal((len(patches), settings.latent_dim), dtype=np.float32))
    return Batch(patches, painted, noise)


def batches(
    crops: CropSampler, settings: Settings, first: int, stop: int, *, device: torch.device, group: Group | None = None
) -> Iterator[Batch]:
    """Yield the batches of the steps from `first` to before `stop`, on a device; each is valid until the next.

    Of a group of processes, each gets its part of the same batches. On a CPU, whose cores the step itself keeps busy,
    each batch is made when it is asked for; for a GPU a thread makes them ahead.
    """

    def own(step: int) -> Batch:
        batch = make_batch(crops, settings, step)
        return batch if group is None else batch.part(group.part(len(batch.crops)))

    if device.type == "cpu":
        for step in range(first, stop):
            yield own(step).to(device)
        return
    waiting: deque[Future[Batch]] = deque()

    def make(step: int) -> Batch:
        return own(step).map(Tensor.pin_memory)

    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        for step in range(first, stop):
            waiting.append(thread.submit(make, step))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result().to(device)
        while waiting:
            yield waiting.popleft().result().to(device)
