"""Draw the paper's figures from arrays: ROC of all systems, overlap quantiles, and the sweeps of table 2."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter, ScalarFormatter
from numpy.typing import NDArray

from ssimae.atomic import write_bytes
from ssimae.config.systems import ROWS
from ssimae.figures.drawing import BLUE, GRAY, GREEN, ORANGE, PURPLE, VERMILION
from ssimae.reproduce.targets import spread

COLUMN_CM, PAGE_CM = 8.5, 17.0
"""Widths of a column and of a page in print."""

_LOOKS: tuple[tuple[str, Any], ...] = (
    (VERMILION, "-"),
    (BLUE, "--"),
    (GREEN, "-."),
    (ORANGE, (0, (5, 1, 1, 1))),
    (PURPLE, ":"),
)
SYSTEM_STYLES = dict(zip(ROWS, itertools.cycle(_LOOKS), strict=False))
"""Colour and line of each system, the same in all figures; SSIM-AE is the reddish one, as in the paper."""

PRINT: dict[Any, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "svg.hashsalt": "ssimae",
    "pdf.fonttype": 42,
}
"""Sizes of text in print, for ``matplotlib.rc_context``."""

_PNG_DPI = 200


@dataclass(frozen=True)
class Curve:
    """One ROC curve."""

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    auroc: float


@dataclass(frozen=True)
class OverlapCurves:
    """Overlap quantiles of one system: (F,) false positive rates, (Q,) quantiles, (Q, F) shares."""

    fprs: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class SweepPanel:
    """AUROC by one setting: the paper's, and ours for each seed; empty where it was not run."""

    label: str
    paper: Mapping[int, float]
    ours: Mapping[int, Sequence[float]]


@mpl.rc_context(PRINT)
def figure_6(panels: Mapping[str, Mapping[str, Sequence[Curve]]], titles: Mapping[str, str]) -> Figure:
    """Return ROC curves, a panel a data set; with several seeds a line each, and mean and spread in the legend.

    Curves lie in `panels` by data set and name of the system, which `titles` spell out.
    """
    figure, axes = printed_figure(
        1, max(len(panels), 1), width_cm=PAGE_CM if len(panels) > 1 else COLUMN_CM, height_cm=7.5
    )
    for axis, (name, systems) in zip(axes, panels.items(), strict=False):
        axis.plot([0, 1], [0, 1], color=GRAY, linewidth=0.7, linestyle=(0, (1, 2)))
        for system, curves in systems.items():
            colour, line = SYSTEM_STYLES[system]
            label = f"{titles[system]} {spread([curve.auroc for curve in curves])}"
            for number, curve in enumerate(curves):
                axis.plot(
                    curve.fpr,
                    curve.tpr,
                    color=colour,
                    linestyle=line,
                    linewidth=1.3 if len(curves) == 1 else 0.9,
                    label=label if number == 0 else None,
                )
        axis.set(title=name, xlabel="False positive rate", xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
        axis.legend(loc="lower right", title="AUC", title_fontsize=7)
    axes[0].set_ylabel("True positive rate")
    return figure


@mpl.rc_context(PRINT)
def figure_7(
    panels: Mapping[str, Mapping[str, OverlapCurves]], titles: Mapping[str, str], *, most: float = 0.3
) -> Figure:
    """Return overlap quantiles over the false positive rate up to `most`, a panel a data set and system.

    The curves lie in `panels` by data set and name of the system, which `titles` spell out.
    """
    shown = [(name, system, curves) for name, systems in panels.items() for system, curves in systems.items()]
    width = PAGE_CM if len(shown) > 1 else COLUMN_CM
    figure, axes = printed_figure(1, max(len(shown), 1), width_cm=width, height_cm=6.5)
    shades: tuple[Any, ...] = ((0, (1, 1)), "-", "--")
    for axis, (name, system, curves) in zip(axes, shown, strict=False):
        axis.axvline(0.05, color=GRAY, linewidth=0.7, linestyle=(0, (1, 2)))
        colour, _ = SYSTEM_STYLES[system]
        for line, quantile, values in zip(shades, curves.quantiles, curves.values, strict=False):
            # Highest at the top, as the lines lie.
            axis.step(
                curves.fprs, values, where="post", color=colour, linestyle=line, linewidth=1.3, label=f"{quantile:.0%}"
            )
        axis.set(title=f"{name}, {titles[system]}", xlabel="False positive rate", xlim=(0, most), ylim=(0, 1.01))
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(handles[::-1], labels[::-1], loc="lower right", title="quantile over defects", title_fontsize=7)
    axes[0].set_ylabel("Share of the defect that is found")
    return figure


@mpl.rc_context(PRINT)
def figure_table_2(panels: Sequence[SweepPanel]) -> Figure:
    """Return AUROC by each setting, the paper's and ours; with several seeds the mean, and each as a dot."""
    figure, axes = printed_figure(1, max(len(panels), 1), width_cm=PAGE_CM, height_cm=6)
    for axis, panel in zip(axes, panels, strict=False):
        if panel.paper:
            axis.plot(
                list(panel.paper), list(panel.paper.values()), color=GRAY, linestyle="--", marker="s", label="paper"
            )
        run = {value: list(found) for value, found in panel.ours.items() if found}
        if run:
            means = [float(np.mean(found)) for found in run.values()]
            axis.plot(list(run), means, color=VERMILION, marker="o", label="ours")
            for value, found in run.items():
                axis.plot([value] * len(found), found, ".", color=VERMILION, markersize=3, alpha=0.6)
        missing = [str(value) for value, found in panel.ours.items() if not found]
        note = f"\nnot run: {', '.join(missing)}" if missing else ""
        axis.set(xlabel=panel.label + note)
        _ticks_at(axis, sorted({*panel.paper, *panel.ours}))
    lowest = min(axis.get_ylim()[0] for axis in axes)
    for axis in axes:
        axis.set_ylim(lowest, max(axis.get_ylim()[1] for axis in axes))
    axes[0].set_ylabel("Pixel AUROC of SSIM-AE")
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        axes[0].legend(handles, labels, loc="lower right")
    return figure


def _ticks_at(axis: Axes, values: Sequence[int]) -> None:
    """Put the values of a setting at the ticks; far apart, on a logarithmic axis."""
    if values[-1] > 8 * values[0]:
        axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(list(values)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(ScalarFormatter())


def printed_figure(rows: int, columns: int, *, width_cm: float, height_cm: float) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of a printed size, and its axes row by row."""
    figure = Figure(figsize=(width_cm / 2.54, height_cm / 2.54), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.ravel())


def save_figure(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as ``<path>.pdf`` and ``<path>.png`` and return both; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    written = []
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        with mpl.rc_context(PRINT):
            figure.savefig(buffer, format=suffix, dpi=_PNG_DPI, metadata=metadata)
        target = path.with_name(f"{path.name}.{suffix}")
        write_bytes(target, buffer.getvalue())
        written.append(target)
    return written
