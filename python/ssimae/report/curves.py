"""ROC, PRO and overlap curves of one detector or several as PNG pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ssimae.report.wording import quantile_name

# Okabe and Ito's palette, told apart by colour-blind readers; lines differ in style too.
BLUE, VERMILION, GREEN, ORANGE, GRAY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#666666"
SKY, PURPLE = "#56B4E9", "#CC79A7"
_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_LINES: tuple[Any, ...] = ("-", "--", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)), ":")
# From the seventh on, the same colours in other lines.
STYLES = tuple((_COLOURS[n % 6], _LINES[(n + n // 6) % 6]) for n in range(36))
"""Colour and line of each detector; they repeat after 36."""

_SIZE_INCHES = (5.2, 3.7)
_DPI = 160


@dataclass(frozen=True)
class Picture:
    """One figure."""

    name: str
    """File name without suffix, unique in its folder."""
    title: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Curves:
    """What is drawn of one detector."""

    title: str
    """Name in the legend."""
    key: str
    """Name in file names."""
    metrics: Mapping[str, Any]
    """Content of ``metrics.json``."""
    curves: Mapping[str, NDArray[np.float64]]
    """Content of ``curves.npz``."""
    used: tuple[float, float] | None = None
    """False and true positive rate at the threshold used."""


def draw_curves(detectors: Sequence[Curves]) -> list[Picture]:
    """Return ROC and PRO of all detectors together, and the overlap of each."""
    return [
        _draw_roc(detectors),
        _draw_pro(detectors),
        *(_draw_overlap(detector, colour) for detector, (colour, _) in _styled(detectors)),
    ]


def _styled(detectors: Sequence[Curves]) -> list[tuple[Curves, tuple[str, Any]]]:
    return [(detector, STYLES[number % len(STYLES)]) for number, detector in enumerate(detectors)]


def _draw_roc(detectors: Sequence[Curves]) -> Picture:
    figure, axes = new_axes("False positive rate (good pixels)", "True positive rate (defective pixels)")
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8, linestyle=":", label="guessing")
    for detector, (colour, line) in _styled(detectors):
        curves = detector.curves
        label = f"{plain(detector.title)}, AUROC {detector.metrics['auroc']:.3f}"
        axes.plot(curves["roc_fpr"], curves["roc_tpr"], color=colour, linestyle=line, linewidth=1.6, label=label)
        if detector.used is not None:
            axes.plot(*([rate] for rate in detector.used), "o", color=colour, markersize=6, clip_on=False)
    unit_axes(axes)
    axes.legend(loc="lower right")
    caption = "Every level of the map as threshold, all pixels of all images together."
    if any(detector.used is not None for detector in detectors):
        caption += " The dot is the threshold used."
    return picture("roc", "ROC of pixels", caption, figure)


def _draw_pro(detectors: Sequence[Curves]) -> Picture:
    figure, axes = new_axes("False positive rate (good pixels)", "Mean covered share of the regions")
    limit = float(detectors[0].metrics["fpr_limits"][0])
    for detector, (colour, line) in _styled(detectors):
        rates, overlap = detector.curves["pro_fpr"], detector.curves["pro_pro"]
        label = f"{plain(detector.title)}, AU-PRO {detector.metrics['au_pro']:.3f}"
        axes.plot(rates, overlap, color=colour, linestyle=line, linewidth=1.6, label=label)
        inside = rates <= limit
        edge = np.append(rates[inside], limit), np.append(overlap[inside], np.interp(limit, rates, overlap))
        axes.fill_between(*edge, color=colour, alpha=0.12, linewidth=0)
    axes.axvline(limit, color=GRAY, linewidth=0.8, linestyle=":")
    unit_axes(axes)
    axes.legend(loc="lower right")
    caption = (
        f"Each defect region counts alike, however small. AU-PRO is the shaded area, up to a false positive rate of "
        f"{limit:g}, divided by that width."
    )
    return picture("pro", "Per-region overlap", caption, figure)


def _draw_overlap(detector: Curves, colour: str) -> Picture:
    curves = detector.curves
    rates, quantiles, values = curves["overlap_fpr"], curves["overlap_quantiles"], curves["overlap_values"]
    figure, axes = new_axes("False positive rate (good pixels)", "Covered share of a region")
    axes.fill_between(rates, values[0], values[-1], color=colour, alpha=0.12, linewidth=0)
    lines = (":", "-", "--", "-.")
    for number, (quantile, covered) in enumerate(zip(quantiles, values, strict=True)):
        line = lines[number % len(lines)]
        axes.plot(rates, covered, color=colour, linestyle=line, linewidth=1.6, label=quantile_name(quantile))
    unit_axes(axes)
    axes.legend(loc="lower right")
    caption = (
        "How much of a defect region is covered when the threshold lets through that share of good pixels: the 25 % "
        "quantile line says that a quarter of the regions is covered less than this (Bergmann et al. 2019, fig. 7)."
    )
    return picture(f"overlap_{detector.key}", f"Region overlap of {detector.title}", caption, figure)


def plain(name: str) -> str:
    """Return a name as matplotlib shows it letter by letter: no formula, and not hidden from legends."""
    text = name.replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text


def new_figure(*, height: float = _SIZE_INCHES[1]) -> Figure:
    """Return an empty figure of the report's width; its height is in inches."""
    figure = Figure(figsize=(_SIZE_INCHES[0], height), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def new_axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """Return an empty figure of the report's size and its axes."""
    figure = new_figure()
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def unit_axes(axes: Axes) -> None:
    """Let both axes run from 0 to 1."""
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)


def picture(name: str, title: str, caption: str, figure: Figure) -> Picture:
    """Return a figure as a picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Picture(name, title, caption, buffer.getvalue())
