"""Inspect images with a finished model, from files to files; what a kill interrupted goes on with the next image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.data.dataset import Sample
from ssimae.data.masks import read_ignored
from ssimae.errors import reason_of
from ssimae.images.depth import Image
from ssimae.images.maps import write_float_tiff
from ssimae.images.read import read_stored
from ssimae.inspection.inspector import Inspector
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Verdict, judge
from ssimae.progress import Progress
from ssimae.storage.inspected import Inspected, InspectedImages
from ssimae.storage.model_file import SavedModel
from ssimae.storage.predictions import SkippedImage, StoredInspection, StoredRegion
from ssimae.storage.run_folder import RunFolder


def predict_stage(
    folder: RunFolder,
    samples: Sequence[Sample],
    saved: SavedModel,
    thresholds: Thresholds,
    *,
    device: torch.device,
    progress: Progress,
    skipped: Sequence[SkippedImage] = (),
    skip_bad: bool = False,
) -> tuple[list[Verdict], list[SkippedImage]]:
    """Inspect images; write their reconstructions, residuals, ``predictions.csv`` and ``regions.csv``.

    Returns the verdicts, and what was skipped: the images in `skipped`, and with `skip_bad` those that could not be
    read when their turn came. Images that an interrupted stage finished are not inspected again.
    """
    inspector = saved.on(device)
    images = InspectedImages(folder)
    images.begin(sample for sample in samples if _has_maps(folder, sample, inspector))
    items: list[Inspected] = []
    passed_over = list(skipped)
    with progress.task("inspecting images", len(samples)) as task:
        for count, sample in enumerate(samples, 1):
            item = images.get(sample) if _has_maps(folder, sample, inspector) else None
            if item is None:
                try:
                    image = _read(sample, saved.settings)
                except (OSError, ValueError) as error:
                    if not skip_bad:
                        raise
                    passed_over.append(SkippedImage(sample.path, reason_of(error, sample.path)))
                    task.update(count)
                    continue
                item = _inspect(folder, sample, image, inspector, thresholds)
                images.add(item)
            items.append(item)
            task.update(count)
    images.finish(items, passed_over)
    return [item.inspection.verdict for item in items], passed_over


def _read(sample: Sample, settings: Settings) -> tuple[Image, NDArray[np.bool_] | None]:
    image = read_stored(sample.path, channels=settings.channels, data_range=settings.data_range)
    return image, read_ignored(sample, image.shape)


def _inspect(
    folder: RunFolder,
    sample: Sample,
    image: tuple[Image, NDArray[np.bool_] | None],
    inspector: Inspector,
    thresholds: Thresholds,
) -> Inspected:
    """Inspect one image, given with what of it is ignored, and write its maps; returns its rows."""
    maps = inspector.inspect(*image)
    for part, array in (
        (folder.reconstructions, maps.reconstruction),
        (folder.residuals, maps.residual),
        (folder.calibrated, maps.judged if maps.calibrated else None),
    ):
        if array is not None:
            path = folder.map_path(part, sample.defect, sample.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_float_tiff(path, array)
    judgement = judge(maps, thresholds)
    inspection = StoredInspection(
        name=sample.name,
        defect=sample.defect,
        image=sample.path,
        masks=sample.masks,
        ignore=sample.ignore,
        height=maps.judged.shape[0],
        width=maps.judged.shape[1],
        score=judgement.score,
        verdict=judgement.verdict,
        regions=len(judgement.regions),
        defect_px=int(judgement.mask.sum()),
        reason=judgement.reason,
    )
    return Inspected(
        inspection,
        tuple(
            StoredRegion(sample.name, sample.defect, number, region)
            for number, region in enumerate(judgement.regions, 1)
        ),
    )


def _has_maps(folder: RunFolder, sample: Sample, inspector: Inspector) -> bool:
    """Return whether all maps of an image are there."""
    parts = [folder.residuals]
    if inspector.settings.row.rebuilds:
        parts.append(folder.reconstructions)
    if inspector.reference is not None:
        parts.append(folder.calibrated)
    return all(folder.map_path(part, sample.defect, sample.name).exists() for part in parts)
