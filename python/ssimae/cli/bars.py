"""Show the progress of long work as bars in a terminal."""

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

from ssimae.cli.exits import printing_by, visible
from ssimae.progress import Task


class PipedConsole(Console):
    """A console that leaves it to :func:`ssimae.cli.main` what happens when its reader has gone."""

    def on_broken_pipe(self) -> None:
        """Raise what was caught."""
        raise  # noqa: PLE0704 - rich calls this where it has caught the BrokenPipeError


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Show a bar for as long as the block lasts."""
        number = self._bars.add_task(description, total=total, note="")
        yield _Bar(self._bars, number)
        self._bars.refresh()

    def say(self, line: str) -> None:
        """Print a line above the bars, on standard error."""
        self._bars.console.print(visible(line), markup=False, highlight=False, emoji=False, soft_wrap=True)


class _Bar:
    def __init__(self, bars: Progress, number: TaskID) -> None:
        self._bars, self._number = bars, number

    def update(self, done: int, note: str = "") -> None:
        """Move the bar."""
        self._bars.update(self._number, completed=done, note=note)


@contextmanager
def progress_bars(*, drawn: bool = True) -> Iterator[_Bars]:
    """Show bars on standard error as long as the block lasts; none where it is no terminal, or they are not `drawn`."""
    console = PipedConsole(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(
        *columns, console=console, disable=not (drawn and console.is_terminal), speed_estimate_period=60
    ) as bars:
        shown = _Bars(bars)
        with printing_by(shown.say):
            yield shown
