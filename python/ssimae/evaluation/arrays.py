"""Turn maps and masks into the arrays that the Rust core takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SCORE_TYPES = (np.float16, np.float32, np.float64, np.uint8, np.uint16)
"""Types of maps that are understood."""


def as_scores(map_: NDArray[Any]) -> NDArray[np.float32] | NDArray[np.float64]:
    """Return a map as the core takes it, or refuse it with a ValueError."""
    if map_.ndim != 2:
        raise ValueError(f"a map must have shape (h, w), got {map_.shape}")
    dtype = map_.dtype.newbyteorder("=")  # files may hold the other order
    if dtype not in SCORE_TYPES:
        raise ValueError(f"a map must be float16, float32, float64, uint8 or uint16, got {map_.dtype}")
    if dtype == np.float64:
        return np.ascontiguousarray(map_, dtype=np.float64)
    return np.ascontiguousarray(map_, dtype=np.float32)


def as_flags(mask: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a mask as the array that Rust takes, not zero where it is set, or refuse it with a ValueError."""
    if mask.ndim != 2:
        raise ValueError(f"a mask must have shape (h, w), got {mask.shape}")
    if mask.dtype.kind not in "biuf":
        raise ValueError(f"a mask must be bool or numbers, got {mask.dtype}")
    if mask.dtype not in (np.uint8, np.bool_):
        if np.isnan(mask).any():
            row, column = np.argwhere(np.isnan(mask))[0].tolist()
            raise ValueError(f"a mask must not be NaN, as at row {row}, column {column}")
        mask = mask != 0
    return np.ascontiguousarray(mask).view(np.uint8)
