"""Score stored maps of any detector, compare several, or score a run again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ssimae.cli.bars import PipedConsole, progress_bars
from ssimae.cli.exits import OK
from ssimae.cli.flags import default_out, parse_flags
from ssimae.config.systems import TITLES
from ssimae.data.layouts import open_dataset
from ssimae.evaluation.comparison import Comparison, Difference
from ssimae.evaluation.metrics import METRICS
from ssimae.evaluation.output import read_metrics
from ssimae.evaluation.resampling import Interval
from ssimae.jobs.accounts import account_for, open_again
from ssimae.jobs.evaluate import evaluate_run
from ssimae.jobs.score import Options, Scored, score_folders
from ssimae.report.tables import metric_rows, part_cells, part_columns
from ssimae.storage.run_folder import RunFolder

_PLAIN_WIDTH = 10_000
"""Columns of tables that go to a file or another program: no line is broken there."""

_LISTED = 3
"""Regions named on the terminal; `comparison.json` has more."""


@dataclass(frozen=True)
class _EvaluateFlags:
    """Score stored anomaly maps against the ground truth; no model is needed.

    MAPS is a folder of any detector's maps, test/<defect>/<name>.tiff or .npy of the images' size, or a run folder;
    DATA the data set they belong to. A run folder alone is scored on its own data, in place.
    """

    maps: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MAPS")]
    """Folder of maps, or run folder."""
    data: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="DATA")] = None
    """Data set with test images and masks, in a layout of docs/data.md. Default: that of the run in MAPS."""
    compare: tuple[Path, ...] = ()
    """Folders of other detectors' maps, or their runs, to compare with those in MAPS."""
    ignore: Path | None = None
    """Mask of what is not inspected (white): one image for all, or a folder of one each."""
    fpr_limits: tuple[float, ...] = (0.3,)
    """Limits of the false positive rate for AU-PRO; the first is the one in tables."""
    image_top: float = 0.0
    """Share of an image's pixels whose mean score is that of the image; of 0 the highest pixel alone."""
    memory_mb: int | None = None
    """Megabytes of scores held in memory; more go to a temporary file."""
    resamples: int = 1000
    """Times that images are drawn again for the intervals of a comparison."""
    seed: int = 0
    """Seed of these draws."""
    report: bool = True
    """Write a page of curves, tables and images, too."""
    out: Path | None = None
    """New folder for the results. Default: runs/evaluate-<time>."""
    force: bool = False
    """Overwrite earlier results in --out."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Score stored maps and print their tables; return the exit code."""
    flags = parse_flags(_EvaluateFlags, "evaluate", arguments)
    config = flags.maps / "config.toml"
    if flags.data is None and not flags.compare and flags.out is None and config.exists():
        return _evaluate_run(flags)
    data, ignore = flags.data, flags.ignore
    if data is None:
        if not config.exists():
            if not flags.maps.exists():
                raise FileNotFoundError(f"{flags.maps}: no such folder of maps, or run")
            command = RunFolder(flags.maps).command("evaluate")
            raise ValueError(f"{flags.maps}: no run folder, so the data set must be named: {command} DATA")
        _, facts = RunFolder(flags.maps).read_training()
        open_again(RunFolder(flags.maps), facts)
        data, ignore = facts.data, ignore or facts.ignore
    options = Options(
        fpr_limits=flags.fpr_limits,
        image_top=flags.image_top,
        memory_limit=None if flags.memory_mb is None else flags.memory_mb * 1_000_000,
        resamples=flags.resamples,
        seed=flags.seed,
        report=flags.report,
    )
    out = flags.out or default_out("evaluate")
    dataset = open_dataset(data, ignore=ignore)
    with progress_bars() as progress:
        account_for(dataset, progress, ignore=ignore)
        scored = score_folders(
            (flags.maps, *flags.compare), dataset, out, options, force=flags.force, progress=progress
        )
    _print_tables(scored)
    one = "metrics.json, curves.npz and region_scores.csv"
    each = f"comparison.json, figures, and for each detector {one} written"
    print(f"{out}: {each if scored.comparison else f'{one}, and figures written'}")
    if flags.report:
        print(f"{out / 'report.html'}: curves, tables and images")
    return OK


def _evaluate_run(flags: _EvaluateFlags) -> int:
    for field in dataclasses.fields(flags):
        if field.name not in ("maps", "debug") and getattr(flags, field.name) != field.default:
            flag = f"--{field.name.replace('_', '-')}"
            raise ValueError(f"`{flag}` needs --out: a run alone is scored again as it was, in its own folder")
    with progress_bars() as progress:
        evaluations = evaluate_run(flags.maps, progress=progress)
    folder = RunFolder(flags.maps)
    first = folder.read_settings().system
    parts = [folder if system == first else folder.comparison(system) for system in evaluations]
    names = [TITLES[system] for system in evaluations]
    _print_metrics(_console(), names, [read_metrics(part.metrics) for part in parts])
    report = folder.command("report")
    print(f"{flags.maps}: metrics.json, curves.npz and region_scores.csv written; on the page with: {report}")
    return OK


def _print_tables(scored: Scored) -> None:
    console = _console()
    _print_metrics(console, scored.names, scored.metrics, scored.comparison)
    if scored.comparison:
        for difference in scored.comparison.differences:
            _print_table(console, _difference_table(scored, scored.comparison, difference))
        console.print(_about(scored.comparison), highlight=False)


def _console() -> Console:
    console = PipedConsole()
    return console if console.is_terminal else PipedConsole(width=_PLAIN_WIDTH)


def _print_metrics(
    console: Console, names: Sequence[str], metrics: Sequence[dict[str, Any]], comparison: Comparison | None = None
) -> None:
    """Print the metrics of detectors side by side, then those of each part; `metrics` holds each ``metrics.json``."""
    intervals = comparison.metrics if comparison else [{}] * len(metrics)
    _print_table(console, _metrics_table(names, metrics, intervals))
    for key, what in (("by_defect", "kind of defect"), ("by_size", "size of region")):
        if len(metrics[0][key]) < 2:
            continue
        if len(names) == 1:
            _print_table(console, _parts_table(f"{names[0]}: {what}", metrics[0], key))
        else:
            limit = metrics[0]["fpr_limits"][0]
            _print_table(console, _parts_side_by_side(f"AU-PRO {limit:g} by {what}", names, metrics, key))


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
