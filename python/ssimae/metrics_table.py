"""The metrics of one or two models as rows of the report's tables, each with what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ssimae.assessment import Assessment, pooled
from ssimae.records import ModelResults
from ssimae.wording import quantile_name, share


@dataclass(frozen=True)
class Row:
    """One metric of every model."""

    name: str
    meaning: str
    cells: list[str]
    best: int | None = None
    """Index of the better model, if one is."""


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


def defect_rows(models: Sequence[ModelResults]) -> list[Row]:
    """Return the pixel AUROC of each defect type; empty where it is not stored, or the one type is all there is."""
    tables: list[dict[str, Any]] = [(model.metrics or {}).get("by_defect") or {} for model in models]
    defects = sorted({defect for table in tables for defect in table})
    if len(defects) < 2:
        return []
    return [_row(defect, "", [table.get(defect) for table in tables], "auroc") for defect in defects]


def _row(name: str, meaning: str, metrics: Sequence[dict[str, Any] | None], key: str) -> Row:
    values = [None if table is None else table.get(key) for table in metrics]
    cells = ["–" if value is None else f"{value:.3f}" for value in values]
    known = [value for value in values if value is not None]
    unequal = len(known) > 1 and len(set(cells)) > 1
    return Row(name, meaning, cells, values.index(max(known)) if unequal else None)
