"""Keep the judged maps of held-out parts in 8 bits: what other thresholds would say can then be told at any time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import segment
from ssimae.levels.false_calls import tail_of_blocks
from ssimae.levels.rules import RegionRules, region_level
from ssimae.pod.hits import PlantedDefects, equivalent_diameter

if TYPE_CHECKING:  # what judges by other levels without torch needs no SciPy either
    from ssimae.tuning.planting.planted import PlantedDefect

_INFORMATIVE = 4_000_000
"""Pixels that may be told apart in all maps together; of larger sets only a higher share is, which bounds the file."""

_LARGEST_SHARE = 0.5
"""Of the pixels that are told apart at most: what lies below the middle of good surfaces is never marked."""

_HEADROOM = 8.0
"""Multiples of the highest threshold or good level beyond which nothing is told apart."""

_LEAST_RATIO = 1e-4
_BELOW = 0.8
"""Share of the lowest level or threshold, below which nothing needs to be told apart."""

_EXACT = 64
"""Levels of good images that are steps themselves, the highest first."""

_STEPS = 255


@dataclass(frozen=True)
class JudgedMaps:
    """The maps that thresholds were set on, in full precision, and what they are of."""

    good: tuple[NDArray[np.float32], ...]
    """(h, w) each: the held-out part of an image."""
    images: tuple[int, ...]
    """Number of the image of each."""
    shares: tuple[float, ...]
    """How much of its image each is."""
    planted: tuple[NDArray[np.float32], ...] = ()
    labels: tuple[NDArray[np.int32], ...] = ()
    """Of each planted map: 0 for good, else the number of a defect."""
    defects: tuple[tuple[PlantedDefect, ...], ...] = ()


@dataclass(frozen=True)
class GoodMap:
    """The stored map of a good image, or of the part of it that was held out."""

    codes: NDArray[np.uint8]
    name: str
    """Of the image, below its data folder; or its file name, where it was added."""
    share: float = 1.0
    """How much of the image it is of."""
    sha256: str | None = None
    """Of the image's file, where it was added after the training."""


@dataclass(frozen=True)
class PlantedMap:
    """The stored map of a held-out part with planted defects."""

    codes: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    """(h, w): 0 for good, else the number of a defect."""
    defects: tuple[PlantedDefect, ...]


