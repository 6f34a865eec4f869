"""Make the batches of a training on the CPU: crops, stains and noise; a thread prefetches them for a GPU."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ssimae._rust import paint_stains as paint_ellipses
from ssimae.config.settings import Settings
from ssimae.losses.batch import Batch
from ssimae.training.crops import CropSampler

_NOISE, _STAINS = 6, 8  # streams of random numbers under the seed, beside those of the crops

_AHEAD = 3
"""Batches that wait for a GPU; more than the one that is next, so that a slow one among them does not matter."""

# Each drawn anew for every stain. Lengths are shares of a patch's side, at 128 pixels 4 to 38; edges are in pixels.
_STAIN_LOG_SEMI_AXES = math.log(1 / 32), math.log(0.3)
_STAIN_EDGES = 0.5, 3.0
_STAIN_OPACITIES = 0.3, 1.0


def make_batch(crops: CropSampler, settings: Settings, step: int) -> Batch:
    """Return the batch of a step, which follows from the seed and the step alone: a resumed run trains alike.

    Its crops are overwritten by the next call.
    """
    patches = crops.batch(step)
    painted = paint_stains(patches, settings.stains, seed=settings.seed, step=step) if settings.stains else None
    noise = None
    if settings.row.variational:
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


def paint_stains(patches: Tensor, stains: int, *, seed: int, step: int) -> Tensor:
    """Return a copy of patches with ellipses of one gray value or colour each painted over them.

    A network that is shown these and asked for the patches without them can gain nothing by rebuilding what does not
    belong to the surface, as a plain autoencoder does once it rebuilds well. Place, turn, value and opacity of a stain
    are uniform, its semi-axes log-uniform from 1/32 to 0.3 of the side, its edge soft over 0.5 to 3 pixels. After the
    stain noise of Collin and De Vleeschouwer, "Improved anomaly detection by training an autoencoder with skip
    connections on images corrupted with stain-shaped noise" (ICPR 2020), with several stains on each patch.

    Parameters
    ----------
    patches : Tensor of shape (N, C, s, s), float32 in [0, 1], on the CPU
    stains : int
        Ellipses a patch; they may overlap and lie partly outside.
    seed, step : int
        All that the stains follow from, so that a resumed training paints the same.

    Returns
    -------
    Tensor of the shape of `patches`, float32 in [0, 1]
    """
    rng = np.random.default_rng([seed, _STAINS, step])
    painted = patches.clone()
    count, channels, side = len(patches), patches.shape[1], patches.shape[-1]
    shape = count, stains
    ellipses = {
        "centres": rng.uniform(0, side, (*shape, 2)),
        "semi_axes": side * np.exp(rng.uniform(*_STAIN_LOG_SEMI_AXES, (*shape, 2))),
        "angles": rng.uniform(0, np.pi, shape),
        "edges": rng.uniform(*_STAIN_EDGES, shape),
        "opacities": rng.uniform(*_STAIN_OPACITIES, shape),
    }
    values = rng.random((*shape, channels), dtype=np.float32)
    paint_ellipses(painted.numpy(), values, **{name: numbers.astype(np.float32) for name, numbers in ellipses.items()})
    return painted
