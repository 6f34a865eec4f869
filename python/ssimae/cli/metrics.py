"""Print the tables of an evaluation on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ssimae.cli.bars import PipedConsole
from ssimae.evaluation.benchmark.significance import Significance
from ssimae.evaluation.comparison import Comparison, Difference
from ssimae.evaluation.metrics import METRICS
from ssimae.evaluation.resampling import Interval
from ssimae.jobs.scoring.score import Scored
from ssimae.report.publish.table import MEAN, Measured, Style
from ssimae.report.tables import metric_rows, part_cells, part_columns

_PLAIN_WIDTH = 10_000
"""Columns of tables that go to a file or another program: no line is broken there."""

_LISTED = 3
"""Regions named on the terminal; `comparison.json` has more."""


def print_differences(scored: Scored, *, stderr: bool) -> None:
    """Print in what detectors differ on one data set, if any were compared."""
    if scored.comparison:
        console = _console(stderr=stderr)
        for difference in scored.comparison.differences:
            _print_table(console, _difference_table(scored, scored.comparison, difference))
        console.print(_about(scored.comparison), highlight=False)


def print_categories(measured: Measured, style: Style) -> None:
    """Print a table for each metric: a row for each category and the mean, a column for each detector."""
    console = _console()
    for column in measured.columns(style):
        table = _table(column.title, "", measured.names)
        for category, of_each in measured.metrics.items():
            table.add_row(escape(category), *(style.text(column.of(metrics)) or "–" for metrics in of_each))
        means = [measured.mean(column, index) for index in range(len(measured.names))]
        table.add_row(MEAN, *(style.text(mean) or "–" for mean in means), style="bold")
        _print_table(console, table)
    for line in measured.undefined(style):
        console.print(f"{escape(line)}; so there is no mean.", highlight=False)


def print_significance(measured: Measured, found: Sequence[Significance], *, stderr: bool) -> None:
    """Print what is found to differ between detectors, if anything was compared."""
    if found:
        console = _console(stderr=stderr)
        _print_table(console, _means_table(measured, found))
        _print_table(console, _ranks_table(measured, found))


def _means_table(measured: Measured, found: Sequence[Significance]) -> Table:
    """Return the differences of the means between each detector and the first."""
    table = _table(f"Means less those of {measured.names[0]}", "", ["Difference", "95 % interval", "p (Holm)", ""])
    for each in found:
        for of_one in each.differences:
            difference = of_one.difference
            table.add_row(
                escape(f"{METRICS[each.metric].title}, {of_one.name}"),
                f"{difference.value:+.4f}",
                f"{difference.low:+.4f} to {difference.high:+.4f}",
                f"{of_one.p_holm:.3f}",
                of_one.verdict,
            )
    table.caption = "Images of each data set drawn with replacement, the same for all detectors."
    return table


def _ranks_table(measured: Measured, found: Sequence[Significance]) -> Table:
    """Return the mean ranks of the detectors, and what their test says."""
    table = _table("Mean ranks over the data sets, 1 is best", "", [*measured.names, "p", "Critical difference"])
    for each in found:
        ranks = each.ranks
        p, critical = ranks.p, ranks.critical_difference
        table.add_row(
            METRICS[each.metric].title,
            *(f"{mean:.2f}" for mean in ranks.means),
            "–" if p is None else f"{p:.3f}",
            "–" if critical is None else f"{critical:.2f}",
        )
    name = (
        "Wilcoxon's signed ranks"
        if found[0].ranks.test == "wilcoxon"
        else "Friedman; critical difference: Nemenyi, 5 %"
    )
    table.caption = f"{name}, over {len(measured.metrics)} data sets."
    return table


def _console(*, stderr: bool = False) -> Console:
    console = PipedConsole(stderr=stderr)
    return console if console.is_terminal else PipedConsole(stderr=stderr, width=_PLAIN_WIDTH)


def print_metrics(
    names: Sequence[str], metrics: Sequence[dict[str, Any]], comparison: Comparison | None = None
) -> None:
    """Print the metrics of detectors side by side, then those of each part; `metrics` holds each ``metrics.json``."""
    console = _console()
    intervals = comparison.metrics if comparison else [{}] * len(metrics)
    _print_table(console, _metrics_table(names, metrics, intervals))
    for name, content in zip(names, metrics, strict=True):
        if (decisions := content.get("decisions")) is not None:
            _print_decisions(console, name, decisions)
    for key, what in (("by_defect", "kind of defect"), ("by_size", "size of region")):
        if len(metrics[0][key]) < 2:
            continue
        if len(names) == 1:
            _print_table(console, _parts_table(f"{names[0]}: {what}", metrics[0], key))
        else:
            limit = metrics[0]["fpr_limits"][0]
            _print_table(console, _parts_side_by_side(f"AU-PRO {limit:g} by {what}", names, metrics, key))


def _print_decisions(console: Console, name: str, decisions: dict[str, Any]) -> None:
    """Print the verdicts on good images and on defective ones, and what they come to."""
    table = _table(f"{name}: verdicts at its threshold", "", ["good", "review", "defective"])
    for truth, counts in decisions["verdicts"].items():
        table.add_row(f"{truth} images", *(str(count) for count in counts.values()))
    flagged, pixels = decisions["images"]["flagged"], decisions["pixels"]
    lines = [
        f"Defective images flagged: {_with_share(flagged['recall'])}. Good images flagged: "
        f"{_with_share(flagged['false_alarms'])}. Flagged images defective: {_with_share(flagged['precision'])}.",
        "Pixels marked: " + ", ".join(f"{key} {_number(pixels[key])}" for key in ("precision", "recall", "f1")) + ".",
    ]
    table.caption = "\n".join(lines)
    _print_table(console, table)


def _with_share(share: dict[str, float] | None) -> str:
    """Return a share of images with its interval."""
    if share is None:
        return "–"
    count = round(share["value"] * share["of"])
    return f"{count} of {share['of']}, {share['value']:.3f} ({share['low']:.3f}–{share['high']:.3f})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _print_table(console: Console, table: Table) -> None:
    """Print a table below its title, which is not broken at the table's width, and an empty line."""
    title, caption, table.title, table.caption = table.title, table.caption, None, None
    console.print(title, style="bold", highlight=False)
    console.print(table)
    if caption is not None:
        console.print(caption, highlight=False)
    console.print()


