"""The metrics of one or two models as rows of the report's tables, each with what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ssimae.report.assessment import Assessment, pooled
from ssimae.report.wording import quantile_name, share
from ssimae.storage.records import ModelResults

_NONE = "–"


@dataclass(frozen=True)
class Row:
    """One metric of every model."""

    name: str
    meaning: str
    cells: list[str]
    best: int | None = None
    """Index of the better model, if one is."""


@dataclass(frozen=True)
class PartTable:
    """Metrics of one model for parts of the regions, a row each."""

    model: str
    what: str
    """What the parts differ in."""
    columns: list[str]
    rows: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class OverlapTable:
    """Overlap of one model: a row for each quantile, a column for each false positive rate."""

    model: str
    fprs: list[str]
    rows: list[tuple[str, list[str]]]


def missing_metrics(results: ModelResults) -> str | None:
    """Return why there are no metrics, or None if there are."""
    if results.metrics is not None:
        return None
    if not results.inspections:
        return "No metrics: no image has been inspected."
    defective = [inspection for inspection in results.inspections if inspection.defect != "good"]
    if not defective:
        return "No metrics: this data has no defective test images."
    if any(inspection.mask is None for inspection in defective):
        return "No metrics: this data has no ground-truth masks."
    return "No metrics yet: the run has not been evaluated (`ssimae evaluate` does it)."


def metric_rows(models: Sequence[ModelResults], assessments: Sequence[list[Assessment]]) -> list[Row]:
    """Return the table of metrics; empty if no model has any."""
    metrics = [model.metrics for model in models]
    known = next((table for table in metrics if table is not None), None)
    if known is None:
        return []
    counts = [pooled(items) for items in assessments]
    base = next((count for count in counts if count is not None), None)
    total = 0 if base is None else base.hit + base.missed + base.false + base.clear
    guessing = f"; guessing gives {(base.hit + base.missed) / total:.3f}" if base is not None and total else ""
    limit = known["fpr_limits"][0]
    image_meaning = (
        "Chance that a defective image's highest residual exceeds that of a good image; 0.5 is guessing, 1 perfect."
    )
    reason = known["image_auroc_reason"]
    rows = [
        _row(
            "Pixel AUROC",
            "Chance that a defective pixel has a higher residual than a good one; 0.5 is guessing, 1 perfect.",
            metrics,
            "auroc",
        ),
        _row(
            "Average precision",
            f"How purely the highest residuals are defective, over all levels of recall{guessing}, 1 is perfect.",
            metrics,
            "average_precision",
        ),
        _row(
            f"AU-PRO {limit:g}",
            f"Mean covered share of the defect regions at false positive rates up to {limit:g}; small and large "
            "regions count alike, 1 is perfect.",
            metrics,
            "au_pro",
        ),
        _row("Image AUROC", f"None: {reason}." if reason else image_meaning, metrics, "image_auroc"),
    ]
    rows += [
        Row(
            "Defective pixels marked",
            "At the threshold used, over all images together.",
            [share(None if count is None else count.covered) for count in counts],
        ),
        Row(
            "Good pixels marked",
            "False positive rate at the threshold used, over all images together.",
            [share(None if count is None else count.false_share) for count in counts],
        ),
    ]
    return rows


def overlap_tables(models: Sequence[ModelResults]) -> list[OverlapTable]:
    """Return the overlap table of each model that has metrics."""
    tables = []
    for model in models:
        if model.metrics is None:
            continue
        overlap = model.metrics["overlap"]
        names = [quantile_name(quantile) for quantile in overlap["quantiles"]]
        rows = [
            (name, [share(value) for value in values]) for name, values in zip(names, overlap["values"], strict=True)
        ]
        tables.append(OverlapTable(model.title, [f"{fpr:.4g}" for fpr in overlap["fprs"]], rows))
    return tables


def part_tables(models: Sequence[ModelResults]) -> list[PartTable]:
    """Return tables of each model by kind of defect and by size; left out where one part is all there is."""
    tables = []
    for key, title in (("by_defect", "Kind of defect"), ("by_size", "Size")):
        for model in models:
            parts: dict[str, Any] = (model.metrics or {}).get(key) or {}
            if model.metrics is not None and len(parts) > 1:
                tables.append(
                    PartTable(model.title, title, part_columns(model.metrics), part_cells(model.metrics, key))
                )
    return tables


def part_columns(metrics: dict[str, Any]) -> list[str]:
    """Return the headings beside the name of a part: what :func:`part_cells` holds."""
    fpr = metrics["overlap"]["fprs"][overlap_column(metrics)]
    limit = metrics["fpr_limits"][0]
    return ["Regions", "Pixels each", "Pixel AUROC", f"AU-PRO {limit:g}", f"Median overlap at FPR {100 * fpr:g} %"]


def part_cells(metrics: dict[str, Any], key: str) -> list[tuple[str, list[str]]]:
    """Return name and cells of the parts under ``by_defect`` or ``by_size`` in ``metrics.json``.

    A run evaluated by an earlier version lacks some of them.
    """
    column = overlap_column(metrics)
    rows = []
    for name, part in metrics[key].items():
        overlap, area = part.get("median_overlap"), part.get("area_px")
        values = [_three_digits(part["auroc"]), _three_digits(part["au_pro"])]
        covered = share(None if overlap is None else overlap[column])
        pixels = _NONE if area is None else f"{area[0]:,}" if area[0] == area[1] else f"{area[0]:,}–{area[1]:,}"
        rows.append((name, [str(part["n_regions"]), pixels, *values, covered]))
    return rows


def overlap_column(metrics: dict[str, Any]) -> int:
    """Return which false positive rate of the overlap table stands for it: 5 % as in the paper, else the first."""
    fprs = metrics["overlap"]["fprs"]
    return fprs.index(0.05) if 0.05 in fprs else 0


def _row(name: str, meaning: str, metrics: Sequence[dict[str, Any] | None], key: str) -> Row:
    values = [None if table is None else table.get(key) for table in metrics]
    cells = [_three_digits(value) for value in values]
    known = [value for value in values if value is not None]
    unequal = len(known) > 1 and len(set(cells)) > 1
    return Row(name, meaning, cells, values.index(max(known)) if unequal else None)


def _three_digits(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"
