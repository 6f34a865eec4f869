"""Write the results of an evaluation of stored maps, and overwrite nothing else."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssimae.atomic import write_bytes, write_text
from ssimae.data.dataset import Sample
from ssimae.evaluation.comparison import Comparison
from ssimae.evaluation.output import read_metrics, write_scores
from ssimae.evaluation.result import Evaluation
from ssimae.figures.curves import Curves
from ssimae.jobs.scoring.detectors import FIGURES, PairedMaps
from ssimae.report.evaluation import Detector, evaluation_page
from ssimae.report.figures.curves import draw_comparison, draw_curves
from ssimae.report.gallery.worst import worst_regions
from ssimae.storage.owned import SCORES, any_of

CATEGORIES = "categories.json"

_WRITTEN = re.compile(
    rf"([^/]+/){{0,2}}({any_of(SCORES)})"
    rf"|([^/]+/)?(comparison\.json|report\.html|{FIGURES}/(roc|pro|comparison|overlap_[^/]+)\.png)"
    r"|table\.(csv|md|tex)|categories\.json",
    re.DOTALL,
)
"""Paths below a folder of results that an evaluation writes, and no run."""

NOTES = (
    "Values are exact. low and high hold 95 % of the values of resamples: images drawn with replacement, "
    "the same for all detectors, from counts at about a thousand thresholds joined by straight lines. Differences are "
    "of a detector less the first; boxes are top, left, bottom, right, half-open."
)
"""What is exact in ``comparison.json``, and what is on a grid of thresholds."""


def refuse_occupied(out: Path, reads: Sequence[Path], *, force: bool) -> None:
    """Refuse to write where something is read, where other things than earlier results lie, or that cannot be written.

    Raises
    ------
    OSError, ValueError
        If so.
    """
    for source in reads:
        if out in (source.resolve(), *source.resolve().parents):
            raise ValueError(f"{out}: is or holds what is read ({source}); choose another --out")
    if out.exists() and any(out.iterdir()):
        if foreign := _foreign(out):
            raise FileExistsError(
                f"{out}: not empty, and not only an earlier evaluation of maps ({foreign}); choose another --out"
            )
        if not force:
            raise FileExistsError(f"{out}: not empty; choose another --out, or overwrite with --force")
    out.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(out.parent, os.W_OK):
        raise PermissionError(f"{out.parent}: cannot be written")


def _foreign(out: Path) -> Path | None:
    """Return what an evaluation of maps did not write into a folder, below it; None if it wrote everything."""
    for entry in sorted(out.rglob("*")):
        path = entry.relative_to(out)
        if entry.is_symlink() or not (entry.is_dir() or _WRITTEN.fullmatch(path.as_posix())):
            return path
        if entry.name == "metrics.json":
            try:
                read_metrics(entry)
            except ValueError:
                return path
    return None if any(out.rglob("metrics.json")) else Path()


def write_results(
    partial: Path,
    names: Sequence[str],
    evaluations: Sequence[Evaluation],
    comparison: Comparison | None,
    *,
    paired: PairedMaps,
    report: bool,
    out: Path,
) -> tuple[dict[str, Any], ...]:
    """Write the results on one data set; return the content of each ``metrics.json``.

    Parameters
    ----------
    partial : Path
        Folder to write to, which becomes `out`.
    names, evaluations
        Of each detector; with a comparison, each has a folder of its name.
    comparison : Comparison or None
    paired : PairedMaps
        Images and maps.
    report : bool
        Whether a page of the images is written.
    out : Path
    """
    samples = paired.dataset.test
    metrics, curves = [], []
    for name, evaluation, reader in zip(names, evaluations, paired.readers, strict=True):
        folder = partial / name if comparison else partial
        folder.mkdir(exist_ok=True)
        metrics.append(write_scores(folder, evaluation, samples, more=reader.to_dict(len(samples))))
        curves.append(Curves(name, name, metrics[-1], evaluation.curves()))
    pictures = draw_curves(curves)
    if comparison:
        content = _comparison_content(comparison, samples)
        write_text(partial / "comparison.json", json.dumps(content, indent=1) + "\n")
        pictures.append(draw_comparison(comparison))
    (partial / FIGURES).mkdir()
    for picture in pictures:
        write_bytes(partial / FIGURES / f"{picture.name}.png", picture.png)
    if report:
        folders = [partial / name if comparison else partial for name in names]
        detectors = [
            Detector(name, paths, reader, evaluation, content, worst_regions(folder / "region_scores.csv"))
            for name, paths, reader, evaluation, content, folder in zip(
                names, paired.maps, paired.readers, evaluations, metrics, folders, strict=True
            )
        ]
        compared = [picture for picture in pictures if picture.name == "comparison"]
        html = evaluation_page(detectors, samples, comparison, root=paired.dataset.root, out=out, figures=compared)
        write_text(partial / "report.html", html)
    return tuple(metrics)


def _comparison_content(comparison: Comparison, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return ``comparison.json``: regions under the names of their images, and what is exact."""
    content = comparison.to_dict()
    for difference in content["differences"]:
        for region in difference["largest"]:
            sample = samples[region["image"]]
            region["image"] = f"{sample.defect}/{sample.name}"
    return {"notes": NOTES, **content}
