"""Show the progress of long work as bars in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from ssimae.bars.terminal import Bars
from ssimae.cli.exits import printing_by, visible


class PipedConsole(Console):
    """A console that leaves it to :func:`ssimae.cli.main` what happens when its reader has gone."""

    def on_broken_pipe(self) -> None:
        """Raise what was caught."""
        raise  # noqa: PLE0704 - rich calls this where it has caught the BrokenPipeError


class _VisibleBars(Bars):
    def say(self, line: str) -> None:
        """Print a line above the bars, on standard error."""
        super().say(visible(line))


@contextmanager
def progress_bars(*, drawn: bool = True) -> Iterator[Bars]:
    """Show bars on standard error as long as the block lasts; none where it is no terminal, or they are not `drawn`."""
    console = PipedConsole(stderr=True)
    shown = _VisibleBars(console, drawn=drawn and console.is_terminal)
    with shown.drawing, printing_by(shown.say):
        yield shown
