"""Score the maps of detectors on every category of a benchmark, each as a data set of its own, and their means."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssimae.atomic import replacing_folder, write_text
from ssimae.data.dataset import Dataset
from ssimae.data.files import shortened
from ssimae.data.layouts import categories_of, open_dataset
from ssimae.errors import perhaps
from ssimae.evaluation.benchmark.significance import Significance, significance, significance_content
from ssimae.evaluation.comparison import Comparison
from ssimae.jobs.scoring.detectors import Options, evaluate_detectors, names_of, pair_maps
from ssimae.jobs.scoring.files import CATEGORIES, refuse_occupied, write_results
from ssimae.progress import Progress
from ssimae.report.publish.formats import write_tables
from ssimae.report.publish.table import Measured, Style


@dataclass(frozen=True)
class ScoredCategories:
    """The scores of several detectors on several data sets."""

    names: tuple[str, ...]
    measured: Measured
    significance: tuple[Significance, ...]
    """Of the differences between detectors; none for one detector, or one data set."""


def score_categories(
    folders: Sequence[Path],
    root: Path,
    out: Path,
    options: Options,
    *,
    categories: Sequence[str] = (),
    ignore: Path | None = None,
    names: Sequence[str] = (),
    style: Style | None = None,
    account: Callable[[Dataset, Path | None], None],
    force: bool,
    progress: Progress,
) -> ScoredCategories:
    """Score folders that hold a folder of maps for each category, and compare the others with the first.

    Writes for each category what :func:`ssimae.jobs.scoring.score.score_folders` does, in a folder of its name;
    ``table.csv``, ``.md`` and ``.tex`` of all; and ``categories.json``.

    Parameters
    ----------
    folders : sequence of Path
        Of each detector, with a folder named after each category.
    root : Path
        Folder of the categories, each a data set with test images and masks.
    out : Path
        New folder, or with `force` one that holds earlier results.
    options : Options
        The draws of each category start from a seed of its own: `seed`, plus its number from 0.
    categories : sequence of str, optional
        Those to score; by default all.
    ignore : Path, optional
        Folder with a mask, or a folder of masks, named after each category; or one mask for all images.
    names, style, force, progress
        As there.
    account : function of a data set and its ignore masks
        Says what of it is passed over.

    Raises
    ------
    OSError, ValueError
        If a category is unknown or a detector lacks one; or as there, for any of them. All files' heads are checked
        before the first map is scored.
    """
    called, style = names_of(folders, names), style or Style()
    chosen = _chosen(root, categories)
    _refuse_absent(folders, chosen)
    paired = {}
    for category in chosen:
        left_out = _ignore_of(ignore, category.name)
        dataset = open_dataset(category, ignore=left_out)
        account(dataset, left_out)
        paired[category.name] = pair_maps(
            [folder / category.name for folder in folders], dataset, resize=options.resize, progress=progress
        )
    out = out.resolve()
    refuse_occupied(out, [*folders, root], force=force)
    metrics: dict[str, tuple[dict[str, Any], ...]] = {}
    comparisons: list[Comparison] = []
    with replacing_folder(out) as partial:
        for number, (name, maps) in enumerate(paired.items()):
            evaluations, comparison = evaluate_detectors(
                called, maps, options.with_seed(options.seed + number), progress=progress, of=name
            )
            comparisons += [comparison] if comparison else []
            (partial / name).mkdir()
            metrics[name] = write_results(
                partial / name,
                called,
                evaluations,
                comparison,
                paired=maps,
                report=options.report,
                out=out / name,
            )
        measured = Measured(called, metrics)
        found = significance(comparisons) if len(comparisons) > 1 else []
        write_text(partial / CATEGORIES, json.dumps(_content(measured, found), indent=1) + "\n")
        write_tables(partial, measured, style)
    return ScoredCategories(called, measured, tuple(found))


def _chosen(root: Path, categories: Sequence[str]) -> list[Path]:
    """Return the folders of the categories to score, in their order on disk or as they are named."""
    present = {folder.name: folder for folder in categories_of(root)}
    for name in categories:
        if name not in present:
            raise ValueError(f"{root}: no category {name!r}{perhaps(name, present)}; there are {', '.join(present)}")
    return [present[name] for name in dict.fromkeys(categories)] or list(present.values())


def _refuse_absent(folders: Sequence[Path], categories: Sequence[Path]) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder of maps")
        absent = [category.name for category in categories if not (folder / category.name).is_dir()]
        if absent:
            found = [category.name for category in categories if category.name not in absent]
            advice = (
                f"score what is there with --categories {' '.join(found)}"
                if found
                else f"maps of one data set are scored with that as DATA, such as {categories[0]}"
            )
            raise ValueError(f"{folder}: no folder of maps for {shortened(absent, ', ')}; {advice}")


def _ignore_of(ignore: Path | None, category: str) -> Path | None:
    """Return the ignore masks of one category: one for all, or what bears its name."""
    if ignore is None or not ignore.is_dir():
        return ignore
    found = [path for path in sorted(ignore.iterdir()) if category in (path.name, path.stem)]
    if not found:
        raise FileNotFoundError(f"{ignore}: no mask, or folder of masks, called {category}")
    return found[0]


def _content(measured: Measured, found: Sequence[Significance]) -> dict[str, Any]:
    """Return ``categories.json``: each metric of each detector on each category, the means, and what differs."""
    columns = measured.columns(Style())
    values: Mapping[str, Any] = {
        name: {
            column.name: {
                "mean": measured.mean(column, index),
                "categories": {category: column.of(of_each[index]) for category, of_each in measured.metrics.items()},
            }
            for column in columns
        }
        for index, name in enumerate(measured.names)
    }
    return {
        "names": measured.names,
        "categories": list(measured.metrics),
        "metrics": values,
        "significance": significance_content(found),
    }
