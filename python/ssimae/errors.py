"""Exceptions that are not about bad input; bad input raises ValueError, OSError or TypeError."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class SafeguardError(RuntimeError):
    """A safeguard stopped the work before it could do harm."""


class DivergedError(SafeguardError):
    """A training loss became NaN or infinite."""

    def __init__(
        self,
        step: int,
        loss: float,
        lr: float,
        *,
        what: str = "training loss",
        advice: str = "start again with a lower --lr",
    ) -> None:
        super().__init__(
            f"the {what} became {loss} at step {step} (learning rate up to {lr:g}); nothing is saved after that "
            f"step: {advice}"
        )


class CollapsedError(SafeguardError):
    """A network that learned nothing was to judge images."""


class ParityError(SafeguardError):
    """An exported model says something else of an image than the model."""


class CollapseWarning(UserWarning):
    """A network was fitted or loaded that learned nothing."""


class PlateauError(RuntimeError):
    """A training did not leave the plateau of a constant output in time; other settings may."""

    def __init__(self, step: int, loss: float, plateau: float) -> None:
        super().__init__(f"no better than a constant output after {step} steps: loss {loss:.3f}, against {plateau:.3f}")


class InterruptedRunError(RuntimeError):
    """A signal ended the work; what was done is kept where `folder` says so."""

    def __init__(self, signal: int, how_far: str) -> None:
        super().__init__(f"interrupted {how_far}".rstrip())
        self.signal = signal
        self.folder: Path | None = None
        """Folder in which the work can go on."""
        self.command: str | None = None
        """Command that goes on, where it is another than the one that was given."""


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came: to be treated as Ctrl-C is, which no `except Exception` stops."""


def reason_of(error: OSError | ValueError, path: Path) -> str:
    """Return what an error about a file says, without the name of the file before it."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.removeprefix(f"{path}: ")


_LONGEST_REASON = 300


def in_short(reason: object) -> str:
    """Return a reason that a library or a damaged file gave in one short line: it may quote all of the file."""
    text = " ".join(str(reason).split())
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"


def perhaps(name: str, known: Iterable[str]) -> str:
    """Return what was perhaps meant by an unknown name, for the end of a sentence; nothing where none comes near."""
    found = difflib.get_close_matches(name.casefold(), known, n=1)
    return f"; perhaps you meant {found[0]}" if found else ""


def needs_package(name: str) -> ValueError:
    """Return the error that a package which is an extra is not installed."""
    return ValueError(f"this needs {name}, which is not installed: pip install {name}")
