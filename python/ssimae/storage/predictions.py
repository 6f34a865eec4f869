"""Write and read the tables ``predictions.csv`` and ``regions.csv``: a row for each image and region."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self, get_type_hints

from ssimae.csv_files import read_csv, write_csv
from ssimae.data.dataset import GOOD, UNLABELLED, Sample
from ssimae.errors import in_short
from ssimae.images.read import MAX_PIXELS
from ssimae.inspection.verdict import Region, Verdict
from ssimae.reading import Count, Finite, NotNegative, as_row, from_json

COLUMNS = (
    "name", "defect", "image", "mask", "ignore", "height", "width", "score", "verdict", "regions", "defect_px",
    "reason", "defect_mm2", "bytes", "modified",
)  # fmt: skip
"""Columns of ``predictions.csv``."""

REGION_COLUMNS = ("name", "defect", "region", *Region.__dataclass_fields__, "area_mm2", "height_mm", "width_mm")
"""Columns of ``regions.csv``."""

SKIPPED = "skipped"
"""What stands under `verdict` for an image that could not be inspected."""

TRAINING = "training"
"""Defect name of good images that are inspected themselves, because there is no test image."""


def area_mm2(pixels: int, pixel_size_mm: float) -> float:
    """Return the area of some pixels in square millimetres, as tables hold it."""
    return _plain(pixels * pixel_size_mm**2)


def _plain(size: float) -> float:
    """Return a size without the digits that binary fractions add: 2.46, and not 2.4600000000000004."""
    return float(f"{size:.9g}")


class Stamp(NamedTuple):
    """What tells whether a file has changed since."""

    bytes: int
    modified: str
    """Time of the last change, in UTC to the nanosecond."""


def make_stamp(size: int, mtime_ns: int) -> Stamp:
    """Return the stamp of a file of so many bytes that was changed so many nanoseconds after 1970."""
    # Not by way of a float, which has no room for nanoseconds.
    seconds, nanoseconds = divmod(mtime_ns, 10**9)
    time = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    return Stamp(size, f"{time.isoformat()}.{nanoseconds:09d}Z")


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of a file; raises an OSError where it has gone."""
    status = path.stat()
    return make_stamp(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class StoredInspection:
    """A row of ``predictions.csv``: an image that was inspected."""

    name: str
    defect: str
    image: Path
    """Original file; it may have been moved away since."""
    masks: tuple[Path, ...]
    """Ground truth, all of it united."""
    ignore: Path | None
    """Mask of the pixels that were not inspected."""
    height: Count
    width: Count
    score: Finite
    verdict: Verdict
    regions: Count
    """Number of marked regions."""
    defect_px: Count
    """Number of marked pixels."""
    reason: str = ""
    """Why the verdict is not good, in words."""
    defect_mm2: NotNegative | None = None
    """Area of the marked pixels in square millimetres; None where nobody said how large a pixel is."""
    bytes: Count | None = None
    """Size of the file when it was inspected, and time of its last change; None and empty in rows of earlier
    versions."""
    modified: str = ""

    @property
    def stamp(self) -> Stamp | None:
        """What the file was like when it was inspected; None where that is not known."""
        return None if self.bytes is None or not self.modified else Stamp(self.bytes, self.modified)

    @property
    def sample(self) -> Sample:
        """The image as a data set names it."""
        return Sample(self.image, self.name, self.defect, self.masks, self.ignore)

    @property
    def has_truth(self) -> bool:
        """Whether it is known which pixels are defective."""
        return self.defect == GOOD or bool(self.masks)

    @property
    def is_defective(self) -> bool | None:
        """Whether the image is known to be defective, or good; None where nothing says."""
        return None if self.defect == UNLABELLED else self.defect not in (GOOD, TRAINING)

    @property
    def flagged(self) -> bool:
        """Whether the verdict is `review` or `defective`."""
        return self.verdict != "good"

    def to_row(self) -> tuple[object, ...]:
        """Return the cells below :data:`COLUMNS`."""
        return (
            self.name, self.defect, self.image, _masks_cell(self.masks), self.ignore or "", self.height, self.width,
            self.score, self.verdict, self.regions, self.defect_px, self.reason, _cell(self.defect_mm2),
            _cell(self.bytes), self.modified,
        )  # fmt: skip

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> Self:
        """Return the image that a row is about.

        Raises
        ------
        KeyError, ValueError
            If a cell is missing, or holds what it cannot.
        """
        known = {name: cell for name, cell in row.items() if cell or name not in ("defect_mm2", "bytes")}
        cells = {**known, "masks": _masks_of(row["mask"]), "ignore": row["ignore"] or None}
        inspection = as_row(cells, cls)
        if inspection.height * inspection.width > MAX_PIXELS:
            raise ValueError(f"an image of {inspection.height} x {inspection.width} pixels")
        if "\0" in inspection.name + inspection.defect or {"", ".", ".."} & {inspection.name, inspection.defect}:
            raise ValueError(f"no name: {inspection.name!r} of {inspection.defect!r}")
        return inspection


def _cell(value: float | None) -> object:
    return "" if value is None else value


def _masks_cell(masks: tuple[Path, ...]) -> str:
    """Return masks as one cell: the path of one, which is absolute, or several as a JSON array."""
    return json.dumps([str(mask) for mask in masks]) if len(masks) > 1 else "".join(map(str, masks))


def _masks_of(cell: str) -> list[str]:
    """Return the paths of masks that :func:`_masks_cell` wrote."""
    return from_json(cell, list[str]) if cell.startswith("[") else [cell] if cell else []


@dataclass(frozen=True)
class SkippedImage:
    """A row of ``predictions.csv``: an image that could not be inspected."""

    image: Path
    reason: str

    def to_row(self) -> tuple[object, ...]:
        """Return the cells below :data:`COLUMNS`."""
        # A name that is not UTF-8 is one of the reasons.
        path = Path(os.fsencode(self.image).decode("utf-8", "backslashreplace"))
        return (path.stem, "", path, "", "", "", "", "", SKIPPED, "", "", self.reason, "", "", "")

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> Self:
        """Return the image that a row is about; raises a KeyError or ValueError if a cell is missing."""
        return as_row(row, cls)


@dataclass(frozen=True)
class StoredRegion:
    """A row of ``regions.csv``: a marked region of an image that was inspected."""

    name: str
    """Image and its defect, as in ``predictions.csv``."""
    defect: str
    number: int
    """From 1 in each image, the region of the highest residual first."""
    region: Region
    pixel_size_mm: float | None = None
    """Side of a pixel in millimetres; None where nobody said."""

    @property
    def sizes_mm(self) -> tuple[float, float, float] | None:
        """Area in square millimetres, and height and width of the box in millimetres; None without a pixel size."""
        side, region = self.pixel_size_mm, self.region
        if side is None:
            return None
        return (
            area_mm2(region.area, side),
            _plain((region.bottom - region.top) * side),
            _plain((region.right - region.left) * side),
        )

    def to_row(self) -> tuple[object, ...]:
        """Return the cells below :data:`REGION_COLUMNS`."""
        return (self.name, self.defect, self.number, *asdict(self.region).values(), *(self.sizes_mm or ("", "", "")))

    @classmethod
    def from_row(cls, row: Mapping[str, str], pixel_size_mm: float | None = None) -> Self:
        """Return the region that a row is about; raises a KeyError or ValueError if a cell is missing or no number."""
        numbers = {name: kind(row[name]) for name, kind in get_type_hints(Region).items()}
        return cls(row["name"], row["defect"], int(row["region"]), Region(**numbers), pixel_size_mm)


def write_predictions(path: Path, inspections: Iterable[StoredInspection], skipped: Iterable[SkippedImage]) -> None:
    """Write ``predictions.csv``: inspected images first, then those that could not be."""
    write_csv(path, COLUMNS, [*(row.to_row() for row in inspections), *(row.to_row() for row in skipped)])


def read_predictions(
    path: Path, *, growing: bool = False
) -> tuple[tuple[StoredInspection, ...], tuple[SkippedImage, ...]]:
    """Return the images of ``predictions.csv``, inspected and skipped; none where the file is absent.

    Of an image that was skipped and inspected later, or inspected again because its file had changed, the last row
    counts. While rows are added, as `growing` says, a last one that is not whole yet is left out.

    Raises
    ------
    ValueError
        If the file is damaged or of another version.
    """
    if not path.exists():
        return (), ()
    try:
        rows = read_csv(path, unfinished=growing)
        if growing:
            rows = list({row["image"]: row for row in rows}.values())
        return (
            tuple(StoredInspection.from_row(row) for row in rows if row["verdict"] != SKIPPED),
            tuple(SkippedImage.from_row(row) for row in rows if row["verdict"] == SKIPPED),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: not the predictions of this version ({in_short(error)})") from error


def write_regions(path: Path, regions: Iterable[StoredRegion]) -> None:
    """Write ``regions.csv``."""
    write_csv(path, REGION_COLUMNS, [region.to_row() for region in regions])
