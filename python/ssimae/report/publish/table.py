"""Set the metrics of detectors on one data set or several in a table, whatever it is written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssimae.errors import perhaps
from ssimae.evaluation.benchmark.means import PUBLISHED, Column, columns_of, mean_of
from ssimae.report.format import listed

MEAN = "Mean"
"""Name of the row of means."""


@dataclass(frozen=True)
class Style:
    """What tables hold, and how."""

    metrics: tuple[str, ...] = ()
    """Names of the metrics in ``metrics.json``, in the order wanted; all by default."""
    percent: bool = False
    """Whether numbers are in per cent with one decimal; else in [0, 1] with three."""

    def __post_init__(self) -> None:
        for key in self.metrics:
            if key not in PUBLISHED:
                raise ValueError(
                    f"`metrics` must be some of {', '.join(PUBLISHED)}, got {key!r}{perhaps(key, PUBLISHED)}"
                )

    def text(self, value: float | None) -> str:
        """Return a number as tables have it; empty where it is undefined."""
        if value is None:
            return ""
        return f"{100 * value:.1f}" if self.percent else f"{value:.3f}"


@dataclass(frozen=True)
class Measured:
    """The metrics of several detectors on one data set or several."""

    names: tuple[str, ...]
    """Of the detectors."""
    metrics: Mapping[str, tuple[dict[str, Any], ...]]
    """Content of the ``metrics.json`` of each detector, by data set."""

    def columns(self, style: Style) -> list[Column]:
        """Return what is shown of each detector."""
        return columns_of(next(iter(self.metrics.values()))[0], style.metrics)

    def mean(self, column: Column, detector: int) -> float | None:
        """Return the mean of a column over the data sets, for one of the detectors."""
        return mean_of([column.of(of_each[detector]) for of_each in self.metrics.values()])

    def undefined(self, style: Style) -> list[str]:
        """Say why numbers are missing, a line for each metric and data set."""
        lines = []
        for column in self.columns(style):
            for data_set, of_each in self.metrics.items():
                if any(column.of(metrics) is None for metrics in of_each):
                    reason = of_each[0].get(f"{column.key}_reason")
                    lines.append(f"{data_set}: no {column.title}{f', as there is {reason}' if reason else ''}")
        return lines

    def resized(self) -> list[str]:
        """Say whose maps were resized, a line for each detector."""
        lines = []
        for index, name in enumerate(self.names):
            found = [of_each[index]["resize"] for of_each in self.metrics.values() if "resize" in of_each[index]]
            if found:
                lines.append(f"{name}: maps resized to the size of the images ({found[0]['method']})")
        return lines


@dataclass(frozen=True)
class Cell:
    """A number in a table."""

    text: str
    """Empty where it is undefined."""
    best: bool
    """Whether no detector beside it has a better one, of those that read differently."""


@dataclass(frozen=True)
class Table:
    """Rows of numbers below two lines of headings."""

    caption: str
    corner: str
    """Heading of the names of the rows."""
    groups: tuple[str, ...]
    """Upper headings, each over as many columns as there are lower ones."""
    columns: tuple[str, ...]
    """Lower headings, repeated below each group; none where a group has one column."""
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    mean: tuple[Cell, ...] | None
    notes: tuple[str, ...]


def table_of(measured: Measured, style: Style) -> Table:
    """Return data sets by metrics and detectors, or, of a single data set, detectors by metrics."""
    columns = measured.columns(style)
    unit = ", in per cent" if style.percent else ""
    notes = tuple([*measured.undefined(style), *measured.resized()])
    groups = tuple(column.title for column in columns)
    detectors = range(len(measured.names))
    if len(measured.metrics) == 1:
        ((data_set, of_each),) = measured.metrics.items()
        by_column = [_cells([column.of(metrics) for metrics in of_each], style) for column in columns]
        rows = tuple((name, tuple(cells[index] for cells in by_column)) for index, name in enumerate(measured.names))
        images, regions = of_each[0]["n_images"], of_each[0]["n_regions"]
        caption = f"{_who(measured)} on {data_set} ({images} images, {regions} defect regions){unit}."
        return Table(caption, "Detector", groups, (), rows, None, notes)

    def row(values: Sequence[Sequence[float | None]]) -> tuple[Cell, ...]:
        return tuple(cell for of_column in values for cell in _cells(of_column, style))

    rows = tuple(
        (data_set, row([[column.of(metrics) for metrics in of_each] for column in columns]))
        for data_set, of_each in measured.metrics.items()
    )
    mean = row([[measured.mean(column, index) for index in detectors] for column in columns])
    caption = f"{_who(measured)} on {len(measured.metrics)} data sets{unit}; the mean counts each alike."
    lower = measured.names if len(measured.names) > 1 else ()
    return Table(caption, "Data set", groups, lower, rows, mean, notes)


def _who(measured: Measured) -> str:
    return listed(measured.names)


def _cells(values: Sequence[float | None], style: Style) -> list[Cell]:
    """Return the numbers of all detectors that are held against each other."""
    texts = [style.text(value) for value in values]
    highest = max((text for text in texts if text), key=float, default="")
    told_apart = len({text for text in texts if text}) > 1
    return [Cell(text, told_apart and text == highest) for text in texts]
