"""Score stored maps of one detector or several against a data set; no model is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssimae.atomic import replacing_folder
from ssimae.data.dataset import Dataset, Sample
from ssimae.evaluation.comparison import Comparison
from ssimae.jobs.scoring.detectors import Options, evaluate_detectors, names_of, pair_maps
from ssimae.jobs.scoring.files import refuse_occupied, write_results
from ssimae.progress import Progress
from ssimae.report.publish.formats import write_tables
from ssimae.report.publish.table import Measured, Style


@dataclass(frozen=True)
class Scored:
    """The scores of several detectors' maps."""

    names: tuple[str, ...]
    metrics: tuple[dict[str, Any], ...]
    """Content of each ``metrics.json``."""
    samples: tuple[Sample, ...]
    comparison: Comparison | None
    measured: Measured
    """What its tables show."""


def score_folders(
    folders: Sequence[Path],
    dataset: Dataset,
    out: Path,
    options: Options,
    *,
    names: Sequence[str] = (),
    style: Style | None = None,
    force: bool,
    progress: Progress,
) -> Scored:
    """Score folders of stored maps against a data set, and compare the others with the first.

    Writes ``metrics.json``, ``curves.npz``, ``region_scores.csv`` and ``figures/``, of each detector in a folder of its
    name if there are several, and then ``comparison.json``; ``table.csv``, ``.md`` and ``.tex``; and ``report.html``.

    Parameters
    ----------
    folders : sequence of Path
        Maps of each detector, laid out as :func:`ssimae.evaluation.stored_maps.find_maps` says.
    dataset : Dataset
        With test images and masks.
    out : Path
        New folder, or with `force` one that holds earlier results.
    options : Options
    names : sequence of str, optional
        Of the detectors; by default those of their folders.
    style : Style, optional
        Which metrics the tables hold, and how.
    force : bool
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If maps and images do not fit each other, a file cannot be read or written, or the metrics are undefined.
    """
    called = names_of(folders, names)
    paired = pair_maps(folders, dataset, resize=options.resize, progress=progress)
    out = out.resolve()
    refuse_occupied(out, [*folders, dataset.root], force=force)
    evaluations, comparison = evaluate_detectors(called, paired, options, progress=progress)
    # Written beside `out` first, so that it appears whole, or earlier results stay.
    with replacing_folder(out) as partial:
        metrics = write_results(
            partial,
            called,
            evaluations,
            comparison,
            paired=paired,
            report=options.report,
            out=out,
        )
        measured = Measured(called, {dataset.name: metrics})
        write_tables(partial, measured, style or Style())
    return Scored(called, metrics, dataset.test, comparison, measured)
