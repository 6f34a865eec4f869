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


class Drawing(Figure):
    """A figure that shows itself in a notebook, once, whether pyplot was imported or not."""

    def _repr_png_(self) -> bytes:
        return png_of(self)


def png_of(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def plain(name: str) -> str:
    """Return a name escaped for matplotlib, which would read formulas in it or hide it from legends."""
    text = name.replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text


def report_figure(*, width: float = _SIZE_INCHES[0], height: float = _SIZE_INCHES[1], dpi: int = _DPI) -> Drawing:
    """Return an empty figure, by default of the report's size; width and height are in inches."""
    figure = Drawing(figsize=(width, height), dpi=dpi, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def new_axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """Return an empty figure of the report's size and its axes."""
    figure = report_figure()
    return figure, labelled(figure.add_subplot(), x_label, y_label)


def labelled(axes: Axes, x_label: str, y_label: str) -> Axes:
    """Return axes with labels, a grid, and lines at the left and bottom alone."""
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def unit_axes(axes: Axes) -> None:
    """Let both axes run from 0 to 1."""
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)


def picture(name: str, title: str, caption: str, figure: Figure) -> Picture:
    """Return a figure as a picture."""
    return Picture(name, title, caption, png_of(figure))
