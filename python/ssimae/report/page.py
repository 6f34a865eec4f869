"""Write the report of a run, or of several side by side, from their folders alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssimae.atomic import write_bytes, write_text
from ssimae.report.assessment import Assessment, assess, pooled
from ssimae.report.choices import choice_tables
from ssimae.report.detection import detections
from ssimae.report.figures.run import draw_figures
from ssimae.report.format import as_fraction, number
from ssimae.report.gallery.runs import gallery_of_runs
from ssimae.report.gallery.worst import worst_regions
from ssimae.report.html import Page, render
from ssimae.report.tables import missing_metrics, overlap_tables, part_tables, report_rows
from ssimae.report.verdicts import headline, verdict_table
from ssimae.report.wording import facts, threshold_sentences, training_sentence, truth_notes, warnings
from ssimae.storage.records import ModelResults, read_results
from ssimae.storage.run_folder import RunFolder

SIDE_BY_SIDE = "runs side by side"
"""What such a page is called."""

LIVE_FIGURES = ("roc", "pro", "overlap", "scores")
"""Figures that the page draws itself, and moves with the thresholds; files of them lie in ``figures/``."""


def write_report(root: Path, *, allow_collapsed: bool = False) -> Path:
    """Write ``report.html`` and ``figures/*.png`` of a run folder and return the page's path.

    Neither the model nor the training images are needed; what is missing, the page says. The same folder gives the
    same bytes. Of a network that learned nothing no verdicts are counted unless `allow_collapsed`.

    Raises
    ------
    OSError
        If `root` is not a run folder or cannot be written.
    ValueError
        If a file in it is damaged.
    """
    folder = RunFolder(root)
    results = read_results(folder)
    other, missing = _read_comparison(results)
    models = [results] if other is None else [results, other]
    notes = [(False, missing)] if missing else []
    page = _page(models, "report", root, allow_collapsed=allow_collapsed, more=notes, figures=root / "figures")
    write_text(folder.report, render(page))
    return folder.report


def write_side_by_side(roots: Sequence[Path], out: Path, *, allow_collapsed: bool = False) -> Path:
    """Write a page of several runs side by side, and return its path.

    Parameters
    ----------
    roots : sequence of Path
        Run folders, at least two. Images are the same where kind and name are.
    out : Path
        File of the page.
    allow_collapsed : bool

    Raises
    ------
    OSError, ValueError
        As :func:`write_report`, if two runs have no image in common, or if `out` is something else than such a page.
    """
    if out.exists() and not (out.is_file() and SIDE_BY_SIDE.encode() in out.read_bytes()[:2000]):
        raise FileExistsError(f"{out}: exists, and is no page of runs side by side; choose another --out")
    names = _names(roots)
    models = [
        dataclasses.replace(read_results(RunFolder(root)), name=name) for root, name in zip(roots, names, strict=True)
    ]
    keys = [{(item.defect, item.name) for item in model.inspections} for model in models]
    for root, of_model in zip(roots[1:], keys[1:], strict=True):
        if not keys[0] & of_model:
            raise ValueError(f"{root}: has no inspected image in common with {roots[0]}")
    out.parent.mkdir(parents=True, exist_ok=True)
    page = _page(models, SIDE_BY_SIDE, out.parent, allow_collapsed=allow_collapsed, more=[], figures=None)
    write_text(out, render(page))
    return out


def _page(
    models: Sequence[ModelResults],
    kind: str,
    out: Path,
    *,
    allow_collapsed: bool,
    more: list[tuple[bool, str]],
    figures: Path | None,
) -> Page:
    """Return the page of some models; their figures are written into a folder, if there is one."""
    results = models[0]
    assessments = [assess(model) for model in models]
    drawn = draw_figures(models, [pooled(items) for items in assessments])
    found = detections(models)
    if figures is not None:
        figures.mkdir(exist_ok=True)
        for figure in [*drawn, *(detection.figure for detection in found)]:
            write_bytes(figures / f"{figure.name}.png", figure.png)
    order = _order(assessments)
    lists = [worst_regions(model.folder.root / "region_scores.csv") for model in models]
    separate = kind != "report"
    return Page(
        heading=results.heading if len({model.heading for model in models}) == 1 else "Runs side by side",
        kind=kind if results.training is not None else "prediction",
        models=[model.title for model in models],
        warnings=warnings(models) + more,
        verdicts=[
            headline(model, items, allow_collapsed=allow_collapsed)
            for model, items in zip(models, assessments, strict=True)
        ],
        tallies=[verdict_table(items) for items in assessments],
        notes=truth_notes(results),
        gallery=gallery_of_runs(models, assessments, out=out, allow_collapsed=allow_collapsed),
        images=len(order),
        map_note=_map_note(models),
        facts=[(model.title, facts(model)) for model in models]
        if separate
        else [("", facts(results) + [_beside(model) for model in models[1:]])],
        thresholds=[threshold_sentences(model) for model in models],
        choices=choice_tables(models),
        detections=found,
        missing_metrics=missing_metrics(results),
        metrics=report_rows(models, assessments),
        overlaps=overlap_tables(models),
        parts=part_tables(models),
        regions=[
            (model.title, [(region, order.get((region.defect, region.name))) for region in regions])
            for model, regions in zip(models, lists, strict=True)
            if regions
        ],
        has_curves=any(model.metrics is not None and model.curves is not None for model in models),
        figures=[figure for figure in drawn if not figure.name.startswith(LIVE_FIGURES)],
        settings=[(model.title, _settings(model)) for model in (models if separate else models[:1])],
        version=results.facts.ssimae or "unknown",
    )


def _read_comparison(results: ModelResults) -> tuple[ModelResults | None, str | None]:
    """Return the model of comparison, or why there is none although the run names one."""
    if results.training is None or (system := results.training.compare) is None:
        return None, None
    nested = results.folder.comparison(system)
    if not nested.config.exists():
        return None, f"No comparison: the run names a second model ({system}), but {nested.root} holds no results."
    return read_results(nested, data=results.training.data), None


def _order(assessments: Sequence[list[Assessment]]) -> dict[tuple[str, str], int]:
    """Return the number of each image in the gallery, by its kind and name."""
    order: dict[tuple[str, str], int] = {}
    for items in assessments:
        for item in items:
            order.setdefault((item.inspection.defect, item.inspection.name), len(order))
    return order


def _names(roots: Sequence[Path]) -> list[str]:
    """Return short names of folders, told apart by as many of their last parts as it takes."""
    parts = [root.resolve().parts for root in roots]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"{roots[0]}: given twice")


def _beside(model: ModelResults) -> tuple[str, str]:
    return model.title, f"trained beside it on the same images: {training_sentence(model)}"


def _map_note(models: Sequence[ModelResults]) -> str:
    """Return what maps and scores mean, in sentences."""
    results = models[0]
    thresholds = results.thresholds
    joined = ", residual and head together" if results.judges_by_head else ""
    text = f"The {results.map_name}{joined} has the same colours in all images"
    text += ": 1 is as usual at such a place of this surface." if results.calibrated else "."
    if results.calibrated and thresholds is not None:
        text += (
            f" The score of an image is the value that {thresholds.min_area} connected pixels reach: above `review`, "
            "it is flagged. It is defective where the highest value of a region exceeds `defective`, at any score."
        )
    else:
        text += f" The score of an image is its highest {results.map_name}."
    return text


def _settings(results: ModelResults) -> dict[str, Any]:
    """Return all settings by name; with what was chosen, where that was left open."""
    chosen = results.chosen_treatment
    settings = dataclasses.asdict(results.settings)
    if results.settings.false_calls is not None:
        settings["false_calls"] = as_fraction(results.settings.false_calls)
    return {
        name: f"{value or 'not set'}; chosen: {number(chosen[name])}" if chosen.get(name, value) != value else value
        for name, value in settings.items()
    }
