"""Write the maps of a detector as the server of MVTec AD 2 wants them uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from ssimae.atomic import replacing_folder
from ssimae.data.dataset import UNLABELLED, Sample
from ssimae.data.files import list_folders, list_images, natural_key, shortened
from ssimae.evaluation.map_files.reader import MapReader, Resize
from ssimae.evaluation.stored_maps import check_maps, find_maps
from ssimae.jobs.scoring.decide import AtThreshold, Decide, OfRun
from ssimae.progress import Progress

MAPS, SEGMENTATIONS = "anomaly_images", "anomaly_images_thresholded"
"""Folders of what is uploaded (Heckler-Kram et al. 2025, evaluation server)."""

SPLITS = ("test_private", "test_private_mixed")
OBJECTS = ("can", "fabric", "fruit_jelly", "rice", "sheet_metal", "vial", "wallplugs", "walnuts")

_HIGHEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class _Split:
    """The images of one private test set of an object, with the map of each."""

    place: str
    """Folder below those of the upload: object and split."""
    samples: tuple[Sample, ...]
    maps: tuple[Path, ...]
    read: MapReader
    decide: Decide


@dataclass(frozen=True)
class Upload:
    """What was written."""

    images: int
    absent: tuple[str, ...]
    """Objects and splits of the benchmark that are not in the data."""


def write_upload(
    maps: Path,
    data: Path,
    out: Path,
    *,
    threshold: float | None = None,
    resize: Resize | None = None,
    progress: Progress,
) -> Upload:
    """Write the maps of private test sets as float16 TIFF, and what they mark as PNG of 0 and 255.

    Parameters
    ----------
    maps : Path
        Folder with the maps of each object and split, such as ``can/test_private``: folders of ``ssimae predict``, or
        maps by the names of their images.
    data : Path
        MVTec AD 2, with the images of ``<object>/test_private`` and ``<object>/test_private_mixed``.
    out : Path
        New folder.
    threshold : float, optional
        Score from which on a pixel is marked; folders of ``ssimae predict`` have their own.
    resize : {"bilinear"}, optional
        How maps get the size of their images.
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If an image has no map or a map does not fit it, there is no threshold, a score is not finite or beyond
        float16, or `out` is there already.
    """
    if out.exists():
        raise FileExistsError(f"{out}: is there already; choose another --out")
    splits = _splits(maps, data, threshold, resize)
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    total = sum(len(split.samples) for split in splits)
    with replacing_folder(out) as partial, progress.task("writing", total) as task:
        done = 0
        for split in splits:
            for folder in (MAPS, SEGMENTATIONS):
                (partial / folder / split.place).mkdir(parents=True)
            for sample, path in zip(split.samples, split.maps, strict=True):
                _write(partial, split, sample, path)
                done += 1
                task.update(done)
    present = {split.place for split in splits}
    wanted = [f"{name}/{split}" for name in OBJECTS for split in SPLITS]
    return Upload(total, tuple(place for place in wanted if place not in present))


def _splits(maps: Path, data: Path, threshold: float | None, resize: Resize | None) -> list[_Split]:
    if not data.is_dir():
        raise FileNotFoundError(f"{data}: no such data folder")
    found = []
    for folder in sorted(list_folders(data), key=natural_key):
        for name in SPLITS:
            if not (folder / name).is_dir() or not (images := list_images(folder / name)):
                continue
            place = f"{folder.name}/{name}"
            samples = tuple(Sample(image, image.stem, UNLABELLED) for image in images)
            stored = maps / place
            paths = find_maps(stored, samples)
            read = check_maps(stored, paths, samples, resize=resize)
            decide: Decide | None = OfRun.at(stored) if threshold is None else AtThreshold(threshold)
            if decide is None:
                raise ValueError(f"{stored}: no thresholds of its own; name one with --threshold")
            found.append(_Split(place, samples, tuple(paths), read, decide))
    if not found:
        raise ValueError(f"{data}: no <object>/{SPLITS[0]} or <object>/{SPLITS[1]} with images, as MVTec AD 2 has them")
    return found


def _write(partial: Path, split: _Split, sample: Sample, path: Path) -> None:
    map_ = split.read(path)
    if not np.isfinite(map_).all() or np.abs(map_).max() > _HIGHEST:
        raise ValueError(f"{path}: scores must be finite and at most {_HIGHEST:g}, as float16 holds them")
    marked, _ = split.decide(sample, map_, None)
    tifffile.imwrite(partial / MAPS / split.place / f"{sample.name}.tiff", map_.astype(np.float16))
    picture = Image.fromarray(np.where(marked, 255, 0).astype(np.uint8))
    picture.save(partial / SEGMENTATIONS / split.place / f"{sample.name}.png")


def absent_text(absent: Sequence[str]) -> str:
    """Return what the server will miss, in words; nothing where all is there."""
    return f"the server wants these, too: {shortened(list(absent), ', ')}" if absent else ""
