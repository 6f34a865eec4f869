"""Note a signal instead of obeying it at once, so that a training can save its state first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ssimae.errors import InterruptedRunError, TerminatedError
from ssimae.host import system


@dataclass
class Interruption:
    """The signal that came, if any."""

    signal: int | None = None


@contextmanager
def noted_signals() -> Iterator[Interruption]:
    """Note the first Ctrl-C or SIGTERM; a second one acts at once, and so does a first that nobody asked for.

    Outside the main thread, where Python delivers no signals, nothing is ever noted.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interruption.signal is not None:
            raise _exception(number)
        interruption.signal = number

    with _handled(note):
        yield interruption
    if interruption.signal is not None:  # it came after the last step
        signal.raise_signal(interruption.signal)


@contextmanager
def raised_signals() -> Iterator[None]:
    """Raise a :class:`KeyboardInterrupt` at Ctrl-C, and one of its kind at SIGTERM; by default that ends a process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def obey(number: int, frame: FrameType | None) -> None:
        raise _exception(number)

    with _handled(obey):
        yield


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Add to an interruption the folder in which the work can go on.

    Raises
    ------
    InterruptedRunError
        For every interruption, also one that was raised.
    """
    try:
        yield
    except (InterruptedRunError, KeyboardInterrupt) as error:
        interrupted = error if isinstance(error, InterruptedRunError) else interruption_of(error)
        # Without this file there is nothing yet to go on with.
        interrupted.folder = folder if (folder / "config.toml").exists() else None
        raise interrupted from error


def interruption_of(error: KeyboardInterrupt) -> InterruptedRunError:
    """Return what was raised at a signal with the number of the signal."""
    return InterruptedRunError(signal.SIGTERM if isinstance(error, TerminatedError) else signal.SIGINT, "")


def _exception(number: int) -> KeyboardInterrupt:
    return KeyboardInterrupt() if number == signal.SIGINT else TerminatedError()


@contextmanager
def _handled(handler: object) -> Iterator[None]:
    """Let a handler have all signals that end a command for a while."""
    before = {number: signal.signal(number, handler) for number in system.STOPPING}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