@dataclass(frozen=True)
class HeldOutMaps:
    """Maps of held-out parts in 8 bits.

    Notes
    -----
    Number k stands for values above ``tops[k - 1]`` up to ``tops[k]``, and is read as the latter; 0 stands for what is
    ignored or lies at or below ``tops[0]``, and is read as 0. The tops are evenly spaced in their logarithm, but for
    the thresholds and the highest levels of good images, which are tops themselves. So the order of values stays, and
    thresholds that are tops divide the stored maps as they divide the maps themselves, exactly. Levels that are taken
    from stored maps are tops: at least the level of the map itself, and higher by at most :attr:`step`.
    """

    tops: NDArray[np.float32]
    """(n,), at most 256, rising."""
    good: tuple[GoodMap, ...]
    planted: tuple[PlantedMap, ...]
    tail: float
    """Scale of the tail of blocks of the good maps, under the rules that held when they were stored."""

    @property
    def step(self) -> float:
        """How far apart two values may lie that are not told apart, as a share of the lower one."""
        # The last top is the highest value of all maps, and may lie far above the one before.
        return float(np.max(self.tops[1:-1] / self.tops[:-2])) - 1 if len(self.tops) > 2 else 0.0

    @property
    def share(self) -> float:
        """How much of its image each good map is of, in the mean."""
        return float(np.mean([part.share for part in self.good]))

    def read(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the values that numbers stand for."""
        values = np.zeros(256, np.float32)
        values[1 : len(self.tops)] = self.tops[1:]
        return values[codes]

    def encode(self, map_: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the numbers of a map's values; what lies above the highest gets the highest."""
        return np.searchsorted(self.tops[:-1], map_, side="left").astype(np.uint8)

    def levels(self, rules: RegionRules) -> tuple[float, ...]:
        """Return the level of each good map, no lower than the lowest top."""
        lowest = float(self.tops[0])
        return tuple(max(region_level(self.read(part.codes), rules), lowest) for part in self.good)

    def tail_under(self, rules: RegionRules) -> float:
        """Return the scale of the tail of blocks of the good maps."""
        return tail_of_blocks([np.maximum(self.read(part.codes), self.tops[0]) for part in self.good], rules)

    def flagged(self, thresholds: Thresholds) -> list[bool]:
        """Return whether each good map is flagged."""
        return [segment(self.read(part.codes), thresholds)[2] != "good" for part in self.good]

    def found(self, thresholds: Thresholds) -> PlantedDefects:
        """Return which planted defects are found."""
        maps = [self.read(part.codes) for part in self.planted]
        return found_defects(
            maps, [part.labels for part in self.planted], [part.defects for part in self.planted], thresholds
        )

    def with_good(self, added: Sequence[GoodMap]) -> HeldOutMaps:
        """Return the maps with those of some more good images."""
        return dataclasses.replace(self, good=(*self.good, *added))


def store_judged(judged: JudgedMaps, names: Sequence[str], thresholds: Thresholds) -> HeldOutMaps:
    """Return maps in 8 bits; `names` are those of the good maps' images, `thresholds` those that follow from them."""
    tops = _tops([*judged.good, *judged.planted], thresholds)
    tail = tail_of_blocks(judged.good, thresholds.rules)
    empty = HeldOutMaps(tops, (), (), tail)
    return dataclasses.replace(
        empty,
        good=tuple(
            GoodMap(empty.encode(map_), name, share)
            for map_, name, share in zip(judged.good, names, judged.shares, strict=True)
        ),
        planted=tuple(
            PlantedMap(empty.encode(map_), labels.astype(np.uint8), defects)
            for map_, labels, defects in zip(judged.planted, judged.labels, judged.defects, strict=True)
        ),
    )


def found_defects(
    maps: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.integer[Any]]],
    defects: Sequence[Sequence[PlantedDefect]],
    thresholds: Thresholds,
) -> PlantedDefects:
    """Return which planted defects are found: some of their pixels lie in a marked region."""
    hits: list[bool] = []
    for map_, label, planted in zip(maps, labels, defects, strict=True):
        mask, _, _ = segment(map_, thresholds)
        marked = np.bincount(label[mask], minlength=len(planted) + 1)
        hits += [bool(count) for count in marked[1:]]
    each = [defect for planted in defects for defect in planted]
    return PlantedDefects(
        equivalent_diameter(np.array([defect.area for defect in each], np.float64)),
        np.array([defect.contrast for defect in each]),
        tuple(defect.kind for defect in each),
        np.array(hits, bool),
    )


def _tops(maps: Sequence[NDArray[np.float32]], thresholds: Thresholds) -> NDArray[np.float32]:
    """Return the highest value of each step."""
    total = sum(map_.size for map_ in maps)
    some = np.concatenate([map_.ravel()[:: max(1, total // 2**20)] for map_ in maps])
    some = some[some > 0]
    highest = max(float(map_.max()) for map_ in maps)
    levels = sorted(thresholds.good_levels, reverse=True)
    named = [thresholds.review, thresholds.defective, *levels[:_EXACT]]
    most = min(highest, _HEADROOM * max(named))
    most = most if most > 0 else 1.0
    share = min(_LARGEST_SHARE, _INFORMATIVE / total)
    floor = float(np.quantile(some, 1 - share)) if len(some) else 0.0
    lowest = max(min(floor, _BELOW * min([thresholds.review, *levels])), most * _LEAST_RATIO)
    exact = np.unique(np.array([value for value in named if lowest < value < most], np.float32))
    even = np.geomspace(lowest, most, _STEPS - len(exact)).astype(np.float32)
    tops = np.unique(np.concatenate([exact, even]))
    return np.append(tops, max(np.float32(highest), np.nextafter(tops[-1], np.float32(np.inf))))
