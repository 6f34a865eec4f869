"""Draw fig. 5 of the paper: image, reconstruction, residual and segmentation of two systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from ssimae.reproduce.figures.curves import PAGE_CM, PRINT, printed_figure

_TRUTH_COLOUR, _RESULT_COLOUR = "#E60000", (0.0, 0.75, 0.25)

CROP = 256
"""Side in pixels of what is shown of a larger image."""


@dataclass(frozen=True)
class Segmented:
    """What one system makes of an image; arrays of shape (h, w)."""

    reconstruction: NDArray[np.float32] | None
    """None from a system that rebuilds nothing."""
    residual: NDArray[np.float32]
    found: NDArray[np.bool_]


@dataclass(frozen=True)
class Example:
    """One image, (h, w) float32 in [0, 1], its truth, and what each system makes of it."""

    name: str
    image: NDArray[np.float32]
    truth: NDArray[np.bool_]
    systems: Mapping[str, Segmented]


@mpl.rc_context(PRINT)
def figure_5(examples: Sequence[Example], *, caption: str = "") -> Figure:
    """Return a figure, one row per example: the image, then reconstruction, residual and segmentation of each system.

    The truth is outlined red, what is found filled green. Residuals run from 0 (black) to their highest value in the
    image.
    """
    systems = list(examples[0].systems)
    columns = 1 + 3 * len(systems)
    side = PAGE_CM / columns
    figure, axes = printed_figure(len(examples), columns, width_cm=PAGE_CM, height_cm=len(examples) * side + 1.4)
    for number, example in enumerate(examples):
        window = crop_around(example.truth, CROP)
        image, truth = example.image[window], example.truth[window]
        row = axes[number * columns : (number + 1) * columns]
        _show(row[0], image)
        _outline(row[0], truth)
        row[0].set_ylabel(example.name, fontsize=6.5)
        for place, (system, made) in enumerate(example.systems.items()):
            rebuilt, residual, segmented = row[1 + 3 * place : 4 + 3 * place]
            if made.reconstruction is None:
                rebuilt.set_axis_off()
            else:
                _show(rebuilt, made.reconstruction[window])
            residual.imshow(made.residual[window], cmap="inferno", vmin=0, vmax=max(float(made.residual.max()), 1e-9))
            _show(segmented, image)
            segmented.imshow(_filled(made.found[window]))
            _outline(segmented, truth)
            if number == 0:
                rebuilt.set_title(f"{system}\nreconstruction")
                residual.set_title("\nresidual")
                segmented.set_title("\nsegmentation")
    axes[0].set_title("\nimage")
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    figure.supxlabel(caption, fontsize=7)
    return figure


def crop_around(truth: NDArray[np.bool_], side: int) -> tuple[slice, slice]:
    """Return the window of an image, at most `side` pixels high and wide, that holds most of the truth."""
    sides = tuple(min(side, length) for length in truth.shape)
    share = uniform_filter(truth.astype(np.float64), sides, mode="constant")
    middle = np.unravel_index(int(share.argmax()), truth.shape)
    starts = (
        min(max(int(place) - length // 2, 0), whole - length)
        for place, length, whole in zip(middle, sides, truth.shape, strict=True)
    )
    rows, columns = (slice(start, start + length) for start, length in zip(starts, sides, strict=True))
    return rows, columns


def _show(axis: Axes, image: NDArray[np.float32]) -> None:
    axis.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1)


def _outline(axis: Axes, truth: NDArray[np.bool_]) -> None:
    """Outline the truth red, on a thin white line that also shows in gray print."""
    if truth.any() and not truth.all():
        lines = axis.contour(truth, levels=[0.5], colors=_TRUTH_COLOUR, linewidths=0.8)
        lines.set(path_effects=[patheffects.withStroke(linewidth=1.8, foreground="white")])


def _filled(found: NDArray[np.bool_]) -> NDArray[np.float32]:
    picture = np.zeros((*found.shape, 4), np.float32)
    picture[found] = (*_RESULT_COLOUR, 0.5)
    return picture
