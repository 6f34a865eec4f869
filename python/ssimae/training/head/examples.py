"""Make what a head learns from: good crops, some with stains, and where the stains can be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from ssimae.training.crops import CropSampler
from ssimae.training.stains.paint import paint_stains
from ssimae.training.stains.textures import Sizes

_LIGHT = 10  # stream of random numbers under the seed, beside those of crops and stains

UNSTAINED = 0.2
"""Share of the crops without a stain."""

FEWEST_STAINS, MOST_STAINS = 2, 3

_SIZES = Sizes(ellipses=(1 / 20, 0.2), streaks=(0.08, 1.2), aspects=(6.0, 80.0))
"""Neither specks that nobody could tell from grain, nor stains that leave little of the crop to compare them with; but
lines that cross all of it, as cracks and pulled threads do."""

_CLEAR, _FAINT = 0.25, 0.02
"""Covers from which on a pixel is a defect, and up to which it is none; the rim in between is left open."""

_VISIBLE = 0.015
"""Mean change of gray values round a pixel that can be seen."""

_AROUND = 3
"""Side in pixels of the square over which that mean is taken: a texture crosses what it covers here and there."""

_GAIN, _OFFSET, _SHARPNESS = 0.15, 0.05, 0.5
"""Most by which contrast (as the logarithm of a factor), gray values and sharpness of a crop are changed."""


@dataclass(frozen=True)
class Examples:
    """The crops of one step; all float32."""

    crops: Tensor
    """(N, C, s, s) in [0, 1], most of them with stains."""
    defect: Tensor
    """(N, 1, s, s): 1 where a stain can be seen, else 0."""
    weight: Tensor
    """(N, 1, s, s): 0 where that is left open, else 1."""

    def to(self, device: torch.device) -> Examples:
        """Return the examples on a device."""
        return Examples(*(part.to(device, non_blocking=True) for part in (self.crops, self.defect, self.weight)))


def make_examples(sampler: CropSampler, *, seed: int, step: int) -> Examples:
    """Return the examples of a step; they follow from the seed and the step.

    Light and sharpness of half of the crops are changed a little, which is no defect: they differ between good images,
    too.
    """
    crops = _varied(sampler.batch(step), seed=seed, step=step)
    count = len(crops) - round(UNSTAINED * len(crops))
    stains = FEWEST_STAINS + step % (MOST_STAINS - FEWEST_STAINS + 1)
    cover = torch.zeros(count, *crops.shape[2:])
    painted = paint_stains(crops[:count], stains, fill="textured", sizes=_SIZES, seed=seed, step=step, cover=cover)
    changed = (painted - crops[:count]).abs().mean(1, keepdim=True)
    border = _AROUND // 2
    changed = avg_pool2d(pad(changed, (border,) * 4, mode="replicate"), _AROUND, stride=1)
    cover = cover[:, None]
    stained = (cover > _CLEAR) & (changed > _VISIBLE)
    defect, weight = torch.zeros(len(crops), 1, *crops.shape[2:]), torch.ones(len(crops), 1, *crops.shape[2:])
    defect[:count] = stained.float()
    weight[:count] = (stained | (cover <= _FAINT)).float()
    return Examples(torch.cat([painted, crops[count:]]), defect, weight)


def _varied(crops: Tensor, *, seed: int, step: int) -> Tensor:
    """Return a copy of crops, half of them with another contrast, brightness and sharpness."""
    rng = np.random.default_rng([seed, _LIGHT, step])

    def draw(most: float) -> Tensor:
        values = rng.uniform(-most, most, len(crops)) * (rng.random(len(crops)) < 0.5)
        return torch.from_numpy(values.astype(np.float32))[:, None, None, None]

    blurred = avg_pool2d(pad(crops, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    sharpened = crops + draw(_SHARPNESS) * (crops - blurred)
    means = crops.mean((2, 3), keepdim=True)
    return (means + (sharpened - means) * draw(_GAIN).exp() + draw(_OFFSET)).clamp(0, 1)
