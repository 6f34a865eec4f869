"""Curves of a run as PNG pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

from ssimae.assessment import PixelCounts
from ssimae.layouts import GOOD, UNLABELLED
from ssimae.records import TRAINING, ModelResults
from ssimae.wording import quantile_name

# Okabe and Ito's palette, told apart by colour-blind readers; lines differ in style too.
_BLUE, _VERMILION, _GREEN, _ORANGE, _GRAY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#666666"
_MODEL_STYLES = ((_BLUE, "-"), (_VERMILION, "--"))
_SIZE_INCHES = (5.2, 3.7)
_DPI = 160


@dataclass(frozen=True)
class Picture:
    """One figure of the report."""

    name: str
    """File name without suffix, unique in the report."""
    title: str
    caption: str
    png: bytes


def draw_figures(models: Sequence[ModelResults], counts: Sequence[PixelCounts | None]) -> list[Picture]:
    """Return every figure the results allow for, models side by side.

    Parameters
    ----------
    models : sequence of ModelResults
        The model of the run, and the one it is compared with if there is one.
    counts : sequence of PixelCounts or None
        Pixels of each model's segmentation over all images; a dot in the ROC.
    """
    pictures = [_draw_training(model) for model in models if model.log]
    with_curves = [
        (model, count, style)
        for model, count, style in zip(models, counts, _MODEL_STYLES, strict=False)
        if model.curves is not None and model.metrics is not None
    ]
    if with_curves:
        pictures.append(_draw_roc(with_curves))
        pictures.append(_draw_pro(with_curves))
        pictures += [_draw_overlap(model, style[0]) for model, _, style in with_curves]
    pictures += [_draw_scores(model) for model in models if model.inspections or model.thresholds is not None]
    return pictures


def _draw_training(model: ModelResults) -> Picture:
    patches = [line["patches"] for line in model.log]
    losses = np.array([line["loss"] for line in model.log])
    figure, axes = _axes("Patches seen", f"Loss ({model.settings.loss})")
    rates = axes.twinx()
    rates.plot(patches, [line["lr"] for line in model.log], color=_GRAY, linewidth=0.8, alpha=0.7)
    rates.set_ylabel("Learning rate (thin line)", color=_GRAY)
    rates.tick_params(colors=_GRAY)
    rates.set_ylim(bottom=0)
    rates.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    rates.spines["top"].set_visible(False)
    axes.plot(patches, losses, color=_BLUE, linewidth=1.6, label="training loss")
    top = float(np.percentile(losses, 98))
    plateau = model.facts.get("plateau")
    if plateau is not None:
        axes.axhline(float(plateau), color=_VERMILION, linestyle="--", linewidth=1.2, label="constant output")
        top = max(top, float(plateau))
    axes.set_ylim(0, 1.08 * top if top > 0 else 1)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    # The loss lies above the learning rate's axis, which is drawn last.
    axes.set_zorder(rates.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.legend(loc="lower left")
    caption = (
        "Mean loss of the patches seen since the point before. A network that stays near the dashed line rebuilds each "
        "patch as its own mean and has learned nothing."
    )
    return _picture(f"training_{model.settings.loss}", f"Training of {model.title}", caption, figure)


def _draw_roc(models: Sequence[tuple[ModelResults, PixelCounts | None, tuple[str, str]]]) -> Picture:
    figure, axes = _axes("False positive rate (good pixels)", "True positive rate (defective pixels)")
    axes.plot([0, 1], [0, 1], color=_GRAY, linewidth=0.8, linestyle=":", label="guessing")
    for model, count, (colour, line) in models:
        curves, metrics = model.curves or {}, model.metrics or {}
        label = f"{model.title}, AUROC {metrics['auroc']:.3f}"
        axes.plot(curves["roc_fpr"], curves["roc_tpr"], color=colour, linestyle=line, linewidth=1.6, label=label)
        if count is not None and count.covered is not None and count.false_share is not None:
            axes.plot([count.false_share], [count.covered], "o", color=colour, markersize=6, clip_on=False)
    _unit_axes(axes)
    axes.legend(loc="lower right")
    caption = (
        "Every level of the residual as threshold, all pixels of all images together. The dot is the threshold used."
    )
    return _picture("roc", "ROC of pixels", caption, figure)


def _draw_pro(models: Sequence[tuple[ModelResults, PixelCounts | None, tuple[str, str]]]) -> Picture:
    figure, axes = _axes("False positive rate (good pixels)", "Mean covered share of the regions")
    limit = 0.3
    for model, _, (colour, line) in models:
        curves, metrics = model.curves or {}, model.metrics or {}
        limit = float(metrics["fpr_limits"][0])
        rates, overlap = curves["pro_fpr"], curves["pro_pro"]
        label = f"{model.title}, AU-PRO {metrics['au_pro']:.3f}"
        axes.plot(rates, overlap, color=colour, linestyle=line, linewidth=1.6, label=label)
        inside = rates <= limit
        edge = np.append(rates[inside], limit), np.append(overlap[inside], np.interp(limit, rates, overlap))
        axes.fill_between(*edge, color=colour, alpha=0.12, linewidth=0)
    axes.axvline(limit, color=_GRAY, linewidth=0.8, linestyle=":")
    _unit_axes(axes)
    axes.legend(loc="lower right")
    caption = (
        f"Each defect region counts alike, however small. AU-PRO is the shaded area, up to a false positive rate of "
        f"{limit:g}, divided by that width."
    )
    return _picture("pro", "Per-region overlap", caption, figure)


def _draw_overlap(model: ModelResults, colour: str) -> Picture:
    curves = model.curves or {}
    rates, quantiles, values = curves["overlap_fpr"], curves["overlap_quantiles"], curves["overlap_values"]
    figure, axes = _axes("False positive rate (good pixels)", "Covered share of a region")
    axes.fill_between(rates, values[0], values[-1], color=colour, alpha=0.12, linewidth=0)
    lines = (":", "-", "--", "-.")
    for number, (quantile, covered) in enumerate(zip(quantiles, values, strict=True)):
        line = lines[number % len(lines)]
        axes.plot(rates, covered, color=colour, linestyle=line, linewidth=1.6, label=quantile_name(quantile))
    _unit_axes(axes)
    axes.legend(loc="lower right")
    caption = (
        "How much of a defect region is covered when the threshold lets through that share of good pixels: the 25 % "
        "quantile line says that a quarter of the regions is covered less than this (Bergmann et al. 2019, fig. 7)."
    )
    return _picture(f"overlap_{model.settings.loss}", f"Region overlap of {model.title}", caption, figure)


def _draw_scores(model: ModelResults) -> Picture:
    thresholds = model.thresholds
    groups: dict[str, list[float]] = {}
    if thresholds is not None:
        source = "good, held out for the thresholds" if thresholds.held_out else "good, the thresholds were set on"
        groups[source] = list(thresholds.good_scores)
    names = {GOOD: "good test images", TRAINING: "good images, inspected whole", UNLABELLED: "unlabelled"}
    for inspection in model.inspections:
        groups.setdefault(names.get(inspection.defect, "defective test images"), []).append(inspection.score)
    colours = {
        "good test images": _GREEN,
        "good images, inspected whole": _GREEN,
        "unlabelled": _ORANGE,
        "defective test images": _VERMILION,
    }
    figure, axes = _axes("Score: highest residual of the image", "Images")
    levels = [] if thresholds is None else [thresholds.review, thresholds.defective]
    everything = [score for scores in groups.values() for score in scores] + levels
    bins = np.linspace(min(everything), max(everything), 31).tolist() if min(everything) < max(everything) else 30
    axes.hist(
        list(groups.values()),
        bins=bins,
        stacked=True,
        label=[f"{label} ({len(scores)})" for label, scores in groups.items()],
        color=[colours.get(label, _BLUE) for label in groups],
        edgecolor="white",
        linewidth=0.4,
    )
    for level, name, line in zip(levels, ("review", "defective"), ("--", "-"), strict=False):
        axes.axvline(level, color="black", linestyle=line, linewidth=1.2, label=f"threshold “{name}”")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left", ncols=2, fontsize="small", frameon=False)
    caption = (
        "Good and defective images should lie apart, with the thresholds between. An image above a line may still be "
        "good: what exceeds it must be large enough, too."
    )
    return _picture(f"scores_{model.settings.loss}", f"Image scores of {model.title}", caption, figure)


def _axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _unit_axes(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)


def _picture(name: str, title: str, caption: str, figure: Figure) -> Picture:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Picture(name, title, caption, buffer.getvalue())
