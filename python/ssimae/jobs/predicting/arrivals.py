"""Say what an image is that comes to be inspected, and where images come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Arrival:
    """An image that is to be inspected."""

    path: Path
    """Absolute."""
    shown: str
    """The path as it was given."""
    name: str | None = None
    """Name that its results have; None where it is chosen when its turn comes."""


class Arrivals(Protocol):
    """Images as they come; the end may never come."""

    def __iter__(self) -> Iterator[Arrival]:
        """Yield the images."""

    def comes_again(self, arrival: Arrival, error: Exception) -> bool:
        """Return whether an image that could not be read is tried again later, and needs no word until then."""


@dataclass(frozen=True)
class AllAtOnce:
    """Images that are all known."""

    images: Sequence[Arrival]

    def __iter__(self) -> Iterator[Arrival]:
        """Yield the images."""
        return iter(self.images)

    def comes_again(self, arrival: Arrival, error: Exception) -> bool:
        """Return False: each has its turn once."""
        return False
