"""Plant defects with known masks on good images: what they show about a detector, real ones show too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from ssimae.tuning.planting.hues import another_hue, one_channel

_STREAM = 10  # of random numbers under the seed; those of training's stains are others

_LEAST_AREA = 20
"""Fewest pixels of a planted defect."""

_LEAST_CONTRAST = 0.015, 0.15
"""Mean change of the gray value below which nothing is seen: in [0, 1], and as a share of the image's spread."""

_LEAST_RADIUS = 3.0
_LARGEST_RADIUS = 1 / 3, 1 / 12
"""Shares of the shorter sides of the region and of the image; the less counts."""


@dataclass(frozen=True)
class PlantedDefect:
    """One defect that was planted."""

    kind: str
    area: int
    """Pixels it marks."""
    contrast: float
    """Mean absolute change of the gray value over them, in [0, 1]."""


@dataclass(frozen=True)
class PlantedImage:
    """A good image with defects."""

    index: int
    """Number of the held-out part it was made from."""
    image: NDArray[np.float32]
    """Of the good image's shape."""
    labels: NDArray[np.int32]
    """(h, w): 0 for good, else the number of the defect from 1."""
    defects: tuple[PlantedDefect, ...]


def plant_defects(
    image: NDArray[np.float32],
    sources: Sequence[NDArray[np.float32]],
    *,
    index: int,
    region: tuple[slice, slice],
    ignored: NDArray[np.bool_] | None,
    count: int,
    seed: int,
    number: int,
    kinds: Sequence[str] | None = None,
) -> PlantedImage:
    """Return a good image with defects planted in a region of it.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1]
    sources : sequence of ndarray
        Good images of the same channels; pieces of them are defects where they do not belong.
    index : int
        Number of the held-out part, kept in the result.
    region : pair of slice
        Rows and columns in which defects lie: what was not trained on.
    ignored : ndarray of shape (h, w), bool, or None
        Pixels that are not inspected; they are neither changed nor marked.
    count : int
        Defects that are tried; one that cannot be seen, or lies on another or on what is ignored, is left out.
    seed, number : int
        All that the defects follow from.
    kinds : sequence of str, optional
        The kinds that are planted; all that show in such an image by default.

    Notes
    -----
    The kinds: a piece from elsewhere, turned, stretched, perhaps inverted; noise; a flat spot; a scratch; blur; missing
    texture; other light; in colour another hue, and a change of one channel. Outlines are wavy, rims soft, sizes
    uniform in their logarithm, contrasts random.
    """
    rng = np.random.default_rng([seed, _STREAM, number])
    makers = _MAKERS if image.ndim == 2 else _MAKERS_IN_COLOUR
    kinds = tuple(makers if kinds is None else kinds)
    out, labels, defects = image.copy(), np.zeros(image.shape[:2], np.int32), []
    top, bottom, _ = region[0].indices(image.shape[0])
    left, right, _ = region[1].indices(image.shape[1])
    in_region, in_image = _LARGEST_RADIUS
    shorter = min(min(bottom - top, right - left) * in_region, min(image.shape[:2]) * in_image)
    largest = max(_LEAST_RADIUS * 1.5, shorter)
    least_contrast = max(_LEAST_CONTRAST[0], _LEAST_CONTRAST[1] * float(image.std()))
    free = np.zeros(image.shape[:2], bool)
    free[region] = True
    if ignored is not None:
        free &= ~ignored
    for _ in range(count):
        kind = kinds[rng.integers(len(kinds))]
        radius = math.exp(rng.uniform(math.log(_LEAST_RADIUS), math.log(largest)))
        centre = rng.uniform(top, bottom), rng.uniform(left, right)
        box, cover = _outline(kind, radius, centre, image.shape, rng)
        if cover.size == 0:
            continue
        cover = np.where(free[box], cover, 0)
        if labels[box][cover > 0].any():
            continue  # one that lies over another would change what is said of it, or hide it
        before = out[box]
        source = makers[kind](before, radius, sources, rng)
        weight = cover if before.ndim == 2 else cover[:, :, None]
        after = (before + weight * (np.clip(source, 0, 1) - before)).astype(np.float32)
        marked = cover > max(0.15, 0.4 * float(cover.max()))
        change = np.abs(after - image[box])
        contrast = float((change if change.ndim == 2 else change.mean(axis=2))[marked].mean()) if marked.any() else 0.0
        if marked.sum() < _LEAST_AREA or contrast < least_contrast:
            continue
        out[box] = after
        defects.append(PlantedDefect(kind, int(marked.sum()), contrast))
        labels[box][marked] = len(defects)
    return PlantedImage(index, out, labels, tuple(defects))


