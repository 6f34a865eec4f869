"""Define the listener of a training: it is told how far the training is, and may stop it."""

from __future__ import annotations

from typing import Protocol

from ssimae.training.log import LogLine


class Monitor(Protocol):
    """A listener to a training; derive one from :class:`SilentMonitor`."""

    def resumed(self, steps: int) -> None:
        """Take the number of steps already done, before the first one is taken."""

    def stepped(self, patches: int, loss: float) -> None:
        """Take the patches seen so far and the loss, after every step."""

    def logged(self, line: LogLine) -> None:
        """Take a line of the log, about 400 times."""

    def interrupted(self) -> int | None:
        """Return the signal that shall end the training, or None; asked after every step."""


class SilentMonitor:
    """A monitor that ignores everything and stops nothing."""

    def resumed(self, steps: int) -> None:
        """Do nothing."""

    def stepped(self, patches: int, loss: float) -> None:
        """Do nothing."""

    def logged(self, line: LogLine) -> None:
        """Do nothing."""

    def interrupted(self) -> int | None:
        """Return None."""
        return None


SILENT = SilentMonitor()
