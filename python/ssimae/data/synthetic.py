"""Draw the embedded data set: woven cloth with five kinds of defect, each known to the pixel."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ssimae.atomic import write_bytes
from ssimae.data.dataset import GOOD
from ssimae.data.weave import PITCH_PX, SIZE_PX, WEAVES, Cloth, Weave, Yarns, bump, draw_cloth, render, woven_image

Defect = Literal["contrast", "missing_thread", "misweave", "slub", "stain"]
DEFECTS: tuple[Defect, ...] = get_args(Defect)

TRAIN_IMAGES = 24
TEST_IMAGES = 6
"""Number of good test images, and of test images with each defect."""

_CHANGED = 0.05
"""Smallest change of gray that counts as changed; cloth that is only redrawn a little otherwise stays as it was."""
_STAIN_CONTRAST = 0.15
_DARK, _BRIGHT = 0.07, 0.94
"""Beyond the grays of the cloth, so that every pixel of a contrast defect differs from every yarn and gap."""


@dataclass(frozen=True)
class Planted:
    """Cloth with defects, beside the same cloth without."""

    image: NDArray[np.float32]
    """Of shape (h, w), in [0, 1]."""
    mask: NDArray[np.bool_]
    """Of shape (h, w): where the defects are."""
    clean: NDArray[np.float32]
    """Of shape (h, w), in [0, 1]; equal to `image` outside the mask, bit for bit."""


def write_woven_dataset(root: Path, *, seed: int) -> None:
    """Write a data set of woven cloth in the layout of MVTec AD, as 8-bit gray PNG.

    Parameters
    ----------
    root : path
        Folder of the data set; made if it is missing.
    seed : int
        The same seed gives the same bytes.

    Raises
    ------
    OSError
        If the folder cannot be written.
    ValueError
        If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"`seed` must not be negative, got {seed}")
    good: list[tuple[str, int]] = [("train", TRAIN_IMAGES), ("test", TEST_IMAGES)]
    streams = iter(np.random.SeedSequence(seed).spawn(len(good) + len(DEFECTS)))
    for part, count in good:
        rng = np.random.default_rng(next(streams))
        for index in range(count):
            _write_png(root / part / GOOD / f"{index:03}.png", _quantise(woven_image(rng, _weave_of(index))))
    for defect in DEFECTS:
        rng = np.random.default_rng(next(streams))
        for index in range(TEST_IMAGES):
            planted = plant(rng, _weave_of(index), defect)
            _write_png(root / "test" / defect / f"{index:03}.png", _quantise(planted.image))
            mask = np.where(planted.mask, 255, 0).astype(np.uint8)
            _write_png(root / "ground_truth" / defect / f"{index:03}_mask.png", mask)


def plant(rng: np.random.Generator, weave: Weave, defect: Defect) -> Planted:
    """Return an image of new cloth with one or two defects of a kind.

    Notes
    -----
    All but `contrast` change the structure and leave the gray as it was on average over the mask, and nearly so in
    every neighbourhood of some yarns. Missing threads, slubs and misweaves are woven; their masks mark what came out
    differently.
    """
    cloth = draw_cloth(rng, weave)
    clean = render(cloth)
    if defect in ("stain", "contrast"):
        depth = _blobs(rng, most=2 if defect == "stain" else 1)
        mask = depth > 0
        changed = _stained(clean, cloth.noise) if defect == "stain" else _discoloured(rng)
        changed = clean + np.clip(depth / 2, 0, 1) * (changed - clean)
    else:
        spoilt = {"missing_thread": _without_threads, "misweave": _miswoven, "slub": _with_slubs}[defect](rng, cloth)
        changed = render(spoilt)
        mask = _changed_region(clean, changed)
    if defect != "contrast":
        changed = changed - _gray_shift(changed - clean, mask)
    return Planted(np.where(mask, np.clip(changed, 0, 1), clean).astype(np.float32), mask, clean)


def _weave_of(index: int) -> Weave:
    return tuple(WEAVES)[index % len(WEAVES)]


def _without_threads(rng: np.random.Generator, cloth: Cloth) -> Cloth:
    """Return cloth where a yarn is absent over a length: those that crossed it float, and slip together in pairs."""
    for centre in _centres(rng, margin_px=56, most=2):
        yarns, crossing, turned = _turned(rng, cloth)
        yarn = int(np.argmin(np.abs(yarns.place - centre[1])))
        half_length = rng.uniform(30, 45)
        gone = bump(centre[0] - half_length, centre[0] + half_length, taper_px=3)
        half_width = yarns.half_width.copy()
        half_width[yarn] *= 1 - gone
        level, bend = crossing.level.copy(), crossing.bend.copy()
        slip = 0.3 * PITCH_PX * bump(yarns.place[yarn] - 10, yarns.place[yarn] + 10, taper_px=7)
        for index, centre_px in enumerate(crossing.place):
            if abs(centre_px - centre[0]) < half_length:
                level[index, yarn] = 0.5
                bend[index] += slip if index % 2 else -slip
        spoilt = replace(yarns, half_width=half_width), replace(crossing, level=level, bend=bend)
        cloth = _with_yarns(cloth, *spoilt, turned=turned)
    return cloth


