"""Draw the small pictures of one image that the page paints from, and count what its maps mark at every threshold."""

from __future__ import annotations

import base64
import functools
import io
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssimae.data.dataset import Sample
from ssimae.data.masks import load_mask, read_ignored
from ssimae.figures.previews import shrink, shrink_highest
from ssimae.images.maps import read_float_map
from ssimae.images.read import read_stored
from ssimae.levels.rules import RegionRules, marked_regions
from ssimae.regions import open_levels
from ssimae.report.gallery.counts import LevelCounts, count_above
from ssimae.report.gallery.levels import Levels

PREVIEW_SIDE = 512
"""Longest side of a preview in pixels."""

LONG_ASPECT = 3
"""Images longer than this many times their width or height are long: their previews may have LONG_SIDE."""

LONG_SIDE = 1024
"""Longest side of a preview of a long image; at 512 pixels a woven band of 4096 x 256 would be 32 pixels high."""

TRUTH, IGNORED = 1, 2
"""Pixels of the picture of an image's masks: defective, and not inspected; 0 for all others."""

_MOST_OPENED = 2**25
"""Pixels of a map that are put into regions as they are; of a larger one, blocks of its highest are."""

_QUALITY = 78


@dataclass(frozen=True)
class Shown:
    """One model or detector whose maps are shown."""

    title: str
    map_name: str
    """What its maps are called: residual, calibrated residual, calibrated map, score."""
    levels: Levels
    rules: RegionRules
    """What a region must be to be marked."""
    colours: tuple[float, float]
    """Values that take the first and the last colour."""
    map_of: Callable[[Sample], Path]
    """Where the map of an image lies that its verdict rests on."""
    rebuilt_of: Callable[[Sample], Path] | None
    """Where its reconstruction lies; None where there are none."""
    read: Callable[[Path], NDArray[Any]] = read_float_map
    without_maps: Collection[Sample] = ()
    """Images whose maps were not to be kept."""


@dataclass(frozen=True)
class ShownMaps:
    """What one model made of one image, as data URIs; None where a file is missing."""

    map: str | None
    """Gray: the place of each value between the first colour and the last."""
    opened: str | None
    """Gray, exact: the highest level at which a pixel lies in a region large enough."""
    rebuilt: str | None
    counts: LevelCounts | None


@dataclass(frozen=True)
class Drawn:
    """The pictures of one image, all of one size."""

    shape: tuple[int, int]
    original: str | None
    masks: str | None
    """Gray, exact: TRUTH and IGNORED; None where neither occurs."""
    maps: tuple[ShownMaps, ...]
    """Of each model."""
    problems: tuple[str, ...]
    """What is missing and why, in whole sentences."""

    @property
    def size(self) -> int:
        """Bytes in the page."""
        uris = [
            self.original,
            self.masks,
            *(uri for maps in self.maps for uri in (maps.map, maps.opened, maps.rebuilt)),
        ]
        return sum(len(uri) for uri in uris if uri is not None)


def draw(
    sample: Sample,
    shape: tuple[int, int],
    models: Sequence[Shown],
    *,
    channels: int = 1,
    data_range: float | None = None,
    has_truth: bool,
    pixels: int,
) -> Drawn:
    """Return the pictures of an image.

    Parameters
    ----------
    sample : Sample
    shape : tuple of int
        Height and width when it was inspected.
    models : sequence of Shown
    channels, data_range : int, float or None
        How its file is read.
    has_truth : bool
        Whether it is known which pixels are defective.
    pixels : int
        Pixels that each picture may have; with 0 there are no pictures, only counts.
    """
    small = preview_shape(*shape, pixels=pixels) if pixels else None
    problems: list[str] = []
    attempt = functools.partial(_attempt, shape, problems)
    original = None
    if small is not None:
        original = attempt("The original", read_stored, sample.path, channels=channels, data_range=data_range)
    ignored = attempt("The ignore mask", read_ignored, sample, shape)
    truth = attempt("The ground truth", load_mask, sample, shape) if has_truth else None
    maps = []
    for model in models:
        if sample in model.without_maps:
            problems.append("No maps were kept of this image.")
            maps.append(ShownMaps(None, None, None, None))
            continue
        of = f" of {model.title}" if len(models) > 1 else ""
        values = attempt(f"The {model.map_name}{of}", model.read, model.map_of(sample))
        rebuilt = None
        if model.rebuilt_of is not None and small is not None:
            rebuilt = attempt(f"The reconstruction{of}", read_float_map, model.rebuilt_of(sample))
        maps.append(_draw_maps(model, values, rebuilt, (truth, ignored), small))
    return Drawn(
        shape if small is None else small,
        original=None if original is None or small is None else _webp(shrink(original, small)),
        masks=None if small is None else _draw_masks(truth, ignored, small),
        maps=tuple(maps),
        problems=tuple(problems),
    )


