"""Write the files of an evaluation: ``metrics.json``, ``curves.npz`` and ``region_scores.csv``."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssimae.atomic import write_bytes, write_text
from ssimae.csv_files import write_csv
from ssimae.data.dataset import Sample
from ssimae.evaluation.parts import by_defect, by_size
from ssimae.evaluation.result import Evaluation

_SCORE_COLUMNS = ("image", "defect", "region", "area_px", "top", "left", "bottom", "right", "auroc")


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
        *_SCORE_COLUMNS,
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
