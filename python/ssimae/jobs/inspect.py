"""Inspect images with a finished model, from files to files; what a kill interrupted goes on with the next image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssimae.atomic import write_text
from ssimae.config.settings import Settings
from ssimae.data.dataset import Sample
from ssimae.data.masks import read_ignored
from ssimae.images.depth import Image
from ssimae.images.maps import write_float_tiff
from ssimae.images.read import read_stored
from ssimae.inspection.inspector import Inspector, Maps
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Judgement, Verdict, judge
from ssimae.progress import Progress
from ssimae.storage.inspected import Inspected, InspectedImages
from ssimae.storage.predictions import Stamp, StoredInspection, StoredRegion, area_mm2, stamp_of
from ssimae.storage.run_folder import RunFolder

if TYPE_CHECKING:  # exported models are inspected without torch
    import torch

    from ssimae.storage.model_file import SavedModel


def predict_stage(
    folder: RunFolder,
    samples: Sequence[Sample],
    saved: SavedModel,
    thresholds: Thresholds,
    *,
    device: torch.device,
    progress: Progress,
) -> list[Verdict]:
    """Inspect the images of a run; write their reconstructions, residuals, ``predictions.csv`` and ``regions.csv``.

    Returns the verdicts. Images that an interrupted stage finished are not inspected again.
    """
    inspector = saved.on(device)
    pixel_size = saved.settings.pixel_size
    images = InspectedImages(folder, pixel_size)
    images.begin(sample for sample in samples if _has_maps(folder, sample, inspector))
    items: list[Inspected] = []
    with progress.task("inspecting images", len(samples)) as task:
        for count, sample in enumerate(samples, 1):
            item = images.get(sample) if _has_maps(folder, sample, inspector) else None
            if item is None:
                stamp = stamp_of(sample.path)
                maps = inspector.inspect(*read_sample(sample, saved.settings))
                write_maps(folder, sample, maps)
                item = rows_of(sample, judge(maps, thresholds), stamp=stamp, pixel_size_mm=pixel_size)
                images.add(item)
            items.append(item)
            task.update(count)
    images.finish(items, [])
    return [item.inspection.verdict for item in items]


def write_thresholds(folder: RunFolder, thresholds: Thresholds) -> None:
    """Write the thresholds of a model into ``thresholds.json``."""
    write_text(folder.thresholds, thresholds_text(thresholds))


def thresholds_text(thresholds: Thresholds) -> str:
    """Return what ``thresholds.json`` holds for a model that has thresholds."""
    return json.dumps(thresholds.to_dict(), indent=1) + "\n"


def read_sample(sample: Sample, settings: Settings) -> tuple[Image, NDArray[np.bool_] | None]:
    """Return an image as the network sees it, and what of it is ignored; raises an OSError or ValueError."""
    image = read_stored(sample.path, channels=settings.channels, data_range=settings.data_range)
    return image, read_ignored(sample, image.shape)


def write_maps(folder: RunFolder, sample: Sample, maps: Maps) -> dict[str, Path]:
    """Write the maps of an image into a folder; returns their paths by what they are."""
    written = {}
    for part, array in (
        (folder.reconstructions, maps.reconstruction),
        (folder.residuals, maps.residual),
        (folder.calibrated, maps.judged if maps.calibrated else None),
    ):
        if array is not None:
            path = folder.map_path(part, sample.defect, sample.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_float_tiff(path, array)
            written[part.name] = path
    return written


def rows_of(sample: Sample, judgement: Judgement, *, stamp: Stamp, pixel_size_mm: float | None) -> Inspected:
    """Return the rows of an image that was judged.

    Parameters
    ----------
    sample : Sample
    judgement : Judgement
    stamp : Stamp
        What its file was like before it was read.
    pixel_size_mm : float, optional
        Side of a pixel in millimetres.
    """
    defect_px = int(judgement.mask.sum())
    inspection = StoredInspection(
        name=sample.name,
        defect=sample.defect,
        image=sample.path,
        masks=sample.masks,
        ignore=sample.ignore,
        height=judgement.mask.shape[0],
        width=judgement.mask.shape[1],
        score=judgement.score,
        verdict=judgement.verdict,
        regions=len(judgement.regions),
        defect_px=defect_px,
        reason=judgement.reason,
        defect_mm2=None if pixel_size_mm is None else area_mm2(defect_px, pixel_size_mm),
        bytes=stamp.bytes,
        modified=stamp.modified,
    )
    return Inspected(
        inspection,
        tuple(
            StoredRegion(sample.name, sample.defect, number, region, pixel_size_mm)
            for number, region in enumerate(judgement.regions, 1)
        ),
        pixel_size_mm,
    )


def _has_maps(folder: RunFolder, sample: Sample, inspector: Inspector) -> bool:
    """Return whether all maps of an image are there."""
    parts = [folder.residuals]
    if inspector.settings.row.rebuilds:
        parts.append(folder.reconstructions)
    if inspector.reference is not None:
        parts.append(folder.calibrated)
    return all(folder.map_path(part, sample.defect, sample.name).exists() for part in parts)
