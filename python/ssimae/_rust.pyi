from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ScoreAccumulator",
    "extract_patches",
    "gather_crops",
    "label_regions",
    "measure_regions",
    "patch_grid",
    "ssim_loss_map",
    "ssim_loss_sums",
    "stitch_patches",
]

@final
class ScoreAccumulator:
    def __new__(cls, double: bool) -> ScoreAccumulator: ...
    def add(
        self,
        map: NDArray[np.float32] | NDArray[np.float64],
        mask: NDArray[np.uint8],
        ignore: NDArray[np.uint8] | None,
    ) -> None: ...
    def counts(self) -> tuple[int, int, int]: ...
    def curves(
        self, fpr_limits: list[float], quantiles: list[float], overlap_fprs: list[float]
    ) -> tuple[
        float, float, list[float], NDArray[np.float64], list[float], NDArray[np.float64], NDArray[np.float64]
    ]: ...

def extract_patches(
    image: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32], stride: int, out: NDArray[np.float32]
) -> None: ...
def gather_crops(images: list[NDArray[np.float32]], boxes: NDArray[np.float64], out: NDArray[np.float32]) -> None: ...
def label_regions(mask: NDArray[np.uint8], eight: bool, labels: NDArray[np.int32]) -> int: ...
def measure_regions(
    labels: NDArray[np.int32], count: int, scores: NDArray[np.float32] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def patch_grid(height: int, width: int, patch_size: int, stride: int) -> NDArray[np.int64]: ...
def ssim_loss_map(
    x: NDArray[np.float32] | NDArray[np.float64],
    y: NDArray[np.float32] | NDArray[np.float64],
    window: tuple[Sequence[float], float, float, float, str],
    extra: tuple[float, float],
    out: NDArray[np.float32] | NDArray[np.float64],
) -> None: ...
def ssim_loss_sums(
    x: NDArray[np.float32] | NDArray[np.float64],
    y: NDArray[np.float32] | NDArray[np.float64],
    window: tuple[Sequence[float], float, float, float, str],
    extra: tuple[float, float],
    upstream: NDArray[np.float32] | NDArray[np.float64] | None,
    grad_x: NDArray[np.float32] | NDArray[np.float64] | None,
    grad_y: NDArray[np.float32] | NDArray[np.float64] | None,
) -> NDArray[np.float64]: ...
def stitch_patches(patches: NDArray[np.float32], stride: int, out: NDArray[np.float32]) -> None: ...
