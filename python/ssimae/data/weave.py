"""Draw woven cloth yarn by yarn: the texture of the embedded data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Weave = Literal["plain", "twill", "basket"]

WEAVES: dict[Weave, NDArray[np.bool_]] = {
    "plain": np.array([[1, 0], [0, 1]], dtype=np.bool_),
    "twill": np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]], dtype=np.bool_),
    "basket": np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=np.bool_),
}
"""One repeat of each weave, by weft and warp yarn: True where the warp (vertical) lies over the weft."""

SIZE_PX = 256
"""Side of an image."""
PITCH_PX = 12.0
"""Distance of neighbouring yarns, the same in all weaves and both directions."""

_SUPERSAMPLING = 2
_POSITIONS = (np.arange(SIZE_PX * _SUPERSAMPLING, dtype=np.float32) + 0.5) / _SUPERSAMPLING
"""Places of the samples along an axis, in pixels."""
_YARNS = int(SIZE_PX / PITCH_PX) + 4

_WARP_TONE, _WEFT_TONE = 0.81, 0.65
_GAP_TONE = 0.16
_FIBRE_STD, _NOISE_STD = 0.025, 0.015
_LIFT, _ROUNDNESS = 0.6, 0.5
"""Heights of a yarn's waves and of its rounded top, in the same arbitrary unit."""


@dataclass(frozen=True)
class Yarns:
    """All yarns of one direction, n of them; L samples lie along each, two a pixel."""

    place: NDArray[np.float32]
    """Place across, of shape (n,), in pixels."""
    bend: NDArray[np.float32]
    """Departure from that place, of shape (n, L), in pixels."""
    half_width: NDArray[np.float32]
    """Of shape (n, L), in pixels; 0 where the yarn is missing."""
    raised: NDArray[np.float32]
    """Height beyond that of the weave, of shape (n, L)."""
    level: NDArray[np.float32]
    """Height where it meets each crossing yarn, of shape (n, n): 1 over it, -1 under it."""
    tone: NDArray[np.float32]
    """Gray of the top, of shape (n,)."""


@dataclass(frozen=True)
class Cloth:
    """Everything random about an image of cloth, so that it can be changed at one place and drawn again."""

    warp: Yarns
    """Vertical yarns; `level` by warp and weft yarn."""
    weft: Yarns
    """Horizontal yarns; `level` by weft and warp yarn."""
    fibre: NDArray[np.float32]
    """Streaks along warp and weft, of shape (2, L, L), zero on average."""
    light: NDArray[np.float32]
    """Factor of the lighting, of shape (h, w)."""
    noise: NDArray[np.float32]
    """Of the sensor, of shape (h, w), zero on average."""


def woven_image(rng: np.random.Generator, weave: Weave) -> NDArray[np.float32]:
    """Return an image of new cloth.

    Returns
    -------
    ndarray of shape (256, 256), float32 in [0, 1]
    """
    return render(draw_cloth(rng, weave))


def draw_cloth(rng: np.random.Generator, weave: Weave) -> Cloth:
    """Return cloth of its own phase, with its own irregular yarns, lighting and noise.

    Notes
    -----
    Yarns depart from a strict lattice, each by itself: the lattice is the same in every image but for its phase, so
    that few numbers describe it.
    """
    repeat = WEAVES[weave]
    first_weft, first_warp = rng.integers(0, len(repeat), 2)
    steps = np.arange(_YARNS)
    warp_over = repeat[np.ix_((steps + first_weft) % len(repeat), (steps + first_warp) % len(repeat))]
    level = np.where(warp_over, 1, -1).astype(np.float32)
    warp = _draw_yarns(rng, level.T, tone=_WARP_TONE)
    weft = _draw_yarns(rng, -level, tone=_WEFT_TONE)
    fibre = np.stack([_draw_streaks(rng, axis) for axis in (0, 1)])
    noise = _NOISE_STD * rng.standard_normal((SIZE_PX, SIZE_PX), dtype=np.float32)
    return Cloth(warp, weft, fibre, _draw_light(rng), noise)


def render(cloth: Cloth) -> NDArray[np.float32]:
    """Return the image of cloth.

    Returns
    -------
    ndarray of shape (256, 256), float32 in [0, 1]
        A pixel depends on the yarns over and beside it alone.
    """
    warp_height, warp_shade = _lay(cloth.warp, cloth.weft)
    weft_height, weft_shade = (layer.T for layer in _lay(cloth.weft, cloth.warp))
    warp_shade = warp_shade * (1 + cloth.fibre[0])
    weft_shade = weft_shade * (1 + cloth.fibre[1])
    top = np.where(warp_height > weft_height, warp_shade, weft_shade)
    side = (SIZE_PX, _SUPERSAMPLING)
    pixels = top.reshape(*side, *side).mean(axis=(1, 3))
    return np.asarray(np.clip(pixels * cloth.light + cloth.noise, 0, 1), dtype=np.float32)


