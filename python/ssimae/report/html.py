"""Hold what a page shows, and turn it into one HTML file that opens anywhere."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ssimae.evaluation.resampling import Interval
from ssimae.figures.drawing import Picture
from ssimae.report.choices import ChoiceTable
from ssimae.report.detection import Detection
from ssimae.report.format import number
from ssimae.report.gallery.content import Gallery
from ssimae.report.gallery.worst import WorstRegion
from ssimae.report.tables import MetricRow, OverlapTable, PartTable
from ssimae.report.verdicts import COLUMNS, Tally

SCRIPTS = (
    "content", "verdicts", "pictures", "ticks", "gallery", "threshold", "mask", "viewer", "charts", "planted", "main",
)  # fmt: skip
"""The page's script in the order of its parts, which share one scope."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything the template shows, in the order of the page; a part of it that is empty is left out."""

    heading: str
    kind: str
    """What the page is: report, prediction, evaluation, comparison."""
    models: list[str]
    """Titles of the models, or detectors; so in all lists of one item for each model."""
    warnings: list[tuple[bool, str]] = field(default_factory=list)
    """Whether it makes the results worthless, and the warning."""
    verdicts: list[str] = field(default_factory=list)
    tallies: list[list[Tally]] = field(default_factory=list)
    """Verdicts by kind of defect."""
    notes: list[str] = field(default_factory=list)
    gallery: Gallery
    images: int
    map_note: str = ""
    """What maps and scores mean, in sentences."""
    facts: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    """Of each run: its name, labels and texts."""
    thresholds: list[list[str]] = field(default_factory=list)
    choices: list[ChoiceTable] = field(default_factory=list)
    """Settings that were compared on planted defects."""
    detections: list[Detection] = field(default_factory=list)
    """Of each model that defects were planted for."""
    missing_metrics: str | None = None
    metrics: list[MetricRow] = field(default_factory=list)
    overlaps: list[OverlapTable] = field(default_factory=list)
    parts: list[PartTable] = field(default_factory=list)
    regions: list[tuple[str, list[tuple[WorstRegion, int | None]]]] = field(default_factory=list)
    """Regions that are found worst, by detector, each with the number of its image in the gallery."""
    differences: list[tuple[str, list[tuple[str, Interval]]]] = field(default_factory=list)
    """Of each detector but the first: its name, and the differences of its metrics from those of the first."""
    has_curves: bool = False
    figures: list[Picture] = field(default_factory=list)
    settings: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Of each run: its name, and all settings."""
    version: str
    """Version of ssimae that inspected the images."""


def render(page: Page) -> str:
    """Return the HTML of a page. It loads nothing from elsewhere, and no browser lets it: its policy says so."""
    environment = Environment(
        loader=PackageLoader("ssimae.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.globals["png_uri"] = _png_uri
    assets = resources.files("ssimae.report") / "assets"
    script = "\n" + "\n".join((assets / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        page=page,
        script=Markup(script),
        digest=digest,
        verdict_columns=COLUMNS,
    )


def _png_uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
