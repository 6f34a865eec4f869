"""Paint stains over training crops, so that a network learns to rebuild the surface and not the defect."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ssimae import _rust
from ssimae.training.stains.textures import SIZES, Sizes, draw_textured

_STAINS = 8  # stream of random numbers under the seed, beside those of crops and noise

# Each drawn anew for every stain. Lengths are shares of a patch's side, at 128 pixels 4 to 38; edges are in pixels.
_LOG_SEMI_AXES = math.log(1 / 32), math.log(0.3)
_EDGES = 0.5, 3.0
_OPACITIES = 0.3, 1.0


def paint_stains(
    patches: Tensor,
    stains: int,
    *,
    fill: Literal["flat", "textured"] = "flat",
    sizes: Sizes = SIZES,
    seed: int,
    step: int,
    cover: Tensor | None = None,
) -> Tensor:
    """Return a copy of patches with stains painted over them.

    A network that is shown these and asked for the patches without them can gain nothing by rebuilding what does not
    belong to the surface, as a plain autoencoder does once it rebuilds well.

    Parameters
    ----------
    patches : Tensor of shape (N, C, s, s), float32 in [0, 1], contiguous, on the CPU
    stains : int
        Stains a patch; they may overlap and lie partly outside.
    fill : {"flat", "textured"}
        `flat` paints ellipses of one gray value or colour each. Place, turn, value and opacity are uniform, semi-axes
        log-uniform from 1/32 to 0.3 of the side, edges soft over 0.5 to 3 pixels. `textured` paints what
        :func:`ssimae.training.stains.textures.draw_textured` draws: mostly pieces of the surface from elsewhere.
    sizes : Sizes
        Of textured stains.
    seed, step : int
        With the patches, all that the stains follow from, so that a resumed training paints the same.
    cover : Tensor of shape (N, s, s), float32, contiguous, on the CPU, optional
        Receives how far each pixel is covered, in [0, 1]: 1 minus the product of what each stain leaves uncovered.

    Returns
    -------
    Tensor of the shape of `patches`, float32 in [0, 1]

    Raises
    ------
    ValueError
        If `cover` has another shape.

    References
    ----------
    Flat stains: after the stain noise of Collin and De Vleeschouwer, "Improved anomaly detection by training an
    autoencoder with skip connections on images corrupted with stain-shaped noise" (ICPR 2020), with several stains on
    each patch. Textured ones: after Zavrtanik et al., "DRAEM" (ICCV 2021).
    """
    rng = np.random.default_rng([seed, _STAINS, step])
    painted = patches.clone()
    if fill == "textured":
        values, shapes = draw_textured(rng, patches, stains, sizes)
    else:
        values, shapes = _draw_flat(rng, patches, stains)
    _rust.paint_stains(painted.numpy(), values, **shapes, cover=None if cover is None else cover.numpy())
    return painted


def _draw_flat(rng: np.random.Generator, patches: Tensor, stains: int) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Return the values (N, K, C) of flat ellipses, and their shapes as `_rust.paint_stains` takes them."""
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
    return values, {name: numbers.astype(np.float32) for name, numbers in ellipses.items()}
