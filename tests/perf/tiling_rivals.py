"""Ways to cut an image into patches and to lay them back, each as its documentation does it on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import fold, unfold


@dataclass(frozen=True)
class Case:
    """An image (H, W), float32, whose grid ends at its border by itself; most rivals have no shifted last patch."""

    image: np.ndarray
    patches: np.ndarray
    stride: int

    @property
    def side(self) -> int:
        """Side of a patch."""
        return self.patches.shape[-1]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        rows, columns = ((length - self.side) // self.stride + 1 for length in self.image.shape)
        return rows, columns


@dataclass(frozen=True)
class Way:
    """One way to do a job, made ready for a case; what the call returns is compared after `shaped`."""

    ready: Callable[[Case], Callable[[], Any]]
    shaped: Callable[[Any, Case], np.ndarray]
    packages: tuple[str, ...] = ()
    target: str | None = None


def _copy(case: Case) -> Callable[[], Any]:
    # NumPy's copy runs on one thread, torch's on as many as ours.
    source, out = torch.from_numpy(case.patches), torch.zeros(case.patches.shape)
    if torch.get_num_threads() > 1:
        return lambda: out.copy_(source)
    array = out.numpy()

    def copy() -> np.ndarray:
        np.copyto(array, case.patches)
        return array

    return copy


def _windows(case: Case) -> np.ndarray:
    whole = np.lib.stride_tricks.sliding_window_view(case.image, (case.side, case.side))
    return whole[:: case.stride, :: case.stride]


def _numpy_windows_into(case: Case) -> Callable[[], Any]:
    out = np.zeros((*case.grid, case.side, case.side), np.float32)

    def cut() -> np.ndarray:
        np.copyto(out, _windows(case))
        return out

    return cut


def _torch_windows(case: Case) -> torch.Tensor:
    return torch.from_numpy(case.image).unfold(0, case.side, case.stride).unfold(1, case.side, case.stride)


def _torch_windows_into(case: Case) -> Callable[[], Any]:
    out = torch.zeros(*case.grid, case.side, case.side)
    return lambda: out.copy_(_torch_windows(case))


def _unfold(case: Case) -> Callable[[], Any]:
    image = torch.from_numpy(case.image)[None, None]
    return lambda: unfold(image, case.side, stride=case.stride)


def _scikit_learn_windows(case: Case) -> Callable[[], Any]:
    from sklearn.feature_extraction.image import _extract_patches

    # What `extract_patches_2d` calls, with its step; itself it has none.
    return lambda: np.ascontiguousarray(_extract_patches(case.image, (case.side, case.side), case.stride))


def _corners(case: Case) -> list[tuple[int, int]]:
    rows, columns = case.grid
    return [(row * case.stride, column * case.stride) for row in range(rows) for column in range(columns)]


def _numpy_loop(case: Case) -> Callable[[], Any]:
    corners, side = _corners(case), case.side
    counts = np.zeros_like(case.image)
    for row, column in corners:
        counts[row : row + side, column : column + side] += 1

    def lay() -> np.ndarray:
        sums = np.zeros_like(case.image)
        for patch, (row, column) in zip(case.patches, corners, strict=True):
            sums[row : row + side, column : column + side] += patch
        return sums / counts

    return lay


def _fold(case: Case) -> Callable[[], Any]:
    columns = torch.from_numpy(case.patches).reshape(len(case.patches), -1).T.contiguous()[None]
    options = {"output_size": case.image.shape, "kernel_size": case.side, "stride": case.stride}
    counts = fold(torch.ones_like(columns), **options)
    return lambda: fold(columns, **options) / counts


def _scikit_learn_lay(case: Case) -> Callable[[], Any]:
    from sklearn.feature_extraction.image import reconstruct_from_patches_2d

    return lambda: reconstruct_from_patches_2d(case.patches, case.image.shape)


def _flat(result: Any, case: Case) -> np.ndarray:
    return np.asarray(result).reshape(case.patches.shape)


def _plane(result: Any, case: Case) -> np.ndarray:
    return np.asarray(result).reshape(case.image.shape)


CUTS = {
    "copy of the output": Way(_copy, _flat, target=">= 0.77"),
    "numpy windows, into": Way(_numpy_windows_into, _flat),
    "numpy windows": Way(lambda case: lambda: _windows(case).copy(), _flat),
    "Tensor.unfold, into": Way(_torch_windows_into, _flat),
    "Tensor.unfold": Way(lambda case: lambda: _torch_windows(case).contiguous(), _flat),
    "F.unfold": Way(
        _unfold, lambda result, case: result[0].T.reshape(case.patches.shape).numpy()
    ),
    "scikit-learn": Way(_scikit_learn_windows, _flat, ("scikit-learn",)),
}  # fmt: skip
"""Ways to cut; those that write "into" have, as ours, a buffer of the caller."""

LAYS = {
    "numpy loop": Way(_numpy_loop, _plane),
    "F.fold": Way(_fold, _plane),
}
"""Ways to lay back, divided by how many patches lie over a pixel, counted beforehand where that can be."""

SCIKIT_LEARN = Way(_scikit_learn_lay, _plane, ("scikit-learn",))
"""Lays back too, but knows no stride but 1."""

COPY = Way(_copy, _flat, target=">= 1.0")
"""The patches, copied: what reading them once and writing them once costs."""
