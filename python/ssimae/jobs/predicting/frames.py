"""Take images for the frames of one surface, and tell where it is interrupted."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import Sample
from ssimae.images.depth import Image
from ssimae.inspection.inspector import Inspector, Maps
from ssimae.inspection.web import Loaded, Web
from ssimae.jobs.predicting.arrivals import Arrival
from ssimae.storage.predictions import Stamp

logger = logging.getLogger(__name__)


class Sequence:
    """The order of frames by their names.

    Where two frames in a row have names that differ by one in a single number, frames are counted; from then on, one
    that does not follow in this way comes after a gap. Names that never count, such as times, show no gap.
    """

    def __init__(self) -> None:
        self._before: Path | None = None
        self._counted = False

    def gap_before(self, frame: Path) -> str | None:
        """Return why the surface begins anew with the next frame, or None where it goes on."""
        before, self._before = self._before, frame
        if before is None:
            return None
        follows = _follows(before.stem, frame.stem)
        if self._counted and not follows:
            return f"{frame.name} does not follow {before.name}"
        self._counted = self._counted or follows
        return None

    def interrupt(self) -> None:
        """Forget the frames so far."""
        self._before, self._counted = None, False


def _follows(before: str, after: str) -> bool:
    """Return whether one number of a name is higher by one, all else alike."""
    parts, next_parts = (re.split(r"(\d+)", name) for name in (before, after))
    if parts[::2] != next_parts[::2]:
        return False
    numbers, next_numbers = ([int(part) for part in split[1::2]] for split in (parts, next_parts))
    differences = [after - before for before, after in zip(numbers, next_numbers, strict=True) if before != after]
    return differences == [1]


@dataclass(frozen=True)
class Read:
    """An image that was read and waits to be inspected."""

    arrival: Arrival
    sample: Sample
    image: Image
    ignored: NDArray[np.bool_] | None
    stamp: Stamp
    """What its file was like before."""
    seconds: float
    """How long reading took."""


class Surface:
    """The frames of one surface after another, in the order in which they come.

    A surface begins anew, with a border, where the order of names has a gap, at a frame of another width, and behind
    one that cannot be read. Each time that is said.

    Parameters
    ----------
    inspector : Inspector
    """

    def __init__(self, inspector: Inspector) -> None:
        self._web: Web[Read | None] = Web(inspector)
        self._sequence = Sequence()
        self._width: int | None = None

    def add(self, read: Read) -> Iterator[tuple[Read, Maps]]:
        """Yield the frames whose neighbours are known now that another has come, with their maps."""
        height, width = read.image.shape[:2]
        yield from self._before(read.arrival, width)
        try:
            self._web.hold()
        except (OSError, ValueError) as error:
            yield from self.interrupt(read.arrival, f"the frames before it cannot be read any more ({error})")
            self._sequence.gap_before(read.arrival.path)
        yield from _wanted(self._web.add(read, height, lambda: (read.image, read.ignored)))

    def pass_over(
        self, arrival: Arrival, size: tuple[int, int], load: Callable[[], Loaded]
    ) -> Iterator[tuple[Read, Maps]]:
        """Take a frame that was inspected before an interruption: it is read again only for its neighbours."""
        height, width = size
        yield from self._before(arrival, width)
        yield from _wanted(self._web.add(None, height, load, wanted=False))

    def interrupt(self, arrival: Arrival, why: str) -> Iterator[tuple[Read, Maps]]:
        """Yield the frames that are left of a surface that ends here."""
        logger.warning("%s: the surface is taken to begin anew here: %s", arrival.shown, why)
        yield from self.end()

    def end(self) -> Iterator[tuple[Read, Maps]]:
        """Yield the frames that are left: the last ends at a border."""
        self._sequence.interrupt()
        yield from _wanted(self._web.end())

    def _before(self, arrival: Arrival, width: int) -> Iterator[tuple[Read, Maps]]:
        """Yield what is left of a surface that a frame does not belong to; nothing where it does."""
        gap = self._sequence.gap_before(arrival.path)
        if gap is None and self._width not in (None, width):
            gap = f"{width} pixels wide, and {self._width} before"
        self._width = width
        if gap is not None:
            yield from self.interrupt(arrival, gap)
            self._sequence.gap_before(arrival.path)


def _wanted(found: Iterator[tuple[Read | None, Maps]]) -> Iterator[tuple[Read, Maps]]:
    yield from ((read, maps) for read, maps in found if read is not None)
