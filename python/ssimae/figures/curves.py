"""Plot ROC, PRO and overlap curves of one detector or several onto axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ssimae.figures.drawing import GRAY, LINE_STYLES, Drawing, labelled, plain, report_figure, unit_axes


@dataclass(frozen=True)
class Curves:
    """Curves of one detector, and how figures name them."""

    title: str
    """Name in the legend; may be empty."""
    key: str
    """Name in file names."""
    metrics: Mapping[str, Any]
    """Content of ``metrics.json``."""
    curves: Mapping[str, NDArray[np.float64]]
    """Content of ``curves.npz``."""
    used: tuple[float, float] | None = None
    """False and true positive rate at the threshold used."""


def styled(detectors: Sequence[Curves]) -> list[tuple[Curves, tuple[str, Any]]]:
    """Return each detector with its colour and line."""
    return [(detector, LINE_STYLES[number % len(LINE_STYLES)]) for number, detector in enumerate(detectors)]


def quantile_name(quantile: float) -> str:
    """Return a quantile in words."""
    return "median" if quantile == 0.5 else f"{100 * quantile:g} % quantile"


def plot_roc(axes: Axes, detectors: Sequence[Curves]) -> None:
    """Plot the ROC of pixels."""
    labelled(axes, "False positive rate (good pixels)", "True positive rate (defective pixels)")
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8, linestyle=":", label="guessing")
    for detector, (colour, line) in styled(detectors):
        curves = detector.curves
        label = _label(detector, f"AUROC {detector.metrics['auroc']:.3f}")
        axes.plot(curves["roc_fpr"], curves["roc_tpr"], color=colour, linestyle=line, linewidth=1.6, label=label)
        if detector.used is not None:
            axes.plot(*([rate] for rate in detector.used), "o", color=colour, markersize=6, clip_on=False)
    unit_axes(axes)
    axes.legend(loc="lower right")


def plot_pro(axes: Axes, detectors: Sequence[Curves]) -> None:
    """Plot the mean covered share of the regions over the false positive rate, shaded up to the first limit."""
    labelled(axes, "False positive rate (good pixels)", "Mean covered share of the regions")
    limit = float(detectors[0].metrics["fpr_limits"][0])
    for detector, (colour, line) in styled(detectors):
        rates, overlap = detector.curves["pro_fpr"], detector.curves["pro_pro"]
        label = _label(detector, f"AU-PRO {detector.metrics['au_pro']:.3f}")
        axes.plot(rates, overlap, color=colour, linestyle=line, linewidth=1.6, label=label)
        inside = rates <= limit
        edge = np.append(rates[inside], limit), np.append(overlap[inside], np.interp(limit, rates, overlap))
        axes.fill_between(*edge, color=colour, alpha=0.12, linewidth=0)
    axes.axvline(limit, color=GRAY, linewidth=0.8, linestyle=":")
    unit_axes(axes)
    axes.legend(loc="lower right")


def plot_overlap(axes: Axes, detector: Curves, colour: str) -> None:
    """Plot quantiles of the regions' covered share over the false positive rate."""
    labelled(axes, "False positive rate (good pixels)", "Covered share of a region")
    curves = detector.curves
    rates, quantiles, values = curves["overlap_fpr"], curves["overlap_quantiles"], curves["overlap_values"]
    axes.fill_between(rates, values[0], values[-1], color=colour, alpha=0.12, linewidth=0)
    lines = (":", "-", "--", "-.")
    for number, (quantile, covered) in enumerate(zip(quantiles, values, strict=True)):
        line = lines[number % len(lines)]
        axes.plot(rates, covered, color=colour, linestyle=line, linewidth=1.6, label=quantile_name(quantile))
    unit_axes(axes)
    axes.legend(loc="lower right")


def plot_all(detector: Curves) -> Drawing:
    """Return a figure with the three curves of one detector side by side."""
    figure = report_figure(width=13.5, height=4.0, dpi=100)
    panels = figure.subplots(1, 3)
    plot_roc(panels[0], [detector])
    plot_pro(panels[1], [detector])
    plot_overlap(panels[2], detector, LINE_STYLES[0][0])
    for panel, title in zip(panels, ("ROC of pixels", "Per-region overlap", "Region overlap"), strict=True):
        panel.set_title(title)
    return figure


def _label(detector: Curves, figure: str) -> str:
    return f"{plain(detector.title)}, {figure}" if detector.title else figure
