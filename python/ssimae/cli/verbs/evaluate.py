"""Score stored maps of any detector, compare several, or score a run again."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import OK
from ssimae.cli.flags import default_out, parse_flags
from ssimae.cli.metrics import print_categories, print_differences, print_metrics, print_significance
from ssimae.config.systems import TITLES
from ssimae.data.dataset import Dataset
from ssimae.data.layouts import categories_of, open_dataset
from ssimae.evaluation.map_files.reader import Resize
from ssimae.evaluation.output import read_metrics
from ssimae.jobs.accounts import account_for, open_again
from ssimae.jobs.evaluate import evaluate_run
from ssimae.jobs.scoring.categories import score_categories
from ssimae.jobs.scoring.detectors import Options
from ssimae.jobs.scoring.score import score_folders
from ssimae.report.publish.formats import SUFFIXES, Format, formatted
from ssimae.report.publish.table import Measured, Style
from ssimae.storage.run_folder import RunFolder

_ALLOWED_FOR_RUNS = "maps", "debug", "format", "metrics", "percent"
"""Flags that a run alone takes, which change nothing but what is printed."""


@dataclass(frozen=True)
class _EvaluateFlags:
    """Score stored anomaly maps against the ground truth; no model is needed.

    MAPS is a folder of any detector's maps, test/<defect>/<name>.tiff, .npy or .npz of the images' size, or a run
    folder; DATA the data set they belong to. A run folder alone is scored on its own data, in place. Where DATA holds
    several data sets, such as the categories of a benchmark, MAPS holds a folder of maps named after each; all of them
    are scored, with their means.
    """

    maps: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MAPS")]
    """Folder of maps, or run folder."""
    data: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="DATA")] = None
    """Data set with test images and masks, in a layout of docs/data.md. Default: that of the run in MAPS."""
    compare: tuple[Path, ...] = ()
    """Folders of other detectors' maps, or their runs, to compare with those in MAPS."""
    names: tuple[str, ...] = ()
    """Names of the detectors in tables and files, MAPS first. Default: those of their folders."""
    categories: tuple[str, ...] = ()
    """Data sets in DATA to score, where it holds several. Default: all."""
    metrics: tuple[str, ...] = ()
    """Metrics in the tables in the order wanted, by their names in metrics.json, such as image_auroc au_pro. Default:
    all."""
    format: Format | None = None
    """Print the table in this format, and nothing else, to standard output; table.csv, .md and .tex are always
    written to --out."""
    percent: bool = False
    """Numbers of that table, and of categories, in per cent with one decimal. CSV has full precision all the same."""
    ignore: Path | None = None
    """Mask of what is not inspected (white): one image for all, or a folder of one each. Of several data sets: a mask
    or folder named after each."""
    fpr_limits: tuple[float, ...] = (0.3,)
    """Limits of the false positive rate for AU-PRO; the first is the one in tables."""
    resize: Resize | None = None
    """How to give maps of another size that of their images. Default: such maps are refused."""
    thresholds: tuple[float, ...] = ()
    """Level from which on a pixel is marked, for F1 and verdicts at a threshold: one for each detector, MAPS first, or
    one for all. Runs use their own unless each has one."""
    image_top: float = 0.0
    """Share of an image's pixels whose mean score is that of the image; of 0 the highest pixel alone."""
    memory_mb: int | None = None
    """Megabytes of scores held in memory; more go to a temporary file."""
    resamples: int = 1000
    """Times that images are drawn again for the intervals of a comparison."""
    seed: int = 0
    """Seed of these draws."""
    ray: str | None = None
    """Gather the scores on a Ray cluster: its address, auto for one that runs here, or local for a new one (pip
    install 'ssimae[ray]')."""
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
    out = flags.out or default_out("evaluate")
    if categories_of(data):
        return _evaluate_categories(flags, data, out)
    if flags.categories:
        raise ValueError(f"`--categories` needs a DATA that holds several data sets; {data} does not")
    dataset = open_dataset(data, ignore=ignore)
    with progress_bars() as progress:
        account_for(dataset, progress, ignore=ignore)
        scored = score_folders(
            (flags.maps, *flags.compare),
            dataset,
            out,
            _options(flags),
            names=flags.names,
            style=_style(flags),
            force=flags.force,
            progress=progress,
        )
    if flags.format is None:
        print_metrics(scored.names, scored.metrics, scored.comparison)
    print_differences(scored, stderr=flags.format is not None)
    one = "metrics.json, curves.npz and region_scores.csv"
    each = f"comparison.json, figures, and for each detector {one} written"
    lines = [f"{out}: {each if scored.comparison else f'{one}, and figures written'}"]
    if flags.report:
        lines.append(f"{out / 'report.html'}: curves, tables and images")
    return _close(flags, scored.measured, out, lines)