def _metrics_table(
    names: Sequence[str], metrics: Sequence[dict[str, Any]], intervals: Sequence[Mapping[str, Interval]]
) -> Table:
    table = _table(f"{metrics[0]['n_images']} images, {metrics[0]['n_regions']} regions", "", names)
    for row in metric_rows(metrics, digits=4):
        resampled = [of_detector.get(row.key or "") for of_detector in intervals]
        table.add_row(row.title, *map(_with_interval, row.cells, resampled))
    if metrics[0]["image_auroc"] is None:
        table.caption = f"No image AUROC: {metrics[0]['image_auroc_reason']}."
    return table


def _with_interval(cell: str, interval: Interval | None) -> str:
    """Return the cell of a metric, with the interval of its resamples where there is one."""
    return cell if interval is None else f"{cell} ({interval.low:.3f}–{interval.high:.3f})"


def _parts_table(title: str, metrics: dict[str, Any], key: str) -> Table:
    table = _table(title, "", part_columns(metrics))
    for name, cells in part_cells(metrics, key):
        table.add_row(escape(name), *cells)
    return table


def _parts_side_by_side(title: str, names: Sequence[str], metrics: Sequence[dict[str, Any]], key: str) -> Table:
    """Return the AU-PRO of each part under each detector; the other columns are the regions', the same for all."""
    regions, pixels, _, aupro, _ = range(len(part_columns(metrics[0])))
    columns = part_columns(metrics[0])
    table = _table(title, "", [columns[regions], columns[pixels], *names])
    for rows in zip(*(part_cells(content, key) for content in metrics), strict=True):
        name, cells = rows[0]
        table.add_row(escape(name), cells[regions], cells[pixels], *(row[aupro] for _, row in rows))
    return table


def _difference_table(scored: Scored, comparison: Comparison, difference: Difference) -> Table:
    title = f"{difference.name} less {comparison.names[0]}"
    table = _table(title, "", ["Difference", "95 % interval", ""])

    def row(name: str, interval: Interval) -> None:
        verdict = "better" if interval.low > 0 else "worse" if interval.high < 0 else "open"
        table.add_row(name, f"{interval.value:+.4f}", f"{interval.low:+.4f} to {interval.high:+.4f}", verdict)

    for name, interval in difference.metrics.items():
        row(METRICS[name].title, interval)
    row(f"Mean overlap at FPR {100 * comparison.overlap_fpr:g} %", difference.mean_overlap)
    table.add_row(
        "Regions by AU-PRO", f"{difference.better} better", f"{difference.worse} worse, {difference.equal} equal", ""
    )
    for region in difference.largest[:_LISTED]:
        sample = scored.samples[region.image]
        top, left, bottom, right = region.box
        position = f"rows {top}–{bottom - 1}, columns {left}–{right - 1}"
        change = f"{region.au_pro[1] - region.au_pro[0]:+.3f}"
        table.add_row(escape(f"  {sample.defect}/{sample.name}"), change, position, f"{region.area_px} px")
    return table


def _about(comparison: Comparison) -> str:
    lines = [
        f"Values are exact. Intervals: {comparison.resamples} draws of images with replacement, the same for all "
        f"detectors (seed {comparison.seed}), from counts at about a thousand thresholds."
    ]
    skipped = {name: count for name, count in comparison.skipped.items() if count}
    lines += [
        f"{METRICS[name].title}: {count} draws held images of one kind only and are left out."
        for name, count in skipped.items()
    ]
    return "\n".join(lines)


def _table(title: str, first: str, columns: Any) -> Table:
    table = Table(title=escape(title), title_justify="left", caption_justify="left", box=None, pad_edge=False)
    table.add_column(first)
    for column in columns:
        table.add_column(escape(column), justify="right", overflow="fold")
    return table