def bump(start_px: float, stop_px: float, *, taper_px: float) -> NDArray[np.float32]:
    """Return 1 from start to stop along a yarn, smoothly 0 outside, as float32 of shape (L,)."""
    inside = np.minimum(_POSITIONS - start_px, stop_px - _POSITIONS) / taper_px
    return _smooth_step(np.clip(inside, 0, 1))


def _draw_yarns(rng: np.random.Generator, level: NDArray[np.float32], *, tone: float) -> Yarns:
    count, length = len(level), len(_POSITIONS)
    place = PITCH_PX * (np.arange(count) - 2 + rng.uniform() + 0.05 * rng.uniform(-1, 1, count))
    wander = ndimage.gaussian_filter1d(rng.standard_normal((count, length)), 80, axis=1)
    swell = ndimage.gaussian_filter1d(rng.standard_normal((count, length)), 40, axis=1)
    width = 1 + 0.05 * rng.uniform(-1, 1, (count, 1)) + 0.03 * swell / swell.std()
    return Yarns(
        place=place.astype(np.float32),
        bend=(0.25 * wander / wander.std()).astype(np.float32),
        half_width=(0.45 * PITCH_PX * width).astype(np.float32),
        raised=np.zeros((count, length), dtype=np.float32),
        level=np.ascontiguousarray(level),
        tone=(tone * (1 + 0.05 * rng.uniform(-1, 1, count))).astype(np.float32),
    )


def _draw_light(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a tilted and slightly curved plane about 1."""
    along = np.linspace(-1, 1, SIZE_PX)
    y, x = along[:, None], along[None, :]
    tilt_y, tilt_x, curve_y, curve_x = rng.uniform(-1, 1, 4)
    slope = 0.04 * (tilt_y * y + tilt_x * x) + 0.03 * (curve_y * (y**2 - 1 / 3) + curve_x * (x**2 - 1 / 3))
    return np.asarray(1 + slope, dtype=np.float32)


def _draw_streaks(rng: np.random.Generator, axis: int) -> NDArray[np.float32]:
    """Return noise drawn out along an axis, as fine as pixels, of shape (L, L)."""
    noise = rng.standard_normal((SIZE_PX, SIZE_PX), dtype=np.float32)
    smooth = ndimage.gaussian_filter1d(ndimage.gaussian_filter1d(noise, 2.5, axis=axis), 0.5, axis=1 - axis)
    fine = smooth.repeat(_SUPERSAMPLING, axis=0).repeat(_SUPERSAMPLING, axis=1)
    return np.asarray(_FIBRE_STD / smooth.std() * fine, dtype=np.float32)


def _lay(yarns: Yarns, crossing: Yarns) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return height and gray of the yarns of one direction, of shape (L, L), along and across."""
    shape = (len(_POSITIONS), len(_POSITIONS))
    height = np.full(shape, -2, dtype=np.float32)
    shade = np.full(shape, _GAP_TONE, dtype=np.float32)
    lift = _waves(yarns.level, crossing.place) + yarns.raised
    centre = yarns.place[:, None] + yarns.bend
    for yarn in range(len(yarns.place)):
        half_width = yarns.half_width[yarn]
        if not half_width.any():
            continue
        edges = (centre[yarn] - half_width).min(), (centre[yarn] + half_width).max()
        first, last = np.searchsorted(_POSITIONS, edges)
        across = _POSITIONS[None, first:last] - centre[yarn][:, None]
        across /= np.maximum(half_width, 1e-3)[:, None]
        roundness = np.sqrt(np.clip(1 - across**2, 0, None))
        top = _LIFT * lift[yarn][:, None] + _ROUNDNESS * roundness
        seen = (np.abs(across) < 1) & (top > height[:, first:last])
        gray = yarns.tone[yarn] * (0.3 + 0.7 * roundness**2 - 0.06 * across)
        gray *= 0.82 + 0.18 * np.clip(lift[yarn], -1, 1)[:, None]
        np.copyto(height[:, first:last], top, where=seen)
        np.copyto(shade[:, first:last], gray, where=seen)
    return height, shade


def _waves(level: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the height of yarns along their length, of shape (n, L), smooth from crossing to crossing."""
    where = np.interp(_POSITIONS, places, np.arange(len(places), dtype=np.float32))
    before = np.minimum(where.astype(np.intp), len(places) - 2)
    step = _smooth_step((where - before).astype(np.float32))
    return level[:, before] * (1 - step) + level[:, before + 1] * step


def _smooth_step(t: NDArray[np.float32]) -> NDArray[np.float32]:
    return t * t * (3 - 2 * t)
