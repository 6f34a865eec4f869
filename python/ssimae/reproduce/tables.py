"""Results beside the paper's: a row each, with the mean and spread over seeds that the paper lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev


@dataclass(frozen=True)
class Row:
    """One number of the paper, and ours."""

    label: str
    paper: float | None
    """None where the paper gives no number for it."""
    ours: tuple[float, ...]
    """One for each seed that was run; empty where none was."""

    @property
    def difference(self) -> float | None:
        """Our mean minus the paper's value."""
        return mean(self.ours) - self.paper if self.ours and self.paper is not None else None


@dataclass(frozen=True)
class Table:
    """Rows under one title."""

    title: str
    measure: str
    rows: tuple[Row, ...]

    def as_text(self) -> str:
        """Return the table for a terminal."""
        width = max([len(row.label) for row in self.rows] + [10])
        lines = [self.title, f"{'':<{width}}  {'paper':>7}  {self.measure:>18}  {'difference':>10}"]
        lines += [
            f"{row.label:<{width}}  {_number(row.paper):>7}  {spread(row.ours):>18}  {_signed(row.difference):>10}"
            for row in self.rows
        ]
        return "\n".join(line.rstrip() for line in lines)


def spread(values: Sequence[float]) -> str:
    """Return values as mean, standard deviation and their number."""
    if not values:
        return "not run"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{mean(values):.3f} ± {stdev(values):.3f} ({len(values)})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"