def _with_slubs(rng: np.random.Generator, cloth: Cloth) -> Cloth:
    """Return cloth where a yarn swells to twice its width and bulges over its neighbours."""
    for centre in _centres(rng, margin_px=50, most=2):
        yarns, crossing, turned = _turned(rng, cloth)
        yarn = int(np.argmin(np.abs(yarns.place - centre[1])))
        half_length = rng.uniform(27, 36)
        thick = bump(centre[0] - half_length, centre[0] + half_length, taper_px=0.7 * half_length)
        half_width, raised = yarns.half_width.copy(), yarns.raised.copy()
        half_width[yarn] *= 1 + rng.uniform(1.0, 1.3) * thick
        raised[yarn] += 4 * np.sqrt(thick)
        cloth = _with_yarns(cloth, replace(yarns, half_width=half_width, raised=raised), crossing, turned=turned)
    return cloth


def _miswoven(rng: np.random.Generator, cloth: Cloth) -> Cloth:
    """Return cloth where in patches every yarn that should lie over lies under, which shifts the weave by half."""
    over = cloth.warp.level.copy()
    depth = _blobs(rng, most=2)
    for warp, x in enumerate(cloth.warp.place):
        for weft, y in enumerate(cloth.weft.place):
            inside = 0 <= x < SIZE_PX and 0 <= y < SIZE_PX and depth[int(y), int(x)] > 0
            if inside:
                over[warp, weft] *= -1
    return replace(cloth, warp=replace(cloth.warp, level=over), weft=replace(cloth.weft, level=-over.T))


def _turned(rng: np.random.Generator, cloth: Cloth) -> tuple[Yarns, Yarns, bool]:
    """Return the yarns of one direction and those that cross them, and whether the first are the weft."""
    turned = bool(rng.integers(2))
    return (cloth.weft, cloth.warp, turned) if turned else (cloth.warp, cloth.weft, turned)


def _with_yarns(cloth: Cloth, yarns: Yarns, crossing: Yarns, *, turned: bool) -> Cloth:
    return replace(cloth, warp=crossing, weft=yarns) if turned else replace(cloth, warp=yarns, weft=crossing)


def _stained(clean: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cloth blurred and low in contrast, its local gray and the sensor's noise as they were."""
    texture = clean - noise
    gray = ndimage.gaussian_filter(texture, 0.7 * PITCH_PX)
    stained = gray + _STAIN_CONTRAST * (ndimage.gaussian_filter(texture, 1) - gray) + noise
    return np.asarray(stained, dtype=np.float32)


def _discoloured(rng: np.random.Generator) -> NDArray[np.float32]:
    gray = _BRIGHT if rng.integers(2) else _DARK
    return gray + 0.015 * rng.standard_normal((SIZE_PX, SIZE_PX), dtype=np.float32)


def _changed_region(clean: NDArray[np.float32], changed: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return where cloth was drawn differently, without holes and specks."""
    disk = np.hypot(*np.mgrid[-4:5, -4:5]) <= 4.2
    small = np.hypot(*np.mgrid[-2:3, -2:3]) <= 2.3
    different = np.abs(changed - clean) > _CHANGED
    whole = ndimage.binary_fill_holes(ndimage.binary_closing(different, disk))
    return np.asarray(ndimage.binary_opening(whole, small), dtype=np.bool_)


def _gray_shift(change: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the smooth part of a change within a mask, equal to it on average over the mask."""
    weight = mask.astype(np.float64)
    blurred = ndimage.gaussian_filter(weight, PITCH_PX / 2)
    shift = ndimage.gaussian_filter(change * weight, PITCH_PX / 2) / np.maximum(blurred, 1e-6)
    return np.asarray(shift + (change - shift)[mask].mean(), dtype=np.float32)


def _blobs(rng: np.random.Generator, *, most: int) -> NDArray[np.float32]:
    """Return how deep each pixel lies in irregular round spots, in pixels, negative outside."""
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX]
    depth = np.full((SIZE_PX, SIZE_PX), -np.inf)
    centres = _centres(rng, margin_px=36, most=most)
    for centre_y, centre_x in centres:
        angle = np.arctan2(y - centre_y, x - centre_x)
        outline = np.ones_like(angle)
        for wave in (2, 3, 5):
            outline += 0.22 / wave * rng.uniform(0.4, 1) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
        radius = (21.5 if len(centres) == 1 else 16) * rng.uniform(1, 1.15)
        depth = np.maximum(depth, radius * outline - np.hypot(y - centre_y, x - centre_x))
    return depth.astype(np.float32)


def _centres(rng: np.random.Generator, *, margin_px: float, most: int) -> list[NDArray[np.float64]]:
    """Return one to `most` places (y, x) that far from the border, and 80 pixels from each other."""
    centres: list[NDArray[np.float64]] = []
    count = int(rng.integers(1, most + 1))
    while len(centres) < count:
        centre = rng.uniform(margin_px, SIZE_PX - margin_px, 2)
        if all(np.hypot(*(centre - other)) >= 80 for other in centres):
            centres.append(centre)
    return centres


def _quantise(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(image * 255).astype(np.uint8)


def _write_png(path: Path, samples: NDArray[Any]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, buffer.getvalue())
