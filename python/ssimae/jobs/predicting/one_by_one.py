"""Inspect images as they come, and write what is found of each, in their order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import LARGE
from ssimae.config.settings import Settings
from ssimae.data.dataset import UNLABELLED, Sample
from ssimae.data.ignore import IgnoreMasks, inspected_frame
from ssimae.errors import reason_of
from ssimae.images.depth import Image, view
from ssimae.images.resize import scaled_shape
from ssimae.inspection.inspector import Inspector, Maps
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Judgement, judge
from ssimae.jobs.inspect import read_sample, rows_of, write_maps
from ssimae.jobs.listing import unwritable_names
from ssimae.jobs.predicting.arrivals import Arrival, Arrivals
from ssimae.jobs.predicting.frames import Read, Surface
from ssimae.jobs.predicting.pictures import write_mask, write_overlay
from ssimae.jobs.predicting.pipeline import Behind, Underway, ahead
from ssimae.jobs.predicting.record import Found, found_in, not_inspected
from ssimae.storage.facts import Kept
from ssimae.storage.inspected import Inspected
from ssimae.storage.predictions import SkippedImage, Stamp, stamp_of
from ssimae.storage.run_folder import RunFolder


@dataclass(frozen=True)
class Writing:
    """What is written of images."""

    pixel_size: float | None = None
    """Millimetres that a pixel stands for."""
    maps: Kept = "all"
    masks: Kept = "none"
    overlays: Kept = "none"


class Tables(Protocol):
    """Where rows go; the tables of a folder are :class:`ssimae.storage.inspected.GrowingTables`."""

    def known(self, image: Path, stamp: Stamp) -> tuple[int, int] | None:
        """Return height and width of an image that has a row and has not changed since; None of all others."""

    def free_name(self, image: Path, name: str | None = None) -> str:
        """Return a name for an image that no other has."""

    def reserve(self, name: str) -> None:
        """Keep a name for an image whose row comes later."""

    def add(self, item: Inspected) -> None:
        """Add the rows of an image."""

    def skip(self, skipped: SkippedImage) -> None:
        """Add the row of an image that could not be inspected."""


@dataclass
class Session:
    """What was done since the command began."""

    inspected: int = 0
    skipped: int = 0
    busy_s: float = 0.0
    """Seconds of reading, inspecting and writing, without those of waiting for images."""


@dataclass(frozen=True)
class _Known:
    """An image that has a row and has not changed since."""

    arrival: Arrival
    size: tuple[int, int]
    """Height and width."""


@dataclass(frozen=True)
class _Unreadable:
    """An image that cannot be inspected."""

    arrival: Arrival
    reason: str


_Step = Read | _Known | _Unreadable


@dataclass(frozen=True)
class OneByOne:
    """What inspects images one by one, into a folder.

    Parameters
    ----------
    folder : RunFolder
        Locked by this process.
    tables : Tables
        Of the folder, or on their way there.
    inspector : Inspector
    thresholds : Thresholds
    writing : Writing
    ignore : IgnoreMasks, optional
    surface : Surface, optional
        Where images are frames of one surface.
    on_image : callable
        Called once all that is written of an image is there.
    on_done : callable
        Called with the number of images that have had their turn.

    Notes
    -----
    While an image is inspected, the next one is read and the one before is judged and written, by a thread each: three
    are in memory at a time, but of large ones no more than one. Rows and calls keep the order of the images. Frames of
    a surface, whose rows wait for the frames after them, have their turns alone.
    """

    folder: RunFolder
    tables: Tables
    inspector: Inspector
    thresholds: Thresholds
    writing: Writing
    ignore: IgnoreMasks | None
    surface: Surface | None
    on_image: Callable[[Found], None]
    on_done: Callable[[int], object] = lambda count: None

    def inspect(self, arrivals: Arrivals, session: Session) -> None:
        """Inspect images as they come, but those that have a row and have not changed since.

        An image that cannot be read gets a row that says why, and is counted as skipped, unless it comes again.
        """
        underway = Underway()
        steps = self._steps(arrivals, underway)
        try:
            if self.surface is not None:
                self._in_turn(steps, self.surface, underway, session)
                return
            with closing(ahead(steps, alone=_is_large)) as read:
                self._overlapping(read, underway, session)
        finally:
            underway.close()
            session.busy_s = underway.busy_s

    def _steps(self, arrivals: Arrivals, underway: Underway) -> Iterator[_Step]:
        """Read images as they come."""
        for arrival in arrivals:
            underway.begin(arrival.path)
            start = time.perf_counter()
            try:
                stamp = stamp_of(arrival.path)
                size = self.tables.known(arrival.path, stamp)
                if size is not None:
                    yield _Known(arrival, size)
                    continue
                sample = self._sample(arrival)
                image, ignored = read_sample(sample, self.inspector.settings)
                refuse_small(image, ignored, self.inspector.settings)
            except (OSError, ValueError) as error:
                if arrivals.comes_again(arrival, error):
                    underway.end(arrival.path)
                else:
                    yield _Unreadable(arrival, reason_of(error, arrival.path))
                continue
            self.tables.reserve(sample.name)
            yield Read(arrival, sample, image, ignored, stamp, time.perf_counter() - start)

    def _overlapping(self, steps: Iterator[_Step], underway: Underway, session: Session) -> None:
        """Inspect images; what is found of one is written while the next is inspected."""

        def close(step: _Step, maps: Maps | None, seconds: float, count: int) -> None:
            if isinstance(step, Read):
                assert maps is not None
                self._finish(step, maps, seconds, session)
            elif isinstance(step, _Unreadable):
                self._skip(step, session)
            underway.end(step.arrival.path)
            self.on_done(count)

        with Behind() as behind:
            for count, step in enumerate(steps, 1):
                start = time.perf_counter()
                maps = self.inspector.inspect(step.image, step.ignored) if isinstance(step, Read) else None
                behind.call(partial(close, step, maps, time.perf_counter() - start, count))
                large = _is_large(step)
                del step, maps  # memory lets go of them once they are written, and not after the next
                if large:
                    behind.wait()

    def _in_turn(self, steps: Iterator[_Step], surface: Surface, underway: Underway, session: Session) -> None:
        """Inspect the frames of a surface."""
        for count, step in enumerate(steps, 1):
            if isinstance(step, Read):
                self._finish_all(surface.add(step), session)
            elif isinstance(step, _Known):
                self._finish_all(self._pass_over(step, surface), session)
            else:
                self._skip(step, session)
                self._finish_all(surface.interrupt(step.arrival, "it could not be read"), session)
            underway.end(step.arrival.path)
            self.on_done(count)
        self._finish_all(surface.end(), session)

    def _finish_all(self, inspected: Iterator[tuple[Read, Maps]], session: Session) -> None:
        """Write what is found of frames as they are inspected."""
        start = time.perf_counter()
        for read, maps in inspected:
            self._finish(read, maps, time.perf_counter() - start, session)
            start = time.perf_counter()

    def _finish(self, read: Read, maps: Maps, seconds: float, session: Session) -> None:
        """Judge an image that was inspected in some seconds, and write what is found."""
        start = time.perf_counter()
        judgement = judge(maps, self.thresholds)
        item = rows_of(read.sample, judgement, stamp=read.stamp, pixel_size_mm=self.writing.pixel_size)
        files = self._write(read.sample, read.image, maps, judgement)
        # Last: an image that has a row is not inspected again.
        self.tables.add(item)
        session.inspected += 1
        seconds += read.seconds + time.perf_counter() - start
        self.on_image(found_in(read.arrival.shown, item, judgement, self.thresholds, files=files, seconds=seconds))

    def _skip(self, step: _Unreadable, session: Session) -> None:
        """Write that an image could not be inspected."""
        session.skipped += 1
        arrival = step.arrival
        self.tables.skip(SkippedImage(arrival.path, step.reason))
        self.on_image(not_inspected(arrival.shown, arrival.name or arrival.path.stem, step.reason))

    def _pass_over(self, step: _Known, surface: Surface) -> Iterator[tuple[Read, Maps]]:
        """Take a frame that has a row."""
        arrival, settings = step.arrival, self.inspector.settings
        sample = Sample(arrival.path, arrival.path.stem, UNLABELLED, ignore=self._ignore_of(arrival))
        return surface.pass_over(arrival, step.size, lambda: read_sample(sample, settings))

    def _ignore_of(self, arrival: Arrival) -> Path | None:
        return None if self.ignore is None else self.ignore.of(arrival.path)

    def _sample(self, arrival: Arrival) -> Sample:
        name = self.tables.free_name(arrival.path, arrival.name)
        sample = Sample(arrival.path, name, UNLABELLED, ignore=self._ignore_of(arrival))
        if faults := unwritable_names(self.folder, [sample]):
            raise ValueError(faults[arrival.path])
        return sample

    def _write(self, sample: Sample, image: Image, maps: Maps, judgement: Judgement) -> dict[str, Path]:
        """Write what is wanted of an image besides its rows; returns the paths by what they are."""
        files: dict[str, Path] = {}
        if _wanted(self.writing.maps, judgement):
            files |= write_maps(self.folder, sample, maps)
        if _wanted(self.writing.masks, judgement):
            files["mask"] = self.folder.picture_path(self.folder.masks, sample.defect, sample.name)
            write_mask(files["mask"], judgement.mask)
        if _wanted(self.writing.overlays, judgement):
            files["overlay"] = self.folder.picture_path(self.folder.overlays, sample.defect, sample.name)
            write_overlay(files["overlay"], image, judgement, self.thresholds)
        return files


def _is_large(step: _Step) -> bool:
    """Return whether an image is so large that no other is to be in memory beside it."""
    return isinstance(step, Read) and step.image.shape[0] * step.image.shape[1] >= LARGE


def _wanted(kept: Kept, judgement: Judgement) -> bool:
    return kept == "all" or (kept == "flagged" and judgement.verdict != "good")


def refuse_small(image: Image, ignored: NDArray[np.bool_] | None, settings: Settings) -> None:
    """Refuse an image of which less than a patch is inspected.

    Raises
    ------
    ValueError
        If it is; the message has both sizes.
    """
    inspected = view(image, inspected_frame(ignored))
    height, width = scaled_shape(inspected, settings.scale)
    side = settings.smallest_side
    if min(height, width) < side:
        scaled = f" ({height} x {width} at scale {settings.scale:g})" if settings.scale != 1 else ""
        raise ValueError(
            f"{inspected.shape[0]} x {inspected.shape[1]} pixels{scaled}, smaller than a patch of {side} x {side}"
        )
