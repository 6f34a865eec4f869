"""Write the log of a training: about 400 lines, and a running mean of the loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from ssimae.reading import Count, Finite, NotNegative

LOG_LINES = 400
"""Approximate number of lines that a whole training writes."""

_MEMORY = 100
"""Window of the running mean in steps."""


@dataclass(frozen=True)
class LogLine:
    """Progress at one step; `loss` is the mean since the line before."""

    step: int
    patches: int
    epoch: int
    loss: float
    lr: float
    patches_per_s: float
    elapsed_s: float

    def as_dict(self) -> dict[str, float]:
        """Return the fields by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class StoredLine:
    """What the report and a resumed run need of a line of a log."""

    step: Count
    patches: Count
    loss: Finite
    lr: NotNegative
    elapsed_s: NotNegative


class TrainingLog:
    """Clock, running mean and log lines of a training.

    Parameters
    ----------
    steps : int
        Steps of the whole training; decides how often a line is due.
    elapsed : float
        Seconds already spent before a resume.
    loss : float or None
        Running mean at the resume.
    emit : callable
        Receives the lines.
    """

    def __init__(self, steps: int, *, elapsed: float, loss: float | None, emit: Callable[[LogLine], None]) -> None:
        self.loss = loss
        self._every = max(1, steps // LOG_LINES)
        self._emit = emit
        self._start = time.monotonic() - elapsed
        self._sum, self._count, self._patches, self._since = 0.0, 0, 0, time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of training, those before a resume included."""
        return time.monotonic() - self._start

    def add(self, step: int, *, epoch: int, patches: int, seen: int, loss: float, lr: float) -> None:
        """Take one step of `patches` patches; `seen` is their number since the start of the training."""
        self.loss = loss if self.loss is None else self.loss + (loss - self.loss) / min(step + 1, _MEMORY)
        self._sum, self._count, self._patches = self._sum + loss, self._count + 1, self._patches + patches
        if (step + 1) % self._every == 0:
            now = time.monotonic()
            speed = self._patches / max(now - self._since, 1e-9)
            self._emit(LogLine(step + 1, seen, epoch, self._sum / self._count, lr, speed, self.elapsed))
            self._sum, self._count, self._patches, self._since = 0.0, 0, 0, now
