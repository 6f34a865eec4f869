"""Tell the gallery of the models of runs: their thresholds, their curves, and what they said of each image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import Sample
from ssimae.figures.curves import quantile_name
from ssimae.host import system
from ssimae.inspection.verdict import WHOLE
from ssimae.levels.rules import RegionRules
from ssimae.report.assessment import Assessment
from ssimae.report.gallery.content import Gallery, Row, Subject, build_gallery
from ssimae.report.gallery.levels import Levels, levels_around, levels_of_scores
from ssimae.report.gallery.pictures import Shown
from ssimae.report.gallery.planted import planted_content
from ssimae.storage.facts import PredictFacts
from ssimae.storage.predictions import StoredInspection
from ssimae.storage.records import ModelResults

_CURVE_POINTS = 600
"""Points of a curve in the page; ``curves.npz`` has more."""


def gallery_of_runs(
    models: Sequence[ModelResults], assessments: Sequence[list[Assessment]], *, out: Path, allow_collapsed: bool
) -> Gallery:
    """Return the gallery of one model's images, or of several models side by side.

    Parameters
    ----------
    models : sequence of ModelResults
        The first says which images there are where it has inspected any, and in which order.
    assessments : sequence of list of Assessment
        Those of each model, the worst first.
    out : Path
        Folder of the page; links to files in it are relative.
    allow_collapsed : bool
        Whether verdicts of a network that learned nothing count.
    """
    first = models[0]
    ranked: dict[tuple[str, str], StoredInspection] = {}
    rows: list[dict[tuple[str, str], Row]] = []
    for items in assessments:
        for item in items:
            ranked.setdefault(_key(item.inspection), item.inspection)
        rows.append({_key(item.inspection): _row(item.inspection) for item in items})
    subjects = [
        Subject(
            inspection.sample,
            (inspection.height, inspection.width),
            inspection.is_defective,
            inspection.has_truth,
            link_to(inspection.image, out),
            tuple(of_model.get(key) for of_model in rows),
        )
        for key, inspection in ranked.items()
    ]
    shown = [_shown(model) for model in models]
    about = [_about(model, of, allow_collapsed) for model, of in zip(models, shown, strict=True)]
    return build_gallery(
        subjects,
        shown,
        about,
        commands=_commands(first),
        channels=first.settings.channels,
        data_range=first.settings.data_range,
    )


def _commands(results: ModelResults) -> dict[str, str | None]:
    """Return the run as a word of a command, and how to inspect with it."""
    run = _run(results)
    return {
        "improve": system.command_line([run]),
        "inspect": system.command_line(["ssimae", "predict", run, "images/"]),
    }


def curves_content(metrics: Mapping[str, Any], curves: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Return the curves of ``curves.npz`` for the page, thinned."""
    names = [quantile_name(quantile) for quantile in curves["overlap_quantiles"]]
    values = curves["overlap_values"]
    return {
        "roc": _thinned(curves["roc_fpr"], curves["roc_tpr"]),
        "pro": _thinned(curves["pro_fpr"], curves["pro_pro"]),
        "overlap": {
            "rates": _thinned(curves["overlap_fpr"])[0],
            "lines": [[name, _thinned(line)[0]] for name, line in zip(names, values, strict=True)],
        },
        "auroc": f"{metrics['auroc']:.3f}",
        "auPro": f"{metrics['au_pro']:.3f}",
        "limit": metrics["fpr_limits"][0],
    }


def link_to(path: Path, out: Path) -> str:
    """Return a link to a file: relative where it lies in the page's folder, so that the folder can be moved."""
    absolute, base = Path(os.path.abspath(path)), Path(os.path.abspath(out))
    if absolute.is_relative_to(base):
        return quote(absolute.relative_to(base).as_posix())
    return absolute.as_uri()


def _run(results: ModelResults) -> str:
    """Return the run of a model as a command names it, or its file where that lies in none."""
    if not isinstance(results.facts, PredictFacts):
        return str(results.folder.root)
    model = results.facts.model
    return str(model.parent if (model.parent / "config.toml").exists() else model)


def _key(inspection: StoredInspection) -> tuple[str, str]:
    return inspection.defect, inspection.name


def _row(inspection: StoredInspection) -> Row:
    return Row(inspection.score, inspection.verdict, inspection.reason, WHOLE in inspection.reason)


def _shown(results: ModelResults) -> Shown:
    folder = results.folder
    # Not RunFolder.judged: where `calibrated/` was deleted, its thresholds say nothing about the residual.
    maps = folder.calibrated if results.calibrated else folder.residuals

    def map_of(sample: Sample) -> Path:
        return folder.map_path(maps, sample.defect, sample.name)

    def rebuilt_of(sample: Sample) -> Path:
        return folder.map_path(folder.reconstructions, sample.defect, sample.name)

    return Shown(
        title=results.title,
        map_name=results.map_name,
        levels=_levels(results),
        rules=RegionRules(1) if results.thresholds is None else results.thresholds.rules,
        colours=(0.0, colour_top(results)),
        map_of=map_of,
        rebuilt_of=rebuilt_of if results.settings.row.rebuilds else None,
        without_maps={row.sample for row in results.inspections if not results.keeps_maps(row)},
    )


def colour_top(results: ModelResults) -> float:
    """Return the value of the last colour in the maps of a model, the same for all images.

    It is the highest score, but at least the threshold `defective` and at most twice that, so that one glaring defect
    does not turn all others black.
    """
    highest = max((inspection.score for inspection in results.inspections), default=0.0)
    thresholds = results.thresholds
    top = highest if thresholds is None else min(max(highest, thresholds.defective), 2 * thresholds.defective)
    return top if top > 0 else 1.0


def _levels(results: ModelResults) -> Levels:
    scores = [inspection.score for inspection in results.inspections]
    if results.thresholds is None:
        return levels_of_scores(np.array([0.0, 1.0, *scores]))
    return levels_around(
        results.thresholds.review,
        results.thresholds.defective,
        max(scores, default=0.0),
        fine=results.thresholds.rules.plain,
    )


def _about(results: ModelResults, shown: Shown, allow_collapsed: bool) -> dict[str, Any]:
    thresholds = results.thresholds
    measured = results.metrics is not None and results.curves is not None
    return {
        "judged": thresholds is not None,
        "counted": results.alarm is None or allow_collapsed,
        "review": len(shown.levels.bounds) // 2 if thresholds is None else shown.levels.index(thresholds.review),
        "defective": None if thresholds is None else shown.levels.index(thresholds.defective),
        "usual": 1.0 if results.calibrated else None,
        "command": None if thresholds is None else system.command_line([_run(results)]),
        "rebuilds": shown.rebuilt_of is not None,
        "planted": planted_content(results, shown.levels),
        "curves": curves_content(results.metrics, results.curves) if measured else None,  # type: ignore[arg-type]
    }


def _thinned(*lines: NDArray[np.float64]) -> list[list[float]]:
    """Return the same few points of some lines, the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(lines[0]) - 1, _CURVE_POINTS).round().astype(int))
    return [[float(f"{value:.5g}") for value in line[chosen]] for line in lines]
