"""Draw ROC, PRO and overlap curves of one detector or several, and their metrics side by side with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.evaluation.comparison import Comparison
from ssimae.evaluation.metrics import METRICS
from ssimae.report.figures.drawing import GRAY, LINE_STYLES, Picture, new_axes, picture, plain, report_figure, unit_axes
from ssimae.report.format import quantile_name


@dataclass(frozen=True)
class Curves:
    """Curves of one detector, and how figures name them."""

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
    return [(detector, LINE_STYLES[number % len(LINE_STYLES)]) for number, detector in enumerate(detectors)]


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


def draw_comparison(comparison: Comparison) -> Picture:
    """Return the metrics of all detectors with their intervals, the first detector on top."""
    names = list(comparison.metrics[0])
    figure = report_figure(height=1.1 + 0.32 * len(comparison.names))
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        for row, metrics in enumerate(comparison.metrics):
            if name not in metrics:
                continue
            colour, interval = LINE_STYLES[row % len(LINE_STYLES)][0], metrics[name]
            panel.plot([interval.low, interval.high], [row, row], color=colour, linewidth=1.6)
            panel.plot([interval.value], [row], "o", color=colour, markersize=6)
        panel.axvline(comparison.metrics[0][name].value, color=GRAY, linewidth=0.8, linestyle=":")
        panel.set_xlabel(METRICS[name].title)
        panel.grid(color="#dddddd", linewidth=0.6, axis="x")
        panel.set_axisbelow(True)
        panel.locator_params(axis="x", nbins=4)
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)
        panel.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(comparison.names)), [plain(name) for name in comparison.names])
    panels[0].set_ylim(len(comparison.names) - 0.5, -0.5)
    caption = (
        "Dots are the exact metrics, lines hold 95 % of the values for images drawn again with replacement. Whether "
        "one detector is better is told by their paired differences, not by whether these lines meet."
    )
    return picture("comparison", "Detectors side by side", caption, figure)
