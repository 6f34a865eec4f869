"""Make what a planted defect holds that shows in colour alone: another hue, or a change of one channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter


def another_hue(
    before: NDArray[np.float32], radius: float, sources: Sequence[NDArray[np.float32]], rng: Generator
) -> NDArray[np.float64]:
    """Return a surface (h, w, C) of another hue, whose mean over the channels stays as it was."""
    shift: NDArray[np.float64] = rng.standard_normal(before.shape[2:])
    shift -= shift.mean()
    shift *= rng.uniform(0.1, 0.4) / max(float(np.abs(shift).max()), 1e-9)
    return np.asarray(before + shift, np.float64)


def one_channel(
    before: NDArray[np.float32], radius: float, sources: Sequence[NDArray[np.float32]], rng: Generator
) -> NDArray[np.float64]:
    """Return a surface (h, w, C) of which one channel is lighter or darker, noise, or without its texture."""
    after = before.astype(np.float64)
    plane = after[:, :, int(rng.integers(before.shape[2]))]  # a view: what is written there changes the surface
    change = ("level", "noise", "texture")[int(rng.integers(3))]
    if change == "level":
        plane += rng.choice([-1, 1]) * rng.uniform(0.1, 0.5)
    elif change == "noise":
        grain = gaussian_filter(rng.standard_normal(plane.shape), rng.uniform(0.7, 3))
        plane[:] = plane.mean() + rng.uniform(0.1, 0.3) * grain / max(float(grain.std()), 1e-9)
    else:
        plane[:] = gaussian_filter(plane, radius)
    return after
