"""Draw what is reached over time: a row of panels a measure, a column a data set, a line a way."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ssimae.figures.drawing import BLUE, GRAY, VERMILION
from ssimae.reproduce.figures.curves import PAGE_CM, PRINT, printed_figure
from ssimae.reproduce.over_time.table import MEASURES, Reached
from ssimae.reproduce.plan import Way

_LOOKS: dict[Way, dict[str, Any]] = {
    "auto": {"color": VERMILION, "linestyle": "-", "marker": "o", "label": "ssimae run --minutes"},
    "paper": {"color": BLUE, "linestyle": "--", "marker": "s", "label": "the paper's training, by ssimae"},
    "plain": {"color": GRAY, "linestyle": ":", "marker": "^", "label": "the paper's training, plain script"},
}
_TICKS = 0.25, 0.5, 1, 2, 5, 10, 20, 60, 120
"""Minutes that have a tick, where the axis holds them."""

_HEADROOM = 1.3
"""Factor between the first and last time and the ends of the axis."""

_ROOM = 0.02
"""Above and below the values of a row of panels."""

_PANEL_CM = 3.4


@mpl.rc_context(PRINT)
def time_figure(reached: Sequence[Reached]) -> Figure:
    """Return each measure over the minutes until the model was ready, on a logarithmic axis.

    What paused stands at the minutes that were asked for. Lines join the means over seeds; with several, a bar spans
    from the least to the highest. Another kind of machine is another line, with hollow marks.
    """
    names = list(dict.fromkeys(row.data for row in reached))
    rows, columns = len(MEASURES), max(1, len(names))
    figure, axes = printed_figure(rows, columns, width_cm=PAGE_CM, height_cm=rows * _PANEL_CM + 1.6)
    machines = {way: list(dict.fromkeys(row.machine for row in reached if row.way == way)) for way in _LOOKS}
    times = [row.taken for row in reached] or [1.0]
    for number, axis in enumerate(axes):
        measure, column = list(MEASURES)[number // columns], number % columns
        shown = [row for row in reached if row.data == names[column]] if names else []
        _frame(axis, min(times) / _HEADROOM, max(times) * _HEADROOM)
        _panel(axis, shown, measure, machines)
        if number < columns:
            axis.set_title(names[column].replace("_", " ") if names else "")
        if column == 0:
            axis.set_ylabel(measure)
        if number // columns == rows - 1:
            axis.set_xlabel("minutes until the model is ready")
    _share_heights(axes, rows, columns)
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if handles:
        ncols = len(handles) if len(handles) <= len(_LOOKS) else 2
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=ncols, frameon=False)
    return figure


def _panel(axis: Axes, shown: Sequence[Reached], measure: str, machines: Mapping[Way, Sequence[str]]) -> None:
    measured = [row for row in shown if row.values[measure]]
    if not measured:
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", va="center", color=GRAY)
        axis.yaxis.set_major_locator(NullLocator())
    for way, look in _LOOKS.items():
        for place, machine in enumerate(machines[way]):
            line = [row for row in measured if (row.way, row.machine) == (way, machine)]
            if not line:
                continue
            values = [row.values[measure] for row in line]
            means = [sum(some) / len(some) for some in values]
            axis.errorbar(
                [row.taken for row in line],
                means,
                yerr=[
                    [middle - min(some) for middle, some in zip(means, values, strict=True)],
                    [max(some) - middle for middle, some in zip(means, values, strict=True)],
                ],
                markersize=3.5,
                linewidth=1.1,
                elinewidth=0.7,
                markerfacecolor="white" if place else look["color"],
                **{
                    **look,
                    "label": look["label"] + (f", {machine.rsplit(', ', 1)[-1]}" if len(machines[way]) > 1 else ""),
                },
            )


def _frame(axis: Axes, first: float, last: float) -> None:
    axis.set_xscale("log")
    axis.set_xlim(first, last)
    axis.xaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if first <= tick <= last]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.grid(color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)


def _share_heights(axes: Sequence[Axes], rows: int, columns: int) -> None:
    """Give all panels of a row the heights that hold all its values."""
    for row in range(rows):
        panels = [axis for axis in axes[row * columns : (row + 1) * columns] if axis.lines]
        ends = [axis.get_ylim() for axis in panels]
        for axis in panels:
            axis.set_ylim(min(low for low, _ in ends) - _ROOM, max(high for _, high in ends) + _ROOM)


def time_svg(reached: Sequence[Reached], *, told: str) -> str:
    """Return the figure as the text of an SVG; `told` is written into its head, to tell from what it was drawn."""
    figure = time_figure(reached)
    FigureCanvasSVG(figure)
    buffer = io.StringIO()
    with mpl.rc_context({**PRINT, "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Identifier": told})
    return buffer.getvalue()
