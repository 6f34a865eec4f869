"""Tell and draw which defects a model finds, by the planted ones it found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ssimae.figures.drawing import GRAY, LINE_STYLES, Picture, labelled, picture, report_figure
from ssimae.pod.curve import PodCurve
from ssimae.pod.table import CONTRASTS, DetectionTable
from ssimae.report.format import plural
from ssimae.storage.records import ModelResults

_TICK_GAP = 0.035
"""Height between the ticks of two groups, in parts of the axis."""


@dataclass(frozen=True)
class Detection:
    """What the page shows of one model's planted defects."""

    title: str
    """Name of the model."""
    sentences: list[str]
    """One for each contrast, and one for all."""
    source: str
    """What was planted, and the method, in a few sentences."""
    figure: Picture
    number: int
    """Of the model, among those of the page."""


def detections(models: Sequence[ModelResults]) -> list[Detection]:
    """Return what is to be shown of each model that defects were planted for."""
    return [
        Detection(
            title=model.title,
            sentences=detection_sentences(model.detection),
            source=_source(model.detection),
            figure=draw_detection(model.detection, model.title, f"detection_{model.settings.system}"),
            number=number,
        )
        for number, model in enumerate(models)
        if model.detection is not None and model.detection.everything.planted
    ]


def detection_sentences(table: DetectionTable) -> list[str]:
    """Return from which size on defects of each contrast are found, and all of them together."""
    sentences = []
    for name, curve in table.groups.items():
        limits = contrast_range(name)
        sentences.append(
            _sentence(
                curve,
                f"A defect of {name} contrast ({limits} of the gray range)",
                f"{name.capitalize()} contrast ({limits} of the gray range)",
                table.pixel_size_mm,
            )
        )
    everything = _sentence(table.everything, "A planted defect of any contrast", "All together", table.pixel_size_mm)
    return [*sentences, everything]


def contrast_range(name: str) -> str:
    """Return the limits of a group of contrasts in percent, in words."""
    low, high = (100 * limit for limit in CONTRASTS[name])
    if low == 0:
        return f"below {high:g} %"
    return f"{low:g} % or more" if high == math.inf else f"{low:g} to {high:g} %"


def size_text(size_px: float, pixel_size_mm: float | None) -> str:
    """Return a size in pixels, and in millimetres where a pixel has a size."""
    pixels = f"{size_px:.1f} px" if size_px < 9.95 else f"{size_px:.0f} px"
    return pixels if pixel_size_mm is None else f"{pixels} ({f'{size_px * pixel_size_mm:#.2g}'.rstrip('.')} mm)"


def _sentence(curve: PodCurve, defect: str, label: str, pixel_size_mm: float | None) -> str:
    """Return the sentence of one curve; `defect` begins it where a90 is known, `label` where not."""
    sure = None if curve.a90_95 is None else size_text(curve.a90_95, pixel_size_mm)
    if curve.a90 is not None:
        text = f"{defect} is found 9 times in 10 from {size_text(curve.a90, pixel_size_mm)} on"
        return f"{text}. {curve.missing['a90_95']}" if sure is None else f"{text}, at 95 % confidence from {sure} on."
    reason = curve.missing["a90"]
    text = f"{label}: {reason[:1].lower()}{reason[1:]}"
    if sure is not None:
        return f"{text} At 95 % confidence, 9 in 10 are found from {sure} on."
    return text if curve.missing["a90_95"] == reason else f"{text} {curve.missing['a90_95']}"


def _source(table: DetectionTable) -> str:
    text = (
        f"{plural(table.everything.planted, 'defect')} planted in good images. Size is the diameter of a disk of the "
        "same area, contrast the mean change of the gray value. Real defects that look otherwise may be found sooner "
        "or later than these. Method: MIL-HDBK-1823A, hit/miss data"
    )
    if any(curve.penalised for curve in (table.everything, *table.groups.values())):
        text += "; with Firth's penalty where a size parts the found from the missed"
    return f"{text}."


def draw_detection(table: DetectionTable, title: str, name: str) -> Picture:
    """Return the probability of detection over size for each contrast, and every planted defect as a tick.

    Parameters
    ----------
    table : DetectionTable
        The curves. Where no group has one, the curve of all is drawn.
    title : str
        Name of the model.
    name : str
        File name of the figure, without suffix.
    """
    figure = report_figure()
    plot_detection(figure.add_subplot(), table)
    figure.legend(loc="outside upper left", fontsize="small", frameon=False)
    caption = (
        "Lines are the share of defects found by their size, shaded down to the lower bound at 95 % confidence. Dots: "
        "a90/95, where that bound crosses 90 %. Ticks: planted defects, found above and missed below."
    )
    return picture(name, f"Probability of detection of {title}", caption, figure)


def plot_detection(axes: Axes, table: DetectionTable) -> None:
    """Plot the probability of detection over size for each contrast, and every planted defect as a tick."""
    labelled(axes, "Size of the defect in pixels", "Probability of detection")
    axes.set_xscale("log")
    axes.axhline(0.9, color=GRAY, linewidth=0.8, linestyle=":")
    planted = {group: curve for group, curve in table.groups.items() if curve.planted}
    for row, (group, curve) in enumerate(planted.items()):
        colour, line = LINE_STYLES[list(CONTRASTS).index(group)]
        low, high = CONTRASTS[group]
        inside = (table.defects.contrast >= low) & (table.defects.contrast < high)
        sizes, hit = table.defects.size_px[inside], table.defects.hit[inside]
        for chosen, height in ((sizes[hit], 1.03 + row * _TICK_GAP), (sizes[~hit], -0.03 - row * _TICK_GAP)):
            if len(chosen):  # an empty line would lie at the figure's corner, and the layout would make room for it
                axes.plot(
                    chosen, [height] * len(chosen), "|", color=colour, markersize=5, markeredgewidth=0.7, clip_on=False
                )
        label = f"{group} ({contrast_range(group)}): {curve.found} of {curve.planted} found"
        _draw_curve(axes, curve, colour, line, label)
    if table.everything.sizes_px and not any(curve.sizes_px for curve in planted.values()):
        _draw_curve(axes, table.everything, GRAY, "-", "all together")
    axes.set_ylim(-0.05 - len(planted) * _TICK_GAP, 1.05 + len(planted) * _TICK_GAP)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 0.9, 1])
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if table.pixel_size_mm is not None:
        _add_millimetres(axes, table.pixel_size_mm)


def _draw_curve(axes: Axes, curve: PodCurve, colour: str, line: object, label: str) -> None:
    axes.plot(curve.sizes_px, curve.pod, color=colour, linestyle=line, linewidth=1.6, label=label)
    axes.fill_between(curve.sizes_px, curve.lower, curve.pod, color=colour, alpha=0.12, linewidth=0)
    if curve.a90_95 is not None:
        axes.plot([curve.a90_95], [0.9], "o", color=colour, markersize=6)


def _add_millimetres(axes: Axes, pixel_size_mm: float) -> None:
    top = axes.secondary_xaxis(
        "top", functions=(lambda size: np.multiply(size, pixel_size_mm), lambda size: np.divide(size, pixel_size_mm))
    )
    top.set_xlabel("in millimetres")
    top.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    top.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))
    top.xaxis.set_minor_formatter(NullFormatter())
