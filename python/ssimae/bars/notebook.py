"""Draw bars in a notebook."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ssimae.progress import Task


class NotebookBars:
    """A listener that draws a bar for each task: a widget where ipywidgets is installed, else a line of text."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a line of text is drawn
            from tqdm.auto import tqdm  # noqa: PLC0415 - it asks for its surroundings when it is imported
        self._tqdm = tqdm

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Show a bar for as long as the block lasts."""
        with self._tqdm(total=total, desc=description, leave=False, mininterval=0.5) as bar:
            yield _Bar(bar)

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._tqdm.write(line)


class _Bar:
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def update(self, done: int, note: str = "") -> None:
        """Move the bar."""
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)
