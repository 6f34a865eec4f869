"""Write the report of a run: one HTML page that opens anywhere, made from the run folder alone."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from ssimae.atomic import write_bytes, write_text
from ssimae.report.assessment import Assessment, assess, pooled
from ssimae.report.choices import ChoiceTable, choice_tables
from ssimae.report.detection import Detection, detections
from ssimae.report.figures.drawing import Picture
from ssimae.report.figures.previews import (
    LONG_ASPECT,
    MapScale,
    Preview,
    colour_bar,
    draw_previews,
    map_scale,
    png_uri,
)
from ssimae.report.figures.run import draw_figures
from ssimae.report.format import number, share
from ssimae.report.tables import (
    MetricRow,
    OverlapTable,
    PartTable,
    missing_metrics,
    overlap_tables,
    part_tables,
    report_rows,
)
from ssimae.report.verdicts import COLUMNS, Tally, headline, verdict_table
from ssimae.report.wording import (
    facts,
    threshold_sentences,
    training_sentence,
    truth_notes,
    warnings,
)
from ssimae.storage.predictions import StoredInspection
from ssimae.storage.records import ModelResults, read_results
from ssimae.storage.run_folder import RunFolder

SHOWN_AT_EACH_END = 30
"""With more than twice as many images, this many of the worst and of the best are shown as pictures."""

_PICTURE_BYTES = 17_000_000
"""All previews together, before base64 adds a third: the page stays below 25 MB."""

_PICTURE_LIMIT = 120_000
"""One preview, however few there are."""


@dataclass(frozen=True)
class Card:
    """One image as the page shows it."""

    anchor: str
    assessment: Assessment
    link: str
    previews: list[Preview]
    """Empty for an image that is only listed."""
    problems: list[str]
    stacked: bool
    """Whether the previews lie below each other, because the image is wide."""
    other: Assessment | None
    """The same image by the model of comparison."""


@dataclass(frozen=True)
class Page:
    """Everything the template shows, in the order of the page; a part of it that is empty is left out."""

    results: ModelResults
    """The model of the run."""
    models: list[ModelResults]
    """It, and the one it is compared with if there is one; so in all lists of one item for each model."""
    other_missing: str | None
    """Why the comparison that the run names is not there."""
    verdicts: list[str]
    tallies: list[list[Tally]]
    """Verdicts by kind of defect."""
    notes: list[str]
    warnings: list[tuple[bool, str]]
    """Whether it makes the results worthless, and the warning."""
    facts: list[tuple[str, str]]
    thresholds: list[list[str]]
    choices: list[ChoiceTable]
    """Settings that were compared on planted defects."""
    trainings: list[str]
    detections: list[Detection]
    """Of each model that defects were planted for."""
    missing_metrics: str | None
    metrics: list[MetricRow]
    overlaps: list[OverlapTable]
    parts: list[PartTable]
    figures: list[tuple[Picture, str]]
    """Each with its picture as a data URI."""
    scales: list[tuple[ModelResults, MapScale]]
    """Of each model that has inspected images."""
    cards: list[Card]
    """All inspected images, the worst first."""

    @property
    def has_masks(self) -> bool:
        """Whether some image has a ground-truth mask."""
        return any(inspection.masks for inspection in self.results.inspections)

    @property
    def has_reasons(self) -> bool:
        """Whether the verdict of some image has a reason."""
        return any(inspection.reason for inspection in self.results.inspections)

    @property
    def score_meaning(self) -> str:
        """What the score of an image is."""
        thresholds = self.results.thresholds
        if not self.results.calibrated or thresholds is None:
            return f"highest {self.results.map_name}"
        return (
            f"{self.results.map_name} that {thresholds.min_area} connected pixels reach: 1 is as usual; the image is "
            f"flagged above {thresholds.review:.4g}"
        )

    @property
    def by_quality(self) -> bool:
        """Whether images are in order of their overlap with the truth, not of their score."""
        return bool(self.cards) and all(card.assessment.counts is not None for card in self.cards)

    @property
    def faulty(self) -> list[Card]:
        """Images shown that were missed or flagged falsely."""
        return [card for card in self.cards if card.assessment.fault is not None and card.previews]

    @property
    def faultless(self) -> list[Card]:
        """The other images shown."""
        return [card for card in self.cards if card.assessment.fault is None and card.previews]

    @property
    def listed(self) -> int:
        """Number of images that are in the table only."""
        return sum(not card.previews for card in self.cards)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by name; with what was chosen, where that was left open."""
        chosen = self.results.chosen_treatment
        return {
            name: f"{value or 'not set'}; chosen: {number(chosen[name])}" if chosen.get(name, value) != value else value
            for name, value in dataclasses.asdict(self.results.settings).items()
        }

    @property
    def version(self) -> str:
        """Version of ssimae that inspected the images."""
        return self.results.facts.ssimae or "unknown"


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
    other, other_missing = _read_comparison(results)
    models = [results] if other is None else [results, other]
    assessments = [assess(model) for model in models]
    figures = draw_figures(models, [pooled(items) for items in assessments])
    found = detections(models)
    figure_folder = root / "figures"
    figure_folder.mkdir(exist_ok=True)
    for figure in [*figures, *(detection.figure for detection in found)]:
        write_bytes(figure_folder / f"{figure.name}.png", figure.png)
    scales = [map_scale(model) for model in models]
    page = Page(
        results=results,
        models=models,
        other_missing=other_missing,
        verdicts=[
            headline(model, items, allow_collapsed=allow_collapsed)
            for model, items in zip(models, assessments, strict=True)
        ],
        tallies=[verdict_table(items) for items in assessments],
        notes=truth_notes(results),
        warnings=warnings(models),
        facts=facts(results),
        thresholds=[threshold_sentences(model) for model in models],
        choices=choice_tables(models),
        trainings=[training_sentence(model) for model in models],
        detections=found,
        missing_metrics=missing_metrics(results),
        metrics=report_rows(models, assessments),
        overlaps=overlap_tables(models),
        parts=part_tables(models),
        figures=[(figure, png_uri(figure.png)) for figure in figures],
        scales=[(model, scale) for model, scale in zip(models, scales, strict=True) if model.inspections],
        cards=_cards(models, assessments, scales),
    )
    html = _environment().get_template("report.html.j2").render(page=page)
    write_text(folder.report, html)
    return folder.report


