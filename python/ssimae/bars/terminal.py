"""Draw bars in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ssimae.progress import Task


class Bars:
    """A listener that draws a bar for each task; they are drawn while `drawing` is entered."""

    def __init__(self, console: Console, *, drawn: bool, transient: bool = False) -> None:
        self.drawing = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not drawn,
            speed_estimate_period=60,
            transient=transient,
        )

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Show a bar for as long as the block lasts."""
        number = self.drawing.add_task(description, total=total, note="")
        yield _Bar(self.drawing, number)
        self.drawing.refresh()

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self.drawing.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


class _Bar:
    def __init__(self, bars: Progress, number: TaskID) -> None:
        self._bars, self._number = bars, number

    def update(self, done: int, note: str = "") -> None:
        """Move the bar."""
        self._bars.update(self._number, completed=done, note=note)
