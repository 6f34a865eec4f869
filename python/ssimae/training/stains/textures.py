"""Draw textured stains: outlines, and the surface from elsewhere, noise or flat value that each of them holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

_ELSEWHERE, _NOISE = 0.6, 0.2  # shares of the stains that hold surface and noise; the others are flat

_STREAKS = 0.25
"""Share of the stains that are thin streaks."""

# Ranges of what is drawn log-uniform. Lengths of semi-axes are shares of a patch's side, others are in pixels.
_THINNEST_STREAK = 0.5
_EDGES = 0.5, 8.0
_STRETCHES = 0.5, 2.0
_GRAINS = 1.0, 12.0
_GAINS = 0.5, 2.0
_NOISE_CONTRASTS = 0.1, 1.0

_OPACITIES = 0.3, 1.0
_MOST_LOBES = 0.4
"""Most by which the outline of an ellipse is warped, as a share of its radius."""
_MOST_BEND = 0.25
"""Most by which the ends of a streak are moved aside, as a share of its semi-axis."""
_MOST_SHIFT = 0.3
"""Most by which a piece of surface is made brighter or darker, of a range of 1."""
_INVERTED = 0.2
"""Share of the pieces of surface that are inverted round their patch's mean."""


@dataclass(frozen=True)
class Sizes:
    """Ranges of the semi-axes of stains, as shares of a patch's side, and of their ratio; log-uniform in between."""

    ellipses: tuple[float, float] = (1 / 40, 0.3)
    streaks: tuple[float, float] = (0.06, 0.3)
    """Of the longer semi-axis."""
    aspects: tuple[float, float] = (6.0, 30.0)
    """Ratio of the semi-axes of streaks."""


SIZES = Sizes()
"""Those that an autoencoder is trained on."""


