"""Detectors beside each other as dots with their intervals."""

from __future__ import annotations

from ssimae.evaluation.comparison import Comparison
from ssimae.report.curves import GRAY, STYLES, Picture, new_figure, picture, plain
from ssimae.report.wording import METRIC_NAMES


def draw_comparison(comparison: Comparison) -> Picture:
    """Return the metrics of all detectors with their intervals, the first detector on top."""
    names = list(comparison.metrics[0])
    figure = new_figure(height=1.1 + 0.32 * len(comparison.names))
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        for row, metrics in enumerate(comparison.metrics):
            if name not in metrics:
                continue
            colour, found = STYLES[row % len(STYLES)][0], metrics[name]
            panel.plot([found.low, found.high], [row, row], color=colour, linewidth=1.6)
            panel.plot([found.value], [row], "o", color=colour, markersize=6)
        panel.axvline(comparison.metrics[0][name].value, color=GRAY, linewidth=0.8, linestyle=":")
        panel.set_xlabel(METRIC_NAMES[name])
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
