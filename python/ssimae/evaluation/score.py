"""Stored maps held against the ground truth of a data set, and what is written of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.atomic import write_bytes, write_csv, write_text
from ssimae.data.dataset import GOOD, Sample
from ssimae.data.masks import read_ignored, read_mask
from ssimae.evaluation.evaluator import Evaluator
from ssimae.evaluation.parts import by_defect, by_size
from ssimae.evaluation.result import Evaluation

REGION_COLUMNS = ("image", "defect", "region", "area_px", "top", "left", "bottom", "right", "auroc")


def has_masks(samples: Sequence[Sample]) -> bool:
    """Return whether every defective sample has a ground-truth mask, and there is one."""
    masked = [sample.mask is not None for sample in samples if sample.defect != GOOD]
    return bool(masked) and all(masked)


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
        mask, ignored = read_mask(sample, map_.shape), read_ignored(sample, map_.shape)
        try:
            evaluator.update(map_, mask, ignore=ignored)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        progress(count)
    return evaluator


def _metrics_of(evaluation: Evaluation, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the content of ``metrics.json``: all metrics, by defect type, and by size of the regions."""
    defects = by_defect(evaluation, [sample.defect for sample in samples])
    return {
        **evaluation.to_dict(),
        "by_defect": {part.name: part.to_dict() for part in defects},
        "by_size": {part.name: part.to_dict() for part in by_size(evaluation)},
    }


def write_scores(folder: Path, evaluation: Evaluation, samples: Sequence[Sample]) -> dict[str, Any]:
    """Write ``metrics.json``, ``curves.npz`` and ``region_scores.csv``; returns the content of the first."""
    metrics = _metrics_of(evaluation, samples)
    write_text(folder / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **evaluation.curves())  # type: ignore[arg-type]
    write_bytes(folder / "curves.npz", buffer.getvalue())
    columns = [
        *REGION_COLUMNS,
        *(f"au_pro_{limit:g}" for limit in evaluation.aupros),
        *(f"overlap_{fpr:g}" for fpr in evaluation.overlap_fprs),
    ]
    write_csv(folder / "region_scores.csv", columns, _region_rows(evaluation, samples))
    return metrics


def _region_rows(evaluation: Evaluation, samples: Sequence[Sample]) -> Iterator[tuple[object, ...]]:
    regions = evaluation.regions
    number = 0
    for index, image in enumerate(regions.image):
        number = 1 if index == 0 or image != regions.image[index - 1] else number + 1
        sample = samples[image]
        yield (
            sample.name, sample.defect, number, regions.area[index], *regions.box[index],
            *(f"{value:.9g}" for value in (regions.auroc[index], *regions.aupro[index], *regions.overlap[index])),
        )  # fmt: skip