def _outline(
    kind: str, radius: float, centre: tuple[float, float], shape: tuple[int, ...], rng: Generator
) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """Return the box that a defect lies in, and how much of it covers each pixel there."""
    opacity = 1.0 if kind in ("scratch", "light") else rng.uniform(0.25, 1)
    rim = 1.0 if kind == "light" else math.exp(rng.uniform(math.log(0.1), math.log(0.6)))
    radius = 2 * radius if kind == "light" else radius
    reach = math.ceil(radius * (10 if kind == "scratch" else 4)) + 2
    box = (
        slice(max(0, int(centre[0]) - reach), min(shape[0], int(centre[0]) + reach + 1)),
        slice(max(0, int(centre[1]) - reach), min(shape[1], int(centre[1]) + reach + 1)),
    )
    down = np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None] - centre[0]
    across = np.arange(box[1].start, box[1].stop, dtype=np.float32)[None, :] - centre[1]
    if kind == "scratch":
        distance = _scratch(down, across, radius, rng)
    else:
        aspect, angle = rng.uniform(1, 4), rng.uniform(0, math.pi)
        along = (across * math.cos(angle) + down * math.sin(angle)) / math.sqrt(aspect)
        off = (down * math.cos(angle) - across * math.sin(angle)) * math.sqrt(aspect)
        turn = np.arctan2(off, along)
        waves = sum(rng.normal(0, 0.22 / k) * np.cos(k * turn + rng.uniform(0, 2 * math.pi)) for k in range(2, 7))
        distance = np.hypot(along, off) / radius - waves
    cover: NDArray[np.float32] = (np.clip((1 - distance) / rim + 0.5, 0, 1) * opacity).astype(np.float32)
    return box, cover


def _scratch(
    down: NDArray[np.float32], across: NDArray[np.float32], radius: float, rng: Generator
) -> NDArray[np.float64]:
    """Return the distance from a bent line, in its own half widths."""
    length, bend, angle = radius * rng.uniform(4, 10), rng.normal(0, 0.15), rng.uniform(0, math.pi)
    half_width = max(1.0, radius / 6) * rng.uniform(0.6, 1.6)
    t = np.linspace(-0.5, 0.5, 16 * math.ceil(length) + 2)
    bow = bend * (4 * t * t - 0.5)
    rows = np.round(length * (t * math.sin(angle) + bow * math.cos(angle)) - down[0, 0]).astype(int)
    columns = np.round(length * (t * math.cos(angle) - bow * math.sin(angle)) - across[0, 0]).astype(int)
    off_line = np.ones((down.shape[0], across.shape[1]), bool)
    inside = (rows >= 0) & (rows < off_line.shape[0]) & (columns >= 0) & (columns < off_line.shape[1])
    off_line[rows[inside], columns[inside]] = False
    if off_line.all():
        return np.full(off_line.shape, np.inf)
    distance: NDArray[np.float64] = distance_transform_edt(off_line) / half_width
    return distance


_Maker = Callable[[NDArray[np.float32], float, Sequence[NDArray[np.float32]], Generator], NDArray[np.float64]]