def _evaluate_categories(flags: _EvaluateFlags, root: Path, out: Path) -> int:
    with progress_bars() as progress:

        def account(dataset: Dataset, ignore: Path | None) -> None:
            account_for(dataset, progress, ignore=ignore)

        scored = score_categories(
            (flags.maps, *flags.compare),
            root,
            out,
            _options(flags),
            categories=flags.categories,
            ignore=flags.ignore,
            names=flags.names,
            style=_style(flags),
            account=account,
            force=flags.force,
            progress=progress,
        )
    if flags.format is None:
        print_categories(scored.measured, _style(flags))
    print_significance(scored.measured, scored.significance, stderr=flags.format is not None)
    each = "metrics, figures and report.html" if flags.report else "metrics and figures"
    lines = [f"{out}: categories.json, and for each data set a folder of {each} written"]
    return _close(flags, scored.measured, out, lines)


def _close(flags: _EvaluateFlags, measured: Measured, out: Path, lines: list[str]) -> int:
    """Print the table in the format asked for, and where the results lie; return the exit code.

    A table goes to standard output alone, so that it can be sent to a file.
    """
    tables = ", ".join(f"table.{suffix}" for suffix in SUFFIXES.values())
    lines.append(f"{out}: {tables}")
    if flags.format is not None:
        print(formatted(measured, _style(flags), flags.format), end="")
    print("\n".join(lines), file=sys.stdout if flags.format is None else sys.stderr)
    return OK


def _options(flags: _EvaluateFlags) -> Options:
    return Options(
        fpr_limits=flags.fpr_limits,
        image_top=flags.image_top,
        memory_limit=None if flags.memory_mb is None else flags.memory_mb * 1_000_000,
        resamples=flags.resamples,
        seed=flags.seed,
        report=flags.report,
        resize=flags.resize,
        thresholds=flags.thresholds,
        ray=flags.ray,
    )


def _style(flags: _EvaluateFlags) -> Style:
    return Style(flags.metrics, flags.percent)


def _evaluate_run(flags: _EvaluateFlags) -> int:
    for field in dataclasses.fields(flags):
        if field.name not in _ALLOWED_FOR_RUNS and getattr(flags, field.name) != field.default:
            flag = f"--{field.name.replace('_', '-')}"
            raise ValueError(f"`{flag}` needs --out: a run alone is scored again as it was, in its own folder")
    style = _style(flags)
    with progress_bars() as progress:
        evaluations = evaluate_run(flags.maps, progress=progress)
    folder = RunFolder(flags.maps)
    first = folder.read_settings().system
    parts = [folder if system == first else folder.comparison(system) for system in evaluations]
    names = [TITLES[system] for system in evaluations]
    metrics = tuple(read_metrics(part.metrics) for part in parts)
    if flags.format is None:
        print_metrics(names, metrics)
    else:
        data = folder.read_training()[1].dataset
        print(formatted(Measured(tuple(names), {data: metrics}), style, flags.format), end="")
    print(
        f"{flags.maps}: metrics.json, curves.npz and region_scores.csv written; on the page with: "
        f"{folder.command('report')}",
        file=sys.stdout if flags.format is None else sys.stderr,
    )
    return OK
