"""Monitors of a training that tests watch and stop one with."""

from ssimae.training.log import LogLine
from ssimae.training.monitor import SilentMonitor


class StopAtStep(SilentMonitor):
    """Ends a training with a signal after so many steps."""

    def __init__(self, step: int, signal: int = 15) -> None:
        self.left, self.signal = step, signal

    def interrupted(self) -> int | None:
        self.left -= 1
        return None if self.left > 0 else self.signal


class LogKeeper(SilentMonitor):
    """Keeps the lines of a training's log."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []

    def logged(self, line: LogLine) -> None:
        self.lines.append(line)