def _attempt(
    shape: tuple[int, int], problems: list[str], what: str, read: Callable[..., Any], *given: Any, **named: Any
) -> Any:
    """Return what a function reads of an image; None where it cannot, and then `problems` says why."""
    try:
        array = read(*given, **named)
        if array is not None and array.shape[:2] != shape:
            raise ValueError(
                f"it is {array.shape[1]} x {array.shape[0]} now, but was {shape[1]} x {shape[0]} when inspected"
            )
    except FileNotFoundError as error:
        problems.append(f"{what} is not there any more: {error.filename}.")
    except (OSError, ValueError) as error:
        problems.append(f"{what} cannot be shown: {(str(error) or type(error).__name__).splitlines()[0]}.")
    else:
        return array
    return None


def preview_shape(height: int, width: int, *, pixels: int) -> tuple[int, int]:
    """Return height and width of the pictures of an image: never larger than it, and of so many pixels at most."""
    longer, shorter = max(height, width), min(height, width)
    side = LONG_SIDE if longer > LONG_ASPECT * shorter else PREVIEW_SIDE
    factor = min(1.0, side / longer, math.sqrt(pixels / (height * width)))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _draw_maps(
    model: Shown,
    values: NDArray[Any] | None,
    rebuilt: NDArray[np.float32] | None,
    masks: tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None],
    small: tuple[int, int] | None,
) -> ShownMaps:
    truth, ignored = masks
    picture = None if rebuilt is None or small is None else _webp(shrink(rebuilt, small))
    if values is None:
        return ShownMaps(None, None, picture, None)
    levels, rules = model.levels.of(values), model.rules
    if ignored is not None:
        levels[ignored] = 0
    if not rules.plain:
        opened = _opened_by_rules(values, model.levels, rules)
    elif levels.size > _MOST_OPENED:
        whole = levels.size
        levels = shrink_highest(levels, preview_shape(*levels.shape, pixels=_MOST_OPENED // 8))
        opened = open_levels(levels, min_area=max(1, round(rules.min_area * levels.size / whole)))
        truth = ignored = None
    else:
        opened = open_levels(levels, min_area=rules.min_area)
    counts = count_above(levels, opened, truth, ignored, n=len(model.levels.bounds))
    if small is None:
        return ShownMaps(None, None, None, counts)
    first, last = model.colours
    coloured = shrink_highest(values, small).astype(np.float64)
    places = np.round(255 * np.clip((coloured - first) / (last - first), 0, 1)).astype(np.uint8)
    return ShownMaps(_webp(places), _png(shrink_highest(opened, small)), picture, counts)


def _opened_by_rules(map_: NDArray[np.float32], levels: Levels, rules: RegionRules) -> NDArray[np.uint8]:
    """Return what :func:`ssimae.regions.open_levels` does, under rules that no opening knows: a segmentation each."""
    opened = np.zeros(map_.shape, np.uint8)
    for place, bound in enumerate(levels.bounds, 1):
        # Regions only shrink as the threshold rises.
        opened[marked_regions(map_, float(bound), rules)[0]] = place
    return opened


def _draw_masks(
    truth: NDArray[np.bool_] | None, ignored: NDArray[np.bool_] | None, small: tuple[int, int]
) -> str | None:
    picture = np.zeros(small, np.uint8)
    if ignored is not None:
        picture[shrink_highest(ignored, small)] = IGNORED
    if truth is not None:
        picture[shrink_highest(truth if ignored is None else truth & ~ignored, small)] = TRUTH
    return _png(picture) if picture.any() else None


def _webp(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=_QUALITY, method=2)
    return _uri("image/webp", buffer)


def _png(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return _uri("image/png", buffer)


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
