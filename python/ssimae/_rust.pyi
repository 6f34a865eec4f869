from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

_Real = NDArray[np.float32] | NDArray[np.float64]
_Window = tuple[Sequence[float], float, float, float, str, float, float]

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
def ssim_loss_map(x: _Real, y: _Real, window: _Window, mask: _Real | None, out: _Real) -> None: ...
def ssim_loss_sums(
    x: _Real,
    y: _Real,
    window: _Window,
    mask: _Real | None,
    weights: _Real | None,
    scale: float,
    grad_x: _Real | None,
    grad_y: _Real | None,
) -> NDArray[np.float64]: ...
def stitch_patches(patches: NDArray[np.float32], stride: int, out: NDArray[np.float32]) -> None: ...
