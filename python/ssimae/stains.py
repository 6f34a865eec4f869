"""Stains painted over training crops: the network learns to rebuild the surface under what does not belong to it."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

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
    pixels = painted.numpy()
    count, channels, side = len(patches), patches.shape[1], patches.shape[-1]
    shape = count, stains
    centres = rng.uniform(0, side, (*shape, 2)).astype(np.float32)
    semi_axes = (side * np.exp(rng.uniform(*_LOG_SEMI_AXES, (*shape, 2)))).astype(np.float32)
    angles = rng.uniform(0, np.pi, shape).astype(np.float32)
    edges = rng.uniform(*_EDGES, shape).astype(np.float32)
    opacities = rng.uniform(*_OPACITIES, shape).astype(np.float32)
    values = rng.random((*shape, channels), dtype=np.float32)
    # Only the square around a stain is computed: most are small.
    reach = semi_axes.max(axis=2) + edges
    first = np.maximum(np.floor(centres - reach[..., None]), 0).astype(int)
    last = np.minimum(np.ceil(centres + reach[..., None]) + 1, side).astype(int)
    for patch, stain in np.ndindex(shape):
        (top, left), (bottom, right) = first[patch, stain], last[patch, stain]
        down = np.arange(top, bottom, dtype=np.float32)[:, None] - centres[patch, stain, 0]
        across = np.arange(left, right, dtype=np.float32) - centres[patch, stain, 1]
        cosine, sine = np.cos(angles[patch, stain]), np.sin(angles[patch, stain])
        long, wide = semi_axes[patch, stain]
        radius = np.sqrt(
            np.square(across * (cosine / long) + down * (sine / long))
            + np.square(down * (cosine / wide) - across * (sine / wide))
        )
        # About how far inside the ellipse a pixel lies, in edges; half covered on the ellipse itself.
        softness = np.sqrt(long * wide) / edges[patch, stain]
        cover = np.clip(radius * -softness + (softness + np.float32(0.5)), 0, 1) * opacities[patch, stain]
        square = pixels[patch, :, top:bottom, left:right]
        square += cover * (values[patch, stain, :, None, None] - square)
    return painted
