"""Draw the figures of a run: training, curves, and scores of the images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

from ssimae.data.dataset import GOOD, UNLABELLED
from ssimae.figures.curves import Curves
from ssimae.figures.drawing import BLUE, GRAY, GREEN, ORANGE, VERMILION, Picture, new_axes, picture
from ssimae.report.assessment import PixelCounts
from ssimae.report.figures.curves import draw_curves
from ssimae.report.format import plural
from ssimae.storage.predictions import TRAINING
from ssimae.storage.records import ModelResults


def draw_figures(models: Sequence[ModelResults], counts: Sequence[PixelCounts | None]) -> list[Picture]:
    """Return every figure the results allow for, models side by side.

    Parameters
    ----------
    models : sequence of ModelResults
        The model of the run, and the one it is compared with if there is one.
    counts : sequence of PixelCounts or None
        Pixels of each model's segmentation over all images; a dot in the ROC.
    """
    pictures = [_draw_training(model) for model in models if model.log and model.settings.row.has_loss_curve]
    curves = [_curves(model, count) for model, count in zip(models, counts, strict=True)]
    if drawn := [model_curves for model_curves in curves if model_curves is not None]:
        pictures += draw_curves(drawn)
    pictures += [_draw_scores(model) for model in models if model.inspections or model.thresholds is not None]
    return pictures


def _curves(model: ModelResults, count: PixelCounts | None) -> Curves | None:
    if model.curves is None or model.metrics is None:
        return None
    used = None
    if count is not None and count.covered is not None and count.false_share is not None:
        used = count.false_share, count.covered
    return Curves(model.title, model.settings.system, model.metrics, model.curves, used)


def _draw_training(model: ModelResults) -> Picture:
    patches = [line["patches"] for line in model.log]
    losses = np.array([line["loss"] for line in model.log])
    figure, axes = new_axes("Patches seen", f"Loss of {model.title}")
    rates = axes.twinx()
    rates.plot(patches, [line["lr"] for line in model.log], color=GRAY, linewidth=0.8, alpha=0.7)
    rates.set_ylabel("Learning rate (thin line)", color=GRAY)
    rates.tick_params(colors=GRAY)
    rates.set_ylim(bottom=0)
    rates.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    rates.spines["top"].set_visible(False)
    axes.plot(patches, losses, color=BLUE, linewidth=1.6, label="training loss")
    top = float(np.percentile(losses, 98))
    plateau = None if model.training is None else model.training.plateau
    if plateau is not None:
        axes.axhline(plateau, color=VERMILION, linestyle="--", linewidth=1.2, label="constant output")
        top = max(top, plateau)
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
    return picture(f"training_{model.settings.system}", f"Training of {model.title}", caption, figure)


def _draw_scores(model: ModelResults) -> Picture:
    thresholds = model.thresholds
    groups: dict[str, list[float]] = {}
    if thresholds is not None:
        source = "good, held out for the thresholds" if thresholds.held_out else "good, the thresholds were set on"
        # The score of a calibrated map is the level of a region; so is what thresholds of the rule `area` rest on.
        groups[source] = list((model.calibrated and thresholds.good_levels) or thresholds.good_scores)
    names = {GOOD: "good test images", TRAINING: "good images, inspected whole", UNLABELLED: "unlabelled"}
    for inspection in model.inspections:
        groups.setdefault(names.get(inspection.defect, "defective test images"), []).append(inspection.score)
    colours = {
        "good test images": GREEN,
        "good images, inspected whole": GREEN,
        "unlabelled": ORANGE,
        "defective test images": VERMILION,
    }
    area = "" if thresholds is None else f" that {plural(thresholds.min_area, 'connected pixel')} reach"
    label = f"Score: {model.map_name}{area}" if model.calibrated else "Score: highest residual of the image"
    figure, axes = new_axes(label, "Images")
    levels = [] if thresholds is None else [thresholds.review, thresholds.defective]
    everything = [score for scores in groups.values() for score in scores] + levels
    bins = np.linspace(min(everything), max(everything), 31).tolist() if min(everything) < max(everything) else 30
    axes.hist(
        list(groups.values()),
        bins=bins,
        stacked=True,
        label=[f"{label} ({len(scores)})" for label, scores in groups.items()],
        color=[colours.get(label, BLUE) for label in groups],
        edgecolor="white",
        linewidth=0.4,
    )
    for level, name, line in zip(levels, ("review", "defective"), ("--", "-"), strict=False):
        axes.axvline(level, color="black", linestyle=line, linewidth=1.2, label=f"threshold “{name}”")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left", ncols=2, fontsize="small", frameon=False)
    caption = "Good and defective images should lie apart, with the thresholds between. "
    if model.calibrated:
        caption += (
            "An image is flagged if its score lies above “review”. One that is unlike the good ones as a whole is put "
            "just above that line if no place of it stands out."
        )
    else:
        caption += "An image above a line may still be good: what exceeds it must be large enough, too."
    return picture(f"scores_{model.settings.system}", f"Image scores of {model.title}", caption, figure)