def _read_comparison(results: ModelResults) -> tuple[ModelResults | None, str | None]:
    """Return the model of comparison, or why there is none although the run names one."""
    if results.training is None or (system := results.training.compare) is None:
        return None, None
    nested = results.folder.comparison(system)
    if not nested.config.exists():
        return None, f"No comparison: the run names a second model ({system}), but {nested.root} holds no results."
    return read_results(nested, data=results.training.data), None


def _cards(
    models: Sequence[ModelResults], assessments: Sequence[list[Assessment]], scales: Sequence[MapScale]
) -> list[Card]:
    results, ranked = models[0], assessments[0]
    others = {_key(item.inspection): item for items in assessments[1:] for item in items}
    shown = min(len(ranked), 2 * SHOWN_AT_EACH_END)
    limit_bytes = min(_PICTURE_LIMIT, _PICTURE_BYTES // max(1, shown * (2 + 2 * len(models))))
    cards = []
    for index, item in enumerate(ranked):
        inspection = item.inspection
        other = others.get(_key(inspection))
        previews: list[Preview] = []
        problems: list[str] = []
        if len(ranked) <= 2 * SHOWN_AT_EACH_END or min(index, len(ranked) - 1 - index) < SHOWN_AT_EACH_END:
            comparison = None if other is None else (models[1], other.inspection, scales[1])
            previews, problems = draw_previews(
                results, inspection, scales[0], comparison=comparison, limit_bytes=limit_bytes
            )
        cards.append(
            Card(
                anchor=f"image-{index + 1}",
                assessment=item,
                link=_link(inspection.image, results.folder.root),
                previews=previews,
                problems=problems,
                stacked=inspection.width > LONG_ASPECT * inspection.height,
                other=other,
            )
        )
    return cards


def _key(inspection: StoredInspection) -> tuple[str, str]:
    return inspection.defect, inspection.name


def _link(path: Path, root: Path) -> str:
    """Return a link to a file: relative where it lies in the run folder, so that the folder can be moved."""
    absolute, base = Path(os.path.abspath(path)), Path(os.path.abspath(root))
    if absolute.is_relative_to(base):
        return quote(absolute.relative_to(base).as_posix())
    return absolute.as_uri()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ssimae.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = share
    environment.filters["number"] = number
    environment.globals["colour_bar"] = colour_bar
    environment.globals["png_uri"] = png_uri
    environment.globals["verdict_columns"] = COLUMNS
    return environment
