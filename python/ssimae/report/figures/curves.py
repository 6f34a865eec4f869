"""Draw ROC, PRO and overlap curves of one detector or several, and their metrics side by side with intervals."""

from __future__ import annotations

from collections.abc import Sequence

from ssimae.evaluation.comparison import Comparison
from ssimae.evaluation.metrics import METRICS
from ssimae.figures.curves import Curves, plot_overlap, plot_pro, plot_roc, styled
from ssimae.figures.drawing import GRAY, LINE_STYLES, Picture, picture, plain, report_figure


def draw_curves(detectors: Sequence[Curves]) -> list[Picture]:
    """Return ROC and PRO of all detectors together, and the overlap of each."""
    return [
        _draw_roc(detectors),
        _draw_pro(detectors),
        *(_draw_overlap(detector, colour) for detector, (colour, _) in styled(detectors)),
    ]


def _draw_roc(detectors: Sequence[Curves]) -> Picture:
    figure = report_figure()
    plot_roc(figure.add_subplot(), detectors)
    caption = "Every level of the map as threshold, all pixels of all images together."
    if any(detector.used is not None for detector in detectors):
        caption += " The dot is the threshold used."
    return picture("roc", "ROC of pixels", caption, figure)


def _draw_pro(detectors: Sequence[Curves]) -> Picture:
    figure = report_figure()
    plot_pro(figure.add_subplot(), detectors)
    caption = (
        f"Each defect region counts alike, however small. AU-PRO is the shaded area, up to a false positive rate of "
        f"{float(detectors[0].metrics['fpr_limits'][0]):g}, divided by that width."
    )
    return picture("pro", "Per-region overlap", caption, figure)


def _draw_overlap(detector: Curves, colour: str) -> Picture:
    figure = report_figure()
    plot_overlap(figure.add_subplot(), detector, colour)
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
