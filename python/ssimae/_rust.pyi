from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypedDict, final

import numpy as np
from numpy.typing import NDArray

_Real = NDArray[np.float32] | NDArray[np.float64]
_Image = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32] | NDArray[np.float64]

__all__ = [
    "GatheredImages",
    "GatheredRegions",
    "GatheredScores",
    "LargeRegions",
    "LevelCounts",
    "RegionMeasures",
    "RegionSearch",
    "count_levels",
    "count_patches",
    "distances",
    "extract_patches",
    "gather_crops",
    "gaussian",
    "interpolate",
    "label_regions",
    "measure_regions",
    "open_disk",
    "open_levels",
    "outline_region",
    "paint_stains",
    "patch_grid",
    "place_features",
    "row_sums",
    "shrink_columns",
    "shrink_rows",
    "ssim_loss_map",
    "ssim_loss_rows",
    "ssim_loss_sums",
    "stitch_patches",
]

class _Metrics(TypedDict):
    auroc: float
    average_precision: float
    aupros: list[float]
    best_f1: float
    best_f1_threshold: float
    overlap: NDArray[np.float64]
    thresholds: list[float]
    region_aurocs: NDArray[np.float64]
    region_aupros: NDArray[np.float64]
    region_overlap: NDArray[np.float64]
    roc: NDArray[np.float64]
    pro: NDArray[np.float64]
    precision_recall: NDArray[np.float64]

class _Textures(TypedDict):
    bends: NDArray[np.float32]
    lobes: NDArray[np.float32]
    sources: NDArray[np.int64]
    origins: NDArray[np.float32]
    steps: NDArray[np.float32]
    contrasts: NDArray[np.float32]
    patches: NDArray[np.float32]
    noise: NDArray[np.float32]

class _Window(Protocol):
    @property
    def taps(self) -> Sequence[float]: ...
    @property
    def c1(self) -> float: ...
    @property
    def c2(self) -> float: ...
    @property
    def shift(self) -> float: ...
    @property
    def border(self) -> str: ...

