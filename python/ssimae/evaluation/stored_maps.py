"""Find, check and read anomaly maps that any tool stored, and gather their scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import Sample
from ssimae.data.files import shortened
from ssimae.data.masks import read_ignored, read_mask
from ssimae.evaluation.arrays import SCORE_TYPES
from ssimae.evaluation.evaluator import Evaluator
from ssimae.evaluation.map_files.reader import SUFFIXES, MapReader, Resize, head_of
from ssimae.images.decoding import IMAGE_SUFFIXES
from ssimae.images.read import image_size

MAP_FOLDERS = "calibrated", "residuals", "test"
"""Folders that maps are looked for in, the first that is there."""

MAP_LAYOUTS = """maps understood, as .tiff, .tif, .npy or .npz, of the images' size:
  MVTec AD:  test/<defect>/<name>.tiff, as the official evaluation reads them
  a run:     calibrated/<defect>/<name>.tiff, or residuals/, or the folders <defect> alone
  flat:      <name>.tiff, where no two images share a name"""
"""Where maps may lie, as error messages show it."""


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
        raise FileNotFoundError(f"{root}: no such folder of maps\n{MAP_LAYOUTS}")
    base = next((root / name for name in MAP_FOLDERS if (root / name).is_dir()), root)
    present = _maps_by_stem(base)
    if not present:
        raise ValueError(f"{root}: no map in it or below{_pictures(root)}\n{MAP_LAYOUTS}")
    names = Counter(sample.name for sample in samples)
    flat = not any((base / sample.defect).is_dir() for sample in samples)
    if flat and (shared := next((name for name, count in names.items() if count > 1), None)) is not None:
        raise ValueError(
            f"{base}: no folder of a defect, and two test images are called {shared!r}: maps cannot lie flat\n"
            f"{MAP_LAYOUTS}"
        )
    maps, faults = [], []
    for sample in samples:
        # A name may hold dots, so no suffix is put behind it or taken away.
        stem = base / sample.name if flat else base / sample.defect / sample.name
        fitting = present.pop(stem, [])
        maps += fitting[:1]
        if not fitting:
            faults.append(f"image {sample.path}: no map")
        elif len(fitting) > 1:
            faults.append(f"image {sample.path}: two maps, {fitting[0]} and {fitting[1]}")
    faults += [f"map {path}: no test image of that name" for paths in present.values() for path in paths]
    _refuse(root, "images and maps do not pair up", faults, MAP_LAYOUTS)
    return maps


def _pictures(root: Path) -> str:
    """Return advice where a folder holds pictures instead of maps; nothing where it does not."""
    picture = next((path for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES), None)
    if picture is None:
        return ""
    return (
        f", but pictures, such as {picture}; their colours are no scores: store the maps themselves, as "
        "docs/examples/score_anomalib.py does with those of anomalib"
    )


def _maps_by_stem(base: Path) -> dict[Path, list[Path]]:
    """Return all maps in a folder and below by their paths without suffix; nothing hidden."""
    maps: dict[Path, list[Path]] = {}
    for path in sorted(base.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(base).parts)
        if not hidden and path.suffix.lower() in SUFFIXES and path.is_file():
            maps.setdefault(path.with_name(path.stem), []).append(path)
    return maps


def check_maps(
    root: Path, maps: Sequence[Path], samples: Sequence[Sample], *, resize: Resize | None = None
) -> MapReader:
    """Return how maps are read, once all fit their images by what the files' heads say.

    One of float64 makes all so: scores of all images are compared, and the others are widened exactly.

    Raises
    ------
    OSError, ValueError
        If a head cannot be read, a map is of another type, or of another size and not to be resized, or a mask of
        another size; the message names each.
    """
    faults: list[str] = []
    double, sizes, advice = False, {}, ""
    for path, sample in zip(maps, samples, strict=True):
        (shape, dtype), size = head_of(path), image_size(sample.path)
        if shape != size and len(shape) == 2 and 0 not in shape and resize is not None:
            sizes[path] = size
        elif shape != size:
            advice = "maps of another size are resized with --resize bilinear" if len(shape) == 2 else advice
            faults.append(f"map {path}: of shape {shape}, its image {sample.path} is {size[0]} x {size[1]}")
        if dtype is not None and dtype not in SCORE_TYPES:
            faults.append(
                f"map {path}: of {dtype.name}; understood are {', '.join(kind.__name__ for kind in SCORE_TYPES)}"
            )
        double |= dtype == np.float64
        for mask in (*sample.masks, *([] if sample.ignore is None else [sample.ignore])):
            if (mask_size := image_size(mask)) != size:
                faults.append(
                    f"mask {mask}: {mask_size[0]} x {mask_size[1]}, its image {sample.path} is {size[0]} x {size[1]}"
                )
    _refuse(root, "files do not fit their images (height x width, maps of one channel)", faults, advice)
    return MapReader(double, sizes)


def gather(
    samples: Sequence[Sample],
    maps: Sequence[Path],
    read: Callable[[Path], NDArray[Any]],
    *,
    progress: Callable[[int], None] = lambda _: None,
    image_top: float = 0.0,
    memory_limit: int | None = None,
) -> Evaluator:
    """Return the evaluator of the stored maps of some images, each file read once.

    Parameters
    ----------
    samples : sequence of Sample
    maps : sequence of Path
        The map of each, of the size of its image.
    read : function of a path
        Returns a stored map.
    progress : function of an int, optional
        Told how many images are done.
    image_top, memory_limit
        As for :class:`ssimae.evaluation.evaluator.Evaluator`.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read, or a map does not fit its mask or has a score that is not finite; the message names
        it.
    """
    evaluator = Evaluator(image_top=image_top, memory_limit=memory_limit)
    for count, (sample, path) in enumerate(zip(samples, maps, strict=True), 1):
        map_ = read(path)
        try:
            mask, ignored = read_mask(sample, map_.shape), read_ignored(sample, map_.shape)
            evaluator.update(map_, mask, ignore=ignored)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        progress(count)
    return evaluator


def _refuse(root: Path, what: str, faults: list[str], advice: str = "") -> None:
    if faults:
        raise ValueError(f"{root}: {what}\n  " + shortened(faults, "\n  ") + ("\n" + advice if advice else ""))
