"""Make the page of an evaluation: maps of any detectors beside the truth, their curves, tables and worst regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import GOOD, Sample
from ssimae.evaluation.comparison import Comparison
from ssimae.evaluation.metrics import METRICS
from ssimae.evaluation.result import Evaluation
from ssimae.figures.drawing import Picture
from ssimae.images.read import image_size
from ssimae.levels.rules import RegionRules
from ssimae.report.gallery.content import Row, Subject, build_gallery
from ssimae.report.gallery.levels import Levels, levels_of_scores
from ssimae.report.gallery.pictures import Shown
from ssimae.report.gallery.runs import curves_content, link_to
from ssimae.report.gallery.worst import WorstRegion
from ssimae.report.html import Page, render
from ssimae.report.tables import metric_rows, overlap_tables, part_tables

_PROBED_MAPS, _PROBED_PIXELS = 64, 20_000
"""Maps, and pixels of each, that the places of the slider rest on."""


@dataclass(frozen=True)
class Detector:
    """One detector's stored maps and what came of them."""

    title: str
    maps: Sequence[Path]
    """Of each image."""
    read: Callable[[Path], NDArray[Any]]
    """Returns a stored map at the size of its image."""
    evaluation: Evaluation
    metrics: dict[str, Any]
    """Content of ``metrics.json``."""
    worst: list[WorstRegion]


def evaluation_page(
    detectors: Sequence[Detector],
    samples: Sequence[Sample],
    comparison: Comparison | None,
    *,
    root: Path,
    out: Path,
    figures: list[Picture],
) -> str:
    """Return the page of an evaluation as HTML.

    Parameters
    ----------
    detectors : sequence of Detector
    samples : sequence of Sample
        The images that they were evaluated on.
    comparison : Comparison or None
        Of the others with the first.
    root : Path
        Folder of the data.
    out : Path
        Folder of the page.
    figures : list of Picture
        Shown beside the comparison.
    """
    order = _worst_first(detectors[0].evaluation, samples)
    ranked = [samples[index] for index in order]
    numbers = {(sample.defect, sample.name): number for number, sample in enumerate(ranked)}
    shown = [_shown(detector, samples) for detector in detectors]
    subjects = [
        Subject(
            sample,
            image_size(sample.path),
            sample.defect != GOOD,
            True,
            link_to(sample.path, out),
            tuple(_row(detector.evaluation, index) for detector in detectors),
        )
        for index, sample in zip(order, ranked, strict=True)
    ]
    about = [
        {
            "judged": False,
            "counted": True,
            "review": of.levels.index(_start(detector.evaluation)),
            "defective": None,
            "usual": None,
            "command": None,
            "rebuilds": False,
            "curves": curves_content(detector.metrics, detector.evaluation.curves()),
        }
        for detector, of in zip(detectors, shown, strict=True)
    ]
    metrics = [detector.metrics for detector in detectors]
    page = Page(
        heading=root.resolve().name,
        kind="evaluation",
        models=[detector.title for detector in detectors],
        verdicts=[_headline(detector) for detector in detectors],
        notes=_about_starts(detectors),
        gallery=build_gallery(subjects, shown, about, commands={"improve": None, "inspect": None}),
        images=len(samples),
        map_note="Maps have the same colours in all images. Images come by the region that the first detector finds "
        "worst.",
        facts=[
            ("", [("Data", str(root.resolve())), *((detector.title, str(_folder(detector))) for detector in detectors)])
        ],
        metrics=metric_rows(metrics, digits=3),
        overlaps=overlap_tables(detectors),
        parts=part_tables(detectors),
        regions=[
            (detector.title, [(region, numbers.get((region.defect, region.name))) for region in detector.worst])
            for detector in detectors
        ],
        differences=[] if comparison is None else _differences(comparison),
        has_curves=True,
        figures=figures,
        version=version("ssimae"),
    )
    return render(page)