@final
class GatheredScores:
    def __new__(cls, *, double: bool, image_top: float, memory_limit: int | None) -> GatheredScores: ...
    def add(self, map: _Real, mask: NDArray[np.uint8], ignore: NDArray[np.uint8] | None) -> None: ...
    def merge(self, other: GatheredScores) -> None: ...
    @property
    def double(self) -> bool: ...
    @property
    def image_top(self) -> float: ...
    @property
    def n_images(self) -> int: ...
    @property
    def n_regions(self) -> int: ...
    @property
    def n_negatives(self) -> int: ...
    @property
    def n_positives(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def images(self) -> GatheredImages: ...
    def regions(self) -> GatheredRegions: ...
    def metrics(
        self,
        *,
        fpr_limits: list[float],
        quantiles: list[float],
        overlap_fprs: list[float],
        region_overlap_fprs: list[float],
    ) -> _Metrics: ...
    def encoded(self) -> bytes: ...
    def save(self, path: Path) -> None: ...
    @staticmethod
    def from_bytes(bytes: bytes, *, memory_limit: int | None) -> GatheredScores: ...
    @staticmethod
    def load(path: Path, *, memory_limit: int | None) -> GatheredScores: ...

@final
class GatheredImages:
    @property
    def scores(self) -> NDArray[np.float64]: ...
    @property
    def is_defective(self) -> NDArray[np.bool_]: ...

@final
class GatheredRegions:
    @property
    def images(self) -> NDArray[np.int64]: ...
    @property
    def areas(self) -> NDArray[np.int64]: ...
    @property
    def boxes(self) -> NDArray[np.int64]: ...

@final
class LevelCounts:
    @property
    def false_positives(self) -> NDArray[np.uint64]: ...
    @property
    def true_positives(self) -> NDArray[np.uint64]: ...
    @property
    def overlap(self) -> NDArray[np.float64]: ...

@final
class RegionMeasures:
    @property
    def areas(self) -> NDArray[np.int64]: ...
    @property
    def boxes(self) -> NDArray[np.int64]: ...
    @property
    def centroids(self) -> NDArray[np.float64]: ...
    @property
    def max_scores(self) -> NDArray[np.float64]: ...
    @property
    def mean_scores(self) -> NDArray[np.float64]: ...

@final
class LargeRegions:
    def __new__(
        cls, mask: NDArray[np.uint8], *, distance: int, min_area: int, eight_connected: bool
    ) -> LargeRegions: ...
    def add(self, scores: NDArray[np.float32]) -> None: ...
    def measures(self) -> RegionMeasures: ...
    def lengths(self) -> NDArray[np.float64]: ...
    def keep_only(self, mask: NDArray[np.uint8], kept: list[bool]) -> None: ...

@final
class RegionSearch:
    def __new__(cls, *, level: float, min_area: int, eight_connected: bool) -> RegionSearch: ...
    def add(self, rows: NDArray[np.float32]) -> bool: ...

def count_levels(
    map: _Real, mask: NDArray[np.uint8], ignore: NDArray[np.uint8] | None, thresholds: NDArray[np.float64]
) -> LevelCounts: ...
def count_patches(height: int, width: int, patch_size: int, stride: int) -> int: ...
def distances(columns: NDArray[np.float32], out: NDArray[np.float32]) -> None: ...
def extract_patches(image: _Image, stride: int, first: int, out: NDArray[np.float32]) -> None: ...
def gather_crops(
    images: list[NDArray[Any]],
    boxes: NDArray[np.float64],
    turns: NDArray[np.uint8] | None,
    out: NDArray[np.float32],
) -> None: ...
def interpolate(
    image: NDArray[np.float32], out: NDArray[np.float32], *, down: float, across: float, first: int
) -> None: ...
def gaussian(values: NDArray[np.float32], out: NDArray[np.float32], *, sigma: float) -> None: ...
def label_regions(mask: NDArray[np.uint8], labels: NDArray[np.int32], *, eight_connected: bool) -> int: ...
def measure_regions(labels: NDArray[np.int32], count: int, scores: _Real | None) -> RegionMeasures: ...
def open_levels(levels: NDArray[np.uint8], out: NDArray[np.uint8], *, min_area: int) -> None: ...
def outline_region(mask: NDArray[np.uint8], bounds: tuple[int, int, int, int]) -> NDArray[np.int64]: ...
def open_disk(values: NDArray[np.float32], out: NDArray[np.float32], *, disk: list[tuple[int, int]]) -> None: ...
def paint_stains(
    patches: NDArray[np.float32],
    values: NDArray[np.float32],
    *,
    centres: NDArray[np.float32],
    semi_axes: NDArray[np.float32],
    angles: NDArray[np.float32],
    edges: NDArray[np.float32],
    opacities: NDArray[np.float32],
    textures: _Textures | None = None,
    cover: NDArray[np.float32] | None = None,
) -> None: ...
def patch_grid(height: int, width: int, patch_size: int, stride: int) -> NDArray[np.int64]: ...
def shrink_columns(image: NDArray[np.float32], out: NDArray[np.float32]) -> None: ...
def shrink_rows(image: NDArray[np.float32], out: NDArray[np.float32]) -> None: ...
def place_features(
    gray: NDArray[np.float32],
    out: NDArray[np.float32],
    *,
    height: int,
    top: int,
    from_ignored: NDArray[np.float32] | None,
) -> None: ...
def row_sums(
    seen: NDArray[np.float32], out: NDArray[np.float64], *, first: int, ignored: NDArray[np.uint8] | None
) -> None: ...
def ssim_loss_map(
    x: _Real, y: _Real, out: _Real, *, window: _Window, mask: _Real | None, l1: float, l2: float
) -> None: ...
def ssim_loss_rows(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    out: NDArray[np.float32],
    *,
    window: _Window,
    height: int,
    top: int,
    first: int,
) -> None: ...
def ssim_loss_sums(
    x: _Real,
    y: _Real,
    *,
    window: _Window,
    mask: _Real | None,
    weights: _Real | None,
    l1: float,
    l2: float,
    scale: float,
    grad_x: _Real | None,
    grad_y: _Real | None,
) -> NDArray[np.float64]: ...
def stitch_patches(patches: NDArray[np.float32], stride: int, first: int, image: NDArray[np.float32]) -> None: ...
