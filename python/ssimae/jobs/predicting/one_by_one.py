"""Inspect images as they come, and write what is found of each before the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
from ssimae.jobs.predicting.record import Found, found_in, not_inspected
from ssimae.storage.facts import Kept
from ssimae.storage.inspected import GrowingTables
from ssimae.storage.predictions import SkippedImage, stamp_of
from ssimae.storage.run_folder import RunFolder


@dataclass(frozen=True)
class Writing:
    """What is written of images."""

    pixel_size: float | None = None
    """Millimetres that a pixel stands for."""
    maps: Kept = "all"
    masks: Kept = "none"
    overlays: Kept = "none"


@dataclass
class Session:
    """What was done since the command began."""

    inspected: int = 0
    skipped: int = 0
    busy_s: float = 0.0
    """Seconds of reading, inspecting and writing, without those of waiting."""


@dataclass(frozen=True)
class OneByOne:
    """What inspects images one by one, into a folder.

    Parameters
    ----------
    folder : RunFolder
        Locked by this process.
    tables : GrowingTables
        Of the folder.
    inspector : Inspector
    thresholds : Thresholds
    writing : Writing
    ignore : IgnoreMasks, optional
    surface : Surface, optional
        Where images are frames of one surface.
    on_image : callable
        Called once all that is written of an image is there.
    """

    folder: RunFolder
    tables: GrowingTables
    inspector: Inspector
    thresholds: Thresholds
    writing: Writing
    ignore: IgnoreMasks | None
    surface: Surface | None
    on_image: Callable[[Found], None]

    def inspect(self, arrivals: Arrivals, session: Session) -> None:
        """Inspect images as they come, but those that have a row and have not changed since.

        An image that cannot be read gets a row that says why, and is counted as skipped, unless it comes again.
        """
        for arrival in arrivals:
            start = time.perf_counter()
            try:
                stamp = stamp_of(arrival.path)
                size = self.tables.known(arrival.path, stamp)
                if size is not None:
                    self._pass_over(arrival, size, session)
                    continue
                sample = self._sample(arrival)
                image, ignored = read_sample(sample, self.inspector.settings)
                refuse_small(image, ignored, self.inspector.settings)
            except (OSError, ValueError) as error:
                if not arrivals.comes_again(arrival, error):
                    self._skip(arrival, reason_of(error, arrival.path), session)
                continue
            self.tables.reserve(sample.name)
            read = Read(arrival, sample, image, ignored, stamp, time.perf_counter() - start)
            self._finish(self._alone(read) if self.surface is None else self.surface.add(read), session)
        if self.surface is not None:
            self._finish(self.surface.end(), session)

    def _alone(self, read: Read) -> Iterator[tuple[Read, Maps]]:
        yield read, self.inspector.inspect(read.image, read.ignored)

    def _finish(self, inspected: Iterator[tuple[Read, Maps]], session: Session) -> None:
        """Judge images as they are inspected, and write what is found."""
        while True:
            start = time.perf_counter()
            try:
                read, maps = next(inspected)
            except StopIteration:
                return
            judgement = judge(maps, self.thresholds)
            item = rows_of(read.sample, judgement, stamp=read.stamp, pixel_size_mm=self.writing.pixel_size)
            files = self._write(read.sample, read.image, maps, judgement)
            # Last: an image that has a row is not inspected again.
            self.tables.add(item)
            seconds = read.seconds + time.perf_counter() - start
            session.inspected += 1
            session.busy_s += seconds
            found = found_in(read.arrival.shown, item, judgement, self.thresholds, files=files, seconds=seconds)
            self.on_image(found)

    def _skip(self, arrival: Arrival, reason: str, session: Session) -> None:
        """Write that an image could not be inspected."""
        session.skipped += 1
        self.tables.skip(SkippedImage(arrival.path, reason))
        self.on_image(not_inspected(arrival.shown, arrival.name or arrival.path.stem, reason))
        if self.surface is not None:
            self._finish(self.surface.interrupt(arrival, "it could not be read"), session)

    def _pass_over(self, arrival: Arrival, size: tuple[int, int], session: Session) -> None:
        """Take an image that has a row."""
        if self.surface is not None:
            sample = Sample(arrival.path, arrival.path.stem, UNLABELLED, ignore=self._ignore_of(arrival))
            settings = self.inspector.settings
            self._finish(self.surface.pass_over(arrival, size, lambda: read_sample(sample, settings)), session)

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
