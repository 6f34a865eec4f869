"""Stains painted over training crops: the network learns to rebuild the surface under what does not belong to it."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from ssimae._rust import paint_stains as paint_ellipses

_STAINS = 8  # stream of random numbers under the seed, beside those of crops and noise

# Each drawn anew for every stain. Lengths are shares of a patch's side, at 128 pixels 4 to 38; edges are in pixels.
_LOG_SEMI_AXES = math.log(1 / 32), math.log(0.3)
_EDGES = 0.5, 3.0
_OPACITIES = 0.3, 1.0


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
        "semi_axes": side * np.exp(rng.uniform(*_LOG_SEMI_AXES, (*shape, 2))),
        "angles": rng.uniform(0, np.pi, shape),
        "edges": rng.uniform(*_EDGES, shape),
        "opacities": rng.uniform(*_OPACITIES, shape),
    }
    values = rng.random((*shape, channels), dtype=np.float32)
    paint_ellipses(painted.numpy(), values, **{name: numbers.astype(np.float32) for name, numbers in ellipses.items()})
    return painted