def _start(evaluation: Evaluation) -> float:
    """Return the level above which pixels are marked at first: just below the lowest score that is marked."""
    decisions = evaluation.decisions
    lowest = evaluation.best_f1_threshold if decisions is None else decisions.threshold
    return float(np.nextafter(np.float32(lowest), np.float32(-np.inf)))


def _about_starts(detectors: Sequence[Detector]) -> list[str]:
    """Return where the sliders start, and whether the truth chose that."""
    chosen = [detector.title for detector in detectors if detector.evaluation.decisions is None]
    lines = []
    if len(chosen) < len(detectors):
        lines.append(
            "The threshold starts at the detector's own. Regions of any size count here; a run leaves out small ones."
        )
    if chosen:
        of = "" if len(chosen) == len(detectors) else f" of {', '.join(chosen)}"
        known = "which the truth chose; a detector would not know it"
        lines.append(f"The threshold{of} starts at the best F1 of the pixels, {known}.")
    return lines


def _worst_first(evaluation: Evaluation, samples: Sequence[Sample]) -> list[int]:
    """Return the images by their worst region, then the good ones by their score, the highest first."""
    regions = evaluation.regions
    worst = np.full(len(samples), np.inf)
    np.minimum.at(worst, regions.image, regions.aupro[:, 0])
    order: list[int] = np.lexsort((-np.nan_to_num(evaluation.images.score), worst)).tolist()
    return order


def _shown(detector: Detector, samples: Sequence[Sample]) -> Shown:
    paths = {(sample.defect, sample.name): path for sample, path in zip(samples, detector.maps, strict=True)}
    levels, colours = _scales(detector)
    return Shown(
        title=detector.title,
        map_name="anomaly map",
        levels=levels,
        rules=RegionRules(1),
        colours=colours,
        map_of=lambda sample: paths[sample.defect, sample.name],
        rebuilt_of=None,
        read=detector.read,
    )


def _scales(detector: Detector) -> tuple[Levels, tuple[float, float]]:
    """Return the places of the slider, and the values of the first colour and the last: from pixels of some maps."""
    drawn = []
    step = max(1, len(detector.maps) // _PROBED_MAPS)
    for path in detector.maps[::step]:
        scores = detector.read(path).ravel()
        drawn.append(scores[:: max(1, scores.size // _PROBED_PIXELS)].astype(np.float64))
    scores = np.concatenate([*drawn, detector.evaluation.images.score])
    scores = scores[np.isfinite(scores)]
    low, high = float(np.quantile(scores, 0.02)), float(scores.max())
    levels = levels_of_scores(scores, (_start(detector.evaluation),))
    return levels, (low, high if high > low else low + 1)


def _row(evaluation: Evaluation, index: int) -> Row | None:
    score = float(evaluation.images.score[index])
    return Row(score, None) if np.isfinite(score) else None


def _headline(detector: Detector) -> str:
    limit = detector.metrics["fpr_limits"][0]
    image = detector.metrics["image_auroc"]
    return (
        f"AU-PRO {limit:g}: {detector.metrics['au_pro']:.3f}, pixel AUROC {detector.metrics['auroc']:.3f}"
        f"{'' if image is None else f', image AUROC {image:.3f}'}, on {detector.metrics['n_images']} images."
    )


def _folder(detector: Detector) -> Path:
    """Return the folder that all maps of a detector lie in."""
    folder = detector.maps[0].resolve().parent
    while not all(path.resolve().is_relative_to(folder) for path in detector.maps):
        folder = folder.parent
    return folder


def _differences(comparison: Comparison) -> list[tuple[str, list[tuple[str, Any]]]]:
    return [
        (
            difference.name,
            [
                *((METRICS[name].title, interval) for name, interval in difference.metrics.items()),
                (f"Mean overlap at FPR {100 * comparison.overlap_fpr:g} %", difference.mean_overlap),
            ],
        )
        for difference in comparison.differences
    ]