def draw_textured(
    rng: np.random.Generator, patches: Tensor, stains: int, sizes: Sizes = SIZES
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Return textured stains as `_rust.paint_stains` takes them: K on each of N patches.

    Three in five hold a piece of another patch of the batch, read from a random place, at a random angle or in one of
    the eight orientations, and stretched by 1/2 to 2 along each axis; one in five of these is inverted round the mean
    of its patch, half are brighter or darker, half of another contrast. One in five holds smooth noise with a grain of
    1 to 12 pixels, the others one value. Shapes are ellipses with a warped outline; one in four is a thin streak,
    slightly bent. Rims are soft over 0.5 to 8 pixels, though not over more than the stain is wide, and opacity lies
    between 0.3 and 1.

    Parameters
    ----------
    rng : numpy.random.Generator
    patches : Tensor of shape (N, C, s, s), float32 in [0, 1], contiguous, on the CPU
        What the pieces are read from. Where there is one patch alone, it is read itself.
    stains : int
        K.
    sizes : Sizes

    Returns
    -------
    values : ndarray of shape (N, K, C), float32
        What is added to the texture times its contrast.
    shapes : dict
        The other arguments by name.
    """
    count, channels, side = len(patches), patches.shape[1], patches.shape[-1]
    shape = count, stains
    kinds = rng.random(shape)
    surface, noise = kinds < _ELSEWHERE, (kinds >= _ELSEWHERE) & (kinds < _ELSEWHERE + _NOISE)

    outlines = _draw_outlines(rng, shape, side, sizes)
    sources = (np.arange(count)[:, None] + rng.integers(1, max(count, 2), shape)) % count
    scales = 1 / np.where(
        noise[..., None], _log_uniform(rng, _GRAINS, (*shape, 1)), _log_uniform(rng, _STRETCHES, (*shape, 2))
    )
    steps = _draw_turns(rng, shape) * scales[..., None, :]
    # As far inside the source as the stain reaches, so that little of it is mirrored at the border.
    reach = outlines["semi_axes"].max(-1) * scales.max(-1)
    room = np.maximum(side - 1 - 2 * reach, 0)[..., None]
    origins = (side - 1 - room) / 2 + rng.random((*shape, 2)) * room

    gains = np.where(rng.random(shape) < 0.5, _log_uniform(rng, _GAINS, shape), 1.0)
    gains = np.where(rng.random(shape) < _INVERTED, -gains, gains)
    shifts = np.where(rng.random(shape) < 0.5, rng.uniform(-_MOST_SHIFT, _MOST_SHIFT, shape), 0.0)
    contrasts = np.where(surface, gains, np.where(noise, _log_uniform(rng, _NOISE_CONTRASTS, shape), 0.0))
    # Contrast changes round the mean of the patch that is read, or round that of the noise.
    means = np.where(surface[..., None], patches.mean((2, 3)).numpy()[sources], 0.5)
    levels = np.where(surface[..., None], means + shifts[..., None], rng.random((*shape, channels)))
    values = (levels - contrasts[..., None] * means).astype(np.float32)

    textures = {
        "bends": outlines.pop("bends"),
        "lobes": outlines.pop("lobes"),
        "origins": origins,
        "steps": steps.reshape(*shape, 4),
        "contrasts": contrasts,
        "noise": rng.random((side, side)),
    }
    read = {
        **{name: numbers.astype(np.float32) for name, numbers in textures.items()},
        "sources": np.where(noise, -1, sources),
        "patches": patches.numpy(),
    }
    return values, {**{name: numbers.astype(np.float32) for name, numbers in outlines.items()}, "textures": read}


def _draw_outlines(
    rng: np.random.Generator, shape: tuple[int, int], side: int, sizes: Sizes
) -> dict[str, NDArray[np.float64]]:
    """Return where stains lie and how they are bounded, by the names of the arguments that take it."""
    streak = rng.random(shape) < _STREAKS
    lengths = side * _log_uniform(rng, sizes.streaks, shape)
    widths = np.maximum(lengths / _log_uniform(rng, sizes.aspects, shape), _THINNEST_STREAK)
    ellipses = side * _log_uniform(rng, sizes.ellipses, (*shape, 2))
    semi_axes = np.where(streak[..., None], np.stack([lengths, widths], axis=-1), ellipses)
    bends = np.where(streak, rng.uniform(-_MOST_BEND, _MOST_BEND, shape) * lengths, 0.0)
    lobes = rng.standard_normal((*shape, 3, 2))
    warps = rng.uniform(0, _MOST_LOBES, shape)
    lobes *= (warps / np.hypot(lobes[..., 0], lobes[..., 1]).sum(-1))[..., None, None]
    # A wider rim would leave nothing whole of a thin stain.
    widest = 2 * (1 - warps) * semi_axes.min(-1)
    return {
        "centres": rng.uniform(0, side, (*shape, 2)),
        "semi_axes": semi_axes,
        "angles": rng.uniform(0, 2 * np.pi, shape),
        "edges": np.minimum(_log_uniform(rng, _EDGES, shape), widest),
        "opacities": rng.uniform(*_OPACITIES, shape),
        "bends": bends,
        "lobes": lobes.reshape(*shape, 6),
    }


def _draw_turns(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return where one step down and one to the right lead in the source, (N, K, 2, 2): half by quarter turns."""
    angles = rng.uniform(0, 2 * np.pi, shape)
    quarters = np.floor(angles / (np.pi / 2)) * (np.pi / 2)
    angles = np.where(rng.random(shape) < 0.5, quarters, angles)
    mirrored = np.where(rng.random(shape) < 0.5, -1.0, 1.0)
    cosine, sine = np.cos(angles), np.sin(angles)
    down = np.stack([cosine, sine], axis=-1)
    right = np.stack([-sine, cosine], axis=-1) * mirrored[..., None]
    return np.stack([down, right], axis=-2)


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float], shape: tuple[int, ...]) -> NDArray[np.float64]:
    low, high = bounds
    return np.exp(rng.uniform(math.log(low), math.log(high), shape))
