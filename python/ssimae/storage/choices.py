"""Read ``choices.json``: what was compared on planted defects before a run took its settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from ssimae.reading import NotNegative, read_json
from ssimae.tuning.trial import Trial

Treatment = TypedDict(
    "Treatment",
    {
        "calibration": NotRequired[str],
        "residual_smoothing": NotRequired[NotNegative],
        "au_pro_0.05": NotRequired[NotNegative],
        "found": NotRequired[NotNegative],
        "score": NotNegative,
    },
)
"""One way to treat the residual, and how it scored; earlier versions did not tell everything."""


@dataclass(frozen=True)
class Choices:
    """What was compared."""

    trials: tuple[Trial, ...] = ()
    """Short trainings."""
    treatments: tuple[Treatment, ...] = ()

    def __post_init__(self) -> None:
        """Refuse treatments of which only some tell a number, which no table can show."""
        if len({frozenset(treatment) for treatment in self.treatments}) > 1:
            raise ValueError("treatments that do not tell the same")


def read_choices(path: Path) -> Choices:
    """Return the content of ``choices.json``; nothing where there is no such file.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is damaged.
    """
    if not path.exists():
        return Choices()
    try:
        return read_json(path, Choices)
    except ValueError as error:
        raise ValueError(f"{path}: not the choices of a run ({str(error).removeprefix(f'{path}: ')})") from error
