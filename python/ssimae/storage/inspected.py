"""Keep the rows of images as they are inspected, so that a kill takes no more than the last one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from ssimae.atomic import naming
from ssimae.csv_files import csv_line, read_csv, write_csv
from ssimae.data.dataset import Sample
from ssimae.errors import in_short
from ssimae.inspection.verdict import Verdict
from ssimae.storage.predictions import (
    COLUMNS,
    REGION_COLUMNS,
    SKIPPED,
    SkippedImage,
    Stamp,
    StoredInspection,
    StoredRegion,
    write_predictions,
    write_regions,
)
from ssimae.storage.run_folder import RunFolder


@dataclass(frozen=True)
class Inspected:
    """An image that was inspected, and its marked regions."""

    inspection: StoredInspection
    regions: tuple[StoredRegion, ...]
    pixel_size_mm: float | None = None
    """Side of a pixel in millimetres; None where nobody said."""


class InspectedImages:
    """The rows of a folder: in ``*.partial.csv`` until all are there, then in ``predictions.csv`` and ``regions.csv``.

    Parameters
    ----------
    folder : RunFolder
        Locked by this process.

    Raises
    ------
    pixel_size_mm : float, optional
        Side of a pixel in millimetres, with which sizes are told in these, too.

    Raises
    ------
    ValueError
        If a table in it is damaged.
    """

    def __init__(self, folder: RunFolder, pixel_size_mm: float | None = None) -> None:
        self._folder = folder
        items = _stored(folder, pixel_size_mm, growing=False)
        self._rows = {(item.inspection.defect, item.inspection.name): item for item in items}

    def get(self, sample: Sample) -> Inspected | None:
        """Return what is known of an image; None where it has not been inspected, or its files have other names now."""
        item = self._rows.get((sample.defect, sample.name))
        return item if item is not None and item.inspection.sample == sample else None

    def begin(self, samples: Iterable[Sample]) -> None:
        """Begin both tables with the rows of those images that are known."""
        known = [item for sample in samples if (item := self.get(sample)) is not None]
        write_csv(
            self._folder.partial_regions,
            REGION_COLUMNS,
            [region.to_row() for item in known for region in item.regions],
        )
        write_csv(self._folder.partial_predictions, COLUMNS, [item.inspection.to_row() for item in known])

    def add(self, item: Inspected) -> None:
        """Add the rows of an image; that of the image last, since it says that the others are complete."""
        _append(self._folder.partial_regions, [region.to_row() for region in item.regions])
        _append(self._folder.partial_predictions, [item.inspection.to_row()])

    def finish(self, items: Sequence[Inspected], skipped: Iterable[SkippedImage]) -> None:
        """Write both tables whole, in the order of `items`, and remove what stood for them."""
        write_regions(self._folder.regions, [region for item in items for region in item.regions])
        write_predictions(self._folder.predictions, [item.inspection for item in items], skipped)
        _forget_partial(self._folder)


class GrowingTables:
    """``predictions.csv`` and ``regions.csv`` of a folder whose images come one by one: their rows are there at once.

    The regions of an image stand before its own row, which says that they are complete. What a kill cut off is removed
    when the folder is opened again, and so are the rows of skipped images: these are tried again.

    Parameters
    ----------
    folder : RunFolder
        Locked by this process.
    pixel_size_mm : float, optional
        As for :class:`InspectedImages`.

    Raises
    ------
    ValueError
        If a table in it is damaged.
    """

    def __init__(self, folder: RunFolder, pixel_size_mm: float | None = None) -> None:
        self._folder = folder
        items = _stored(folder, pixel_size_mm, growing=True)
        self._latest = {item.inspection.image: _Brief.of(item.inspection) for item in items}
        self._names = {item.inspection.name for item in items}
        write_regions(folder.regions, [region for item in items for region in item.regions])
        write_predictions(folder.predictions, [item.inspection for item in items], [])
        _forget_partial(folder)

    @property
    def verdicts(self) -> Counter[Verdict]:
        """Number of images by verdict."""
        return Counter(brief.verdict for brief in self._latest.values())

    def known(self, image: Path, stamp: Stamp) -> tuple[int, int] | None:
        """Return height and width of an image that has a row and has not changed since; None of all others."""
        brief = self._latest.get(image)
        return brief.size if brief is not None and brief.stamp in (None, stamp) else None

    def has(self, image: Path) -> bool:
        """Return whether an image has a row, whatever has become of its file."""
        return image in self._latest

    def free_name(self, image: Path, name: str | None = None) -> str:
        """Return a name for an image that no other has: the one proposed, or that of the file without suffix."""
        proposed = image.stem if name is None else name
        number = 1
        while proposed in self._names:
            proposed = f"{image.parent.name}-{image.name}" + (f"-{number}" if number > 1 else "")
            number += 1
        return proposed

    def reserve(self, name: str) -> None:
        """Keep a name for an image whose row comes later."""
        self._names.add(name)

    def add(self, item: Inspected) -> None:
        """Add the rows of an image."""
        _append(self._folder.regions, [region.to_row() for region in item.regions])
        _append(self._folder.predictions, [item.inspection.to_row()])
        self._latest[item.inspection.image] = _Brief.of(item.inspection)

    def skip(self, skipped: SkippedImage) -> None:
        """Add the row of an image that could not be inspected."""
        _append(self._folder.predictions, [skipped.to_row()])


class _Brief(NamedTuple):
    """What is kept in memory of an image that has a row."""

    verdict: Verdict
    stamp: Stamp | None
    size: tuple[int, int]

    @classmethod
    def of(cls, inspection: StoredInspection) -> Self:
        return cls(inspection.verdict, inspection.stamp, (inspection.height, inspection.width))


def forget(folder: RunFolder) -> None:
    """Remove all rows of a folder: what they rest on has changed."""
    folder.predictions.unlink(missing_ok=True)
    folder.regions.unlink(missing_ok=True)
    _forget_partial(folder)


def _forget_partial(folder: RunFolder) -> None:
    """Remove the rows of an inspection that has not finished."""
    folder.partial_predictions.unlink(missing_ok=True)
    folder.partial_regions.unlink(missing_ok=True)


def _append(path: Path, rows: Iterable[Iterable[object]]) -> None:
    lines = "".join(map(csv_line, rows))
    with naming(path), path.open("a", encoding="utf-8", newline="") as file:
        file.write(lines)


def _stored(folder: RunFolder, pixel_size_mm: float | None, *, growing: bool) -> list[Inspected]:
    partial = folder.partial_predictions.exists()
    inspections = folder.partial_predictions if partial else folder.predictions
    regions = folder.partial_regions if partial else folder.regions
    unfinished = partial or growing
    if not inspections.exists() or not regions.exists():
        return []
    try:
        images = [StoredInspection.from_row(row) for row in _rows(inspections, unfinished)]
        found = [StoredRegion.from_row(row, pixel_size_mm) for row in read_csv(regions, unfinished=unfinished)]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{inspections}, {regions.name}: damaged ({in_short(error)}); delete both, and all images are inspected "
            "again"
        ) from error
    by_image: dict[tuple[str, str], list[StoredRegion]] = {}
    for region in found:
        by_image.setdefault((region.defect, region.name), []).append(region)
    items = [Inspected(image, tuple(by_image.get((image.defect, image.name), ()))) for image in images]
    # After a power cut one file may hold what another lacks.
    return [item for item in items if item.inspection.regions == len(item.regions)]


def _rows(path: Path, unfinished: bool) -> list[dict[str, str]]:
    return [row for row in read_csv(path, unfinished=unfinished) if row["verdict"] != SKIPPED]
