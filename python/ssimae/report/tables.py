"""Tabulate the metrics of models and detectors, for the report and the terminal alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ssimae.evaluation.metrics import METRICS, Metric
from ssimae.figures.curves import quantile_name
from ssimae.report.assessment import Assessment, pooled
from ssimae.report.format import share
from ssimae.storage.records import ModelResults

_NONE = "–"

_PART_METRICS = ("auroc", "au_pro")
"""Metrics in the tables of parts."""


@dataclass(frozen=True)
class MetricRow:
    """One row of the table of metrics: a number of every model or detector."""

    title: str
    cells: list[str]
    meaning: str = ""
    """A sentence on it, for the report."""
    key: str | None = None
    """Name of the metric in ``metrics.json``, or None for what is not a metric of its own."""
    best: int | None = None
    """Index of the better model, if one is."""
    in_report: bool = True
    """Whether the report shows it."""


class Measured(Protocol):
    """A model or detector that has metrics."""

    @property
    def title(self) -> str:
        """Its name."""

    @property
    def metrics(self) -> dict[str, Any] | None:
        """Content of its ``metrics.json``."""


@dataclass(frozen=True)
class PartTable:
    """Metrics of one model for parts of the regions, a row each."""

    model: str
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
    run = results.training
    if run is None:
        return "No metrics: these images came without ground truth."
    if not results.inspections:
        return f"No metrics: no image has been inspected yet (`{results.folder.command('run', '--resume')}` does it)."
    defective = [inspection for inspection in results.inspections if inspection.defect != "good"]
    if not defective:
        return "No metrics: this data has no defective test images."
    if any(not inspection.masks for inspection in defective):
        return "No metrics: this data has no ground-truth masks."
    return f"No metrics yet: the run has not been evaluated (`{results.folder.command('evaluate')}` does it)."


def metric_rows(
    tables: Sequence[dict[str, Any] | None], *, digits: int, positive_share: float | None = None
) -> list[MetricRow]:
    """Return the table of metrics; empty if nothing has any.

    Parameters
    ----------
    tables : sequence of dict or None
        Content of each ``metrics.json``; None where there is none.
    digits : int
        Digits behind the point.
    positive_share : float, optional
        Share of the pixels that is defective, which is the average precision of guessing.
    """
    first = next((table for table in tables if table is not None), None)
    if first is None:
        return []
    limit, *more_limits = first["fpr_limits"]
    words = {
        "limit": f"{limit:g}",
        "guessing": "" if positive_share is None else f"; guessing gives {positive_share:.3f}",
    }
    rows = []
    for metric in METRICS.values():
        values = [None if table is None else table.get(metric.key) for table in tables]
        if metric.is_optional and all(value is None for value in values):
            continue
        cells = [metric.text(value, digits=digits) for value in values]
        reason = first.get(f"{metric.key}_reason")
        meaning = f"None: {reason}." if reason else metric.meaning.format(**words)
        row = MetricRow(metric.heading(limit), cells, meaning, metric.key, _best(values, cells), metric.in_report)
        rows.append(row)
        if metric.has_limit:
            rows += [_limit_row(metric, tables, other, digits) for other in more_limits]
    return [*rows, *_overlap_rows(tables, first)]


def _limit_row(metric: Metric, tables: Sequence[dict[str, Any] | None], limit: float, digits: int) -> MetricRow:
    values = [None if table is None else table.get(metric.by_limit, {}).get(str(limit)) for table in tables]
    return MetricRow(metric.heading(limit), [metric.text(value, digits=digits) for value in values], in_report=False)


def _overlap_rows(tables: Sequence[dict[str, Any] | None], first: dict[str, Any]) -> list[MetricRow]:
    """Return the covered share of the regions at one false positive rate; the report has a table of all rates."""
    column = overlap_column(first)
    rate = f"{100 * first['overlap']['fprs'][column]:g} %"
    rows = []
    for index, quantile in enumerate(first["overlap"]["quantiles"]):
        values = [None if table is None else table["overlap"]["values"][index][column] for table in tables]
        title = f"Overlap at FPR {rate}, {quantile_name(quantile)}"
        rows.append(MetricRow(title, [share(value) for value in values], in_report=False))
    return rows


def report_rows(models: Sequence[ModelResults], assessments: Sequence[list[Assessment]]) -> list[MetricRow]:
    """Return the report's table of metrics, with the shares marked at the threshold; empty if no model has any."""
    counts = [pooled(items) for items in assessments]
    base = next((count for count in counts if count is not None), None)
    total = 0 if base is None else base.hit + base.missed + base.false + base.clear
    positive_share = (base.hit + base.missed) / total if base is not None and total else None
    rows = metric_rows([model.metrics for model in models], digits=3, positive_share=positive_share)
    if not rows:
        return []
    return [
        *(row for row in rows if row.in_report),
        MetricRow(
            "Defective pixels marked",
            [share(None if count is None else count.covered) for count in counts],
            "At the threshold used, over all images together.",
        ),
        MetricRow(
            "Good pixels marked",
            [share(None if count is None else count.false_share) for count in counts],
            "False positive rate at the threshold used, over all images together.",
        ),
    ]


def overlap_tables(models: Sequence[Measured]) -> list[OverlapTable]:
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


def part_tables(models: Sequence[Measured]) -> list[PartTable]:
    """Return tables of each model by kind of defect and by size; left out where one part is all there is."""
    return [
        PartTable(model.title, part_columns(model.metrics), part_cells(model.metrics, key))
        for key in ("by_defect", "by_size")
        for model in models
        if model.metrics is not None and len(model.metrics.get(key) or {}) > 1
    ]


def part_columns(metrics: dict[str, Any]) -> list[str]:
    """Return the headings beside the name of a part: what :func:`part_cells` holds."""
    fpr = metrics["overlap"]["fprs"][overlap_column(metrics)]
    limit = metrics["fpr_limits"][0]
    titles = [METRICS[key].heading(limit) for key in _PART_METRICS]
    return ["Regions", "Pixels each", *titles, f"Median overlap at FPR {100 * fpr:g} %"]


def part_cells(metrics: dict[str, Any], key: str) -> list[tuple[str, list[str]]]:
    """Return name and cells of the parts under ``by_defect`` or ``by_size`` in ``metrics.json``.

    A run evaluated by an earlier version lacks some of them.
    """
    column = overlap_column(metrics)
    rows = []
    for name, part in metrics[key].items():
        overlap, area = part.get("median_overlap"), part.get("area_px")
        values = [METRICS[key].text(part[key], digits=3) for key in _PART_METRICS]
        covered = share(None if overlap is None else overlap[column])
        pixels = _NONE if area is None else f"{area[0]:,}" if area[0] == area[1] else f"{area[0]:,}–{area[1]:,}"
        rows.append((name, [str(part["n_regions"]), pixels, *values, covered]))
    return rows


def overlap_column(metrics: dict[str, Any]) -> int:
    """Return which false positive rate of the overlap table stands for it: 5 % as in the paper, else the first."""
    fprs = metrics["overlap"]["fprs"]
    return fprs.index(0.05) if 0.05 in fprs else 0


def _best(values: Sequence[float | None], cells: Sequence[str]) -> int | None:
    """Return the index of the highest of several values, or None if they read the same."""
    defined = [value for value in values if value is not None]
    return values.index(max(defined)) if len(defined) > 1 and len(set(cells)) > 1 else None
