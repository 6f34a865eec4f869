"""Write and read the files of an evaluation: ``metrics.json``, ``curves.npz`` and ``region_scores.csv``."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ssimae.atomic import write_bytes, write_text
from ssimae.csv_files import write_csv
from ssimae.data.dataset import Sample
from ssimae.errors import in_short
from ssimae.evaluation.parts import by_defect, by_size
from ssimae.evaluation.result import Evaluation
from ssimae.images.npy import read_npy
from ssimae.images.pixels import DEFLATED
from ssimae.reading import Count, as_kind, open_regular, read_json


class _Overlap(TypedDict):
    quantiles: list[float]
    fprs: Annotated[list[float], Meta(min_length=1)]
    values: list[list[float]]


class _Part(TypedDict):
    auroc: float | None
    au_pro: float | None
    image_auroc: NotRequired[float | None]
    median_overlap: NotRequired[list[float] | None]
    n_regions: Count
    area_px: NotRequired[tuple[Count, Count] | None]


class _Metrics(TypedDict):
    """What is read of ``metrics.json``; earlier versions lack some of it."""

    auroc: NotRequired[float | None]
    average_precision: NotRequired[float | None]
    au_pro: NotRequired[float | None]
    image_auroc: NotRequired[float | None]
    image_auroc_reason: NotRequired[str | None]
    best_f1: NotRequired[float | None]
    best_f1_threshold: NotRequired[float | None]
    fpr_limits: Annotated[list[float], Meta(min_length=1)]
    aupros: dict[str, float]
    overlap: _Overlap
    n_regions: Count
    n_images: Count
    by_defect: dict[str, _Part]
    by_size: NotRequired[dict[str, _Part] | None]


_CURVES = {
    "roc": ("roc_fpr", "roc_tpr"),
    "pro": ("pro_fpr", "pro_pro"),
    "precision and recall": ("pr_recall", "pr_precision"),
}
"""Arrays of ``curves.npz`` that belong together, beside those of the overlap."""

_SCORE_COLUMNS = ("image", "defect", "region", "area_px", "top", "left", "bottom", "right", "auroc")


def _metrics_of(evaluation: Evaluation, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the content of ``metrics.json``: all metrics, by defect type, and by size of the regions."""
    defects = by_defect(evaluation, [sample.defect for sample in samples])
    return {
        **evaluation.to_dict(),
        "by_defect": {part.name: part.to_dict() for part in defects},
        "by_size": {part.name: part.to_dict() for part in by_size(evaluation)},
    }


def write_scores(
    folder: Path, evaluation: Evaluation, samples: Sequence[Sample], *, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write ``metrics.json``, ``curves.npz`` and ``region_scores.csv``; returns the content of the first.

    `more` is what is to be said there besides, of how the maps were read.
    """
    metrics = {**_metrics_of(evaluation, samples), **(more or {})}
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


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the content of ``metrics.json``.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is damaged; the message names it.
    """
    content = read_json(path, dict[str, Any])
    try:
        metrics = as_kind(content, _Metrics)
        overlap, columns = metrics["overlap"], len(metrics["overlap"]["fprs"])
        parts = [*metrics["by_defect"].values(), *(metrics.get("by_size") or {}).values()]
        tables = [*overlap["values"], *(table for part in parts if (table := part.get("median_overlap")) is not None)]
        if len(overlap["values"]) != len(overlap["quantiles"]) or any(len(row) != columns for row in tables):
            raise ValueError("tables of the overlap that do not fit each other")
        if lacking := [limit for limit in metrics["fpr_limits"] if str(limit) not in metrics["aupros"]]:
            raise ValueError(f"no AU-PRO up to {lacking[0]}")
    except ValueError as error:
        raise ValueError(f"{path}: not the metrics of an evaluation ({in_short(error)})") from error
    return content


def read_curves(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return the content of ``curves.npz``.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is damaged; the message names it.
    """
    curves = {}
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                for member in archive.infolist():
                    if member.file_size > DEFLATED * size:
                        raise ValueError(f"{member.filename} announces {member.file_size} bytes")
                    with archive.open(member) as stored:
                        curves[member.filename.removesuffix(".npy")] = read_npy(stored, member.file_size)
        # What zipfile raises for damaged archives.
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
            raise ValueError(f"{path}: not the curves of an evaluation ({in_short(error)})") from error
    _check_curves(path, curves)
    return curves


def _check_curves(path: Path, curves: Mapping[str, NDArray[Any]]) -> None:
    names = [name for pair in _CURVES.values() for name in pair] + [
        "overlap_fpr",
        "overlap_quantiles",
        "overlap_values",
    ]
    for name in names:
        if name not in curves or curves[name].dtype != np.float64 or not np.isfinite(curves[name]).all():
            raise ValueError(f"{path}: not the curves of an evaluation (`{name}` is not there, or no finite numbers)")
    shapes = [curves[one].shape == curves[other].shape == (curves[one].size,) for one, other in _CURVES.values()]
    overlap = curves["overlap_values"].shape == (curves["overlap_quantiles"].size, curves["overlap_fpr"].size)
    if not (all(shapes) and overlap):
        raise ValueError(f"{path}: not the curves of an evaluation (arrays that do not fit each other)")