def _elsewhere(
    before: NDArray[np.float32], radius: float, sources: Sequence[NDArray[np.float32]], rng: Generator
) -> NDArray[np.float64]:
    source = np.rot90(sources[int(rng.integers(len(sources)))], int(rng.integers(4)))
    if rng.random() < 0.5:
        source = source[:, ::-1]
    # Always of another grain: on a surface without a pattern a piece from elsewhere is no defect.
    stretch = np.exp(rng.choice([-1, 1]) * rng.uniform(0.3, 0.8, 2))
    start = rng.uniform(0, source.shape[0]), rng.uniform(0, source.shape[1])
    axes = [
        _mirrored(start[axis] + stretch[axis] * np.arange(before.shape[axis]), source.shape[axis]) for axis in (0, 1)
    ]
    grid = np.meshgrid(*axes, indexing="ij")
    planes = source[:, :, None] if source.ndim == 2 else source
    taken = np.stack(
        [map_coordinates(planes[:, :, c], grid, order=1, mode="nearest") for c in range(planes.shape[2])], axis=-1
    ).reshape(before.shape)
    if rng.random() < 0.3:
        taken = 2 * taken.mean(axis=(0, 1)) - taken
    return np.asarray(taken, np.float64)


def _mirrored(positions: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    positions = np.mod(positions, 2 * size)
    return np.asarray(np.where(positions >= size, 2 * size - 1 - positions, positions))


def _noise(
    before: NDArray[np.float32], radius: float, sources: Sequence[NDArray[np.float32]], rng: Generator
) -> NDArray[np.float64]:
    grain = gaussian_filter(rng.standard_normal(before.shape[:2]), rng.uniform(0.7, 3))
    grain *= rng.uniform(0.7, 1.5) / max(float(grain.std()), 1e-9)
    planes = grain if before.ndim == 2 else grain[:, :, None]
    noisy: NDArray[np.float64] = before.mean(axis=(0, 1)) + planes * before.std(axis=(0, 1))
    return noisy


def _flat(
    before: NDArray[np.float32], radius: float, sources: Sequence[NDArray[np.float32]], rng: Generator
) -> NDArray[np.float64]:
    return np.zeros(before.shape) + rng.uniform(0, 1, before.shape[2:])


def _streak(
    before: NDArray[np.float32], radius: float, sources: Sequence[NDArray[np.float32]], rng: Generator
) -> NDArray[np.float64]:
    return np.asarray(before + rng.choice([-1, 1]) * rng.uniform(0.1, 0.5), np.float64)


def _blur(
    before: NDArray[np.float32], radius: float, sources: Sequence[NDArray[np.float32]], rng: Generator
) -> NDArray[np.float64]:
    return _smooth(before, max(1.5, radius / 4))


def _missing(
    before: NDArray[np.float32], radius: float, sources: Sequence[NDArray[np.float32]], rng: Generator
) -> NDArray[np.float64]:
    return np.asarray(_smooth(before, radius) + rng.normal(0, 0.02), np.float64)


def _light(
    before: NDArray[np.float32], radius: float, sources: Sequence[NDArray[np.float32]], rng: Generator
) -> NDArray[np.float64]:
    return np.asarray(before * rng.choice([rng.uniform(0.5, 0.9), rng.uniform(1.1, 1.5)]), np.float64)


def _smooth(values: NDArray[np.float32], sigma: float) -> NDArray[np.float64]:
    smooth: NDArray[np.float64] = gaussian_filter(values.astype(np.float64), (sigma, sigma, 0)[: values.ndim])
    return smooth


_MAKERS: dict[str, _Maker] = {
    "elsewhere": _elsewhere,
    "noise": _noise,
    "flat": _flat,
    "scratch": _streak,
    "blur": _blur,
    "missing texture": _missing,
    "light": _light,
}
GRAY_KINDS = tuple(_MAKERS)
"""Kinds that show in gray, and in colour in all channels."""

_MAKERS_IN_COLOUR = {**_MAKERS, "hue": another_hue, "one channel": one_channel}
