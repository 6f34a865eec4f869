"""List the ground-truth regions that a detector finds worst, from ``region_scores.csv``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssimae.csv_files import read_csv

_MOST = 20
"""Regions that a page lists."""


@dataclass(frozen=True)
class WorstRegion:
    """One region of a mask."""

    name: str
    """Image and its defect."""
    defect: str
    area_px: int
    box: tuple[int, int, int, int]
    """Top, left, bottom, right; half-open."""
    au_pro: float
    """Its covered share over the false positive rate, up to the first limit."""

    @property
    def place(self) -> str:
        """Where it lies, in words."""
        top, left, bottom, right = self.box
        return f"rows {top}–{bottom - 1}, columns {left}–{right - 1}"


def worst_regions(path: Path) -> list[WorstRegion]:
    """Return the regions of the lowest AU-PRO; none where the file is absent.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    if not path.exists():
        return []
    try:
        rows = read_csv(path)
        if not rows:
            return []
        column = next(name for name in rows[0] if name.startswith("au_pro_"))
        regions = [
            WorstRegion(
                row["image"],
                row["defect"],
                int(row["area_px"]),
                (int(row["top"]), int(row["left"]), int(row["bottom"]), int(row["right"])),
                float(row[column]),
            )
            for row in rows
        ]
    except (KeyError, ValueError, StopIteration) as error:
        raise ValueError(f"{path}: not the regions of an evaluation ({error})") from error
    return sorted(regions, key=lambda region: (region.au_pro, -region.area_px))[:_MOST]
