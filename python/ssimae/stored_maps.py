"""Anomaly maps that any tool stored: where they lie, and whether they fit the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.images import image_size, read_array, stored_shape
from ssimae.layouts import Sample

SUFFIXES = (".tiff", ".tif", ".npy")

LAYOUTS = """maps understood, as .tiff, .tif or .npy, of the images' size:
  MVTec AD:  test/<defect>/<name>.tiff, as the official evaluation reads them
  a run:     residuals/<defect>/<name>.tiff, or the folders <defect> alone
  flat:      <name>.tiff, where no two images share a name"""
"""Where maps may lie, as error messages show it."""

_TYPES = (np.float16, np.float32, np.float64, np.uint8, np.uint16)
_SHOWN = 8


def find_maps(root: Path, samples: Sequence[Sample]) -> list[Path]:
    """Return the map of each image, by names alone.

    Raises
    ------
    OSError
        If the folder is missing.
    ValueError
        If an image has no map or two, or a map no image; the message names them.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder of maps\n{LAYOUTS}")
    base = next((root / name for name in ("residuals", "test") if (root / name).is_dir()), root)
    names = [sample.name for sample in samples]
    flat = not any((base / sample.defect).is_dir() for sample in samples) and len(set(names)) == len(names)
    present = {path for path in base.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()}
    maps, faults = [], []
    for sample in samples:
        # Joined as text: a name may hold dots.
        stem = base / sample.name if flat else base / sample.defect / sample.name
        found = [path for suffix in SUFFIXES if (path := stem.with_name(stem.name + suffix)) in present]
        if len(found) == 1:
            maps.append(found[0])
            present.remove(found[0])
            continue
        faults.append(
            f"image {sample.path}: two maps, {found[0]} and {found[1]}" if found else f"image {sample.path}: no map"
        )
        present.difference_update(found)
    faults += [f"map {path}: no test image of that name" for path in sorted(present)]
    _refuse(root, "images and maps do not pair up", faults, LAYOUTS)
    return maps


def check_maps(root: Path, maps: Sequence[Path], samples: Sequence[Sample]) -> None:
    """Refuse maps that do not fit their images, from what the files' heads say.

    Raises
    ------
    OSError, ValueError
        If a head cannot be read, or a map is of another type or size; the message names every such map.
    """
    faults = []
    for path, sample in zip(maps, samples, strict=True):
        shape, size = stored_shape(path), image_size(sample.path)
        if shape[:2] != size or shape[2:] not in ((), (1,)):
            faults.append(f"map {path}: of shape {shape}, its image {sample.path} is {size[0]} x {size[1]}")
    _refuse(root, "maps are not of the size of their images (height x width, one channel)", faults)


def read_scores(path: Path) -> NDArray[Any]:
    """Return a stored map, (h, w) of float16, float32, float64, uint8 or uint16, as it is.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read or holds something else.
    """
    array = read_array(path)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    array = np.asarray(array, dtype=array.dtype.newbyteorder("="))
    if array.ndim != 2 or array.dtype not in _TYPES:
        raise ValueError(
            f"{path}: a map must have one channel of float16, float32, float64, uint8 or uint16, got "
            f"{array.dtype.name} of shape {array.shape}"
        )
    return array


def _refuse(root: Path, what: str, faults: list[str], advice: str = "") -> None:
    if faults:
        rest = len(faults) - _SHOWN
        lines = [*faults[:_SHOWN], f"and {rest} more"] if rest > 0 else faults
        raise ValueError("\n  ".join([f"{root}: {what}", *lines]) + ("\n" + advice if advice else ""))
