"""Read stored maps as scores, at the size of their images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssimae.evaluation.arrays import SCORE_TYPES
from ssimae.evaluation.map_files.npz import npz_head, read_npz
from ssimae.images.maps import read_array, stored_head
from ssimae.images.resize import restore_size

SUFFIXES = (".tiff", ".tif", ".npy", ".npz")
"""Of files that may hold a map."""

Resize = Literal["bilinear"]


def head_of(path: Path) -> tuple[tuple[int, ...], np.dtype[Any] | None]:
    """Return shape, without axes of one, and type of a stored map; raises as :func:`read_scores`."""
    shape, dtype = npz_head(path) if path.suffix.lower() == ".npz" else stored_head(path)
    return plane(shape), dtype


def read_scores(path: Path, *, double: bool = False) -> NDArray[Any]:
    """Return a stored map, (h, w) of float16, float32, float64, uint8 or uint16, as it is, or as float64.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read or holds something else.
    """
    array = read_npz(path) if path.suffix.lower() == ".npz" else read_array(path)
    array = np.asarray(array, dtype=array.dtype.newbyteorder("=")).reshape(plane(array.shape))
    if array.ndim != 2 or array.dtype not in SCORE_TYPES:
        raise ValueError(
            f"{path}: a map must have one channel of float16, float32, float64, uint8 or uint16, got "
            f"{array.dtype.name} of shape {array.shape}"
        )
    return array.astype(np.float64, copy=False) if double else array


@dataclass(frozen=True)
class MapReader:
    """How the maps of one detector are read."""

    double: bool = False
    """Whether they are float64; those of other types are widened exactly."""
    sizes: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    """Height and width that a map is resized to, of those that have another size than their image."""

    def __call__(self, path: Path) -> NDArray[Any]:
        """Return a map, (h, w) of any type of score, at the size of its image.

        Maps are resized bilinearly in float32, the centres of the corner pixels moving with the pixels' size, without
        antialiasing: as ``torch.nn.functional.interpolate`` does with ``align_corners=False``.

        Raises
        ------
        OSError, ValueError
            As :func:`read_scores`.
        """
        if path not in self.sizes:
            return read_scores(path, double=self.double)
        resized = restore_size(read_scores(path).astype(np.float32), *self.sizes[path])
        return resized.astype(np.float64) if self.double else resized

    def to_dict(self, maps: int) -> dict[str, Any]:
        """Return what ``metrics.json`` says of resizing, for so many maps; nothing where none is resized."""
        return {"resize": {"method": "bilinear", "maps": len(self.sizes), "of": maps}} if self.sizes else {}


def plane(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without the axes of one batch or channel, before or behind height and width."""
    while len(shape) > 2 and 1 in (shape[0], shape[-1]):
        shape = shape[1:] if shape[0] == 1 else shape[:-1]
    return shape
