"""Report the progress of long work to whoever listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of work of known size."""

    def update(self, done: int, note: str = "") -> None:
        """Say how much is done, and one short figure beside it."""


class Progress(Protocol):
    """A listener to long work."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Announce a piece of work for as long as the block lasts."""
        yield _SilentTask()

    def say(self, line: str) -> None:
        """Tell the user one thing, in a sentence."""


class _SilentTask:
    def update(self, done: int, note: str = "") -> None:
        """Do nothing."""


class SilentProgress:
    """A listener that shows nothing, for use as a library."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        """Announce nothing."""
        yield _SilentTask()

    def say(self, line: str) -> None:
        """Say nothing."""
