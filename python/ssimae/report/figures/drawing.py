"""Set up the figures of reports: their palette, axes and size, and PNG pictures with captions."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers; lines differ in style too.
BLUE, VERMILION, GREEN, ORANGE, GRAY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#666666"
SKY, PURPLE = "#56B4E9", "#CC79A7"
_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_LINES: tuple[Any, ...] = ("-", "--", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)), ":")
# From the seventh on, the same colours in other lines.
LINE_STYLES = tuple((_COLOURS[n % 6], _LINES[(n + n // 6) % 6]) for n in range(36))
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


def plain(name: str) -> str:
    """Return a name escaped for matplotlib, which would read formulas in it or hide it from legends."""
    text = name.replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text


def report_figure(*, height: float = _SIZE_INCHES[1]) -> Figure:
    """Return an empty figure of the report's width; its height is in inches."""
    figure = Figure(figsize=(_SIZE_INCHES[0], height), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def new_axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """Return an empty figure of the report's size and its axes."""
    figure = report_figure()
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
