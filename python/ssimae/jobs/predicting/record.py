"""Say what was found in an image in a line of JSON, for programs that know nothing of Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Judgement
from ssimae.regions import outline_region
from ssimae.storage.inspected import Inspected
from ssimae.storage.predictions import SKIPPED, StoredRegion

SCHEMA = 1
"""Version of the lines. A key may be added; what one means never changes under the same number."""


@dataclass(frozen=True)
class Found:
    """An image that was inspected, or skipped."""

    shown: str
    """Its path as it was given."""
    verdict: str
    """`good`, `review`, `defective` or `skipped`."""
    reason: str
    score: float | None
    line: Mapping[str, Any]
    """What JSON says of it."""

    @property
    def flagged(self) -> bool:
        """Whether a person or a gate should look at it."""
        return self.verdict in ("review", "defective")


def found_in(
    shown: str,
    item: Inspected,
    judgement: Judgement,
    thresholds: Thresholds,
    *,
    files: Mapping[str, Path],
    seconds: float,
) -> Found:
    """Return what is said of an image that was inspected.

    Parameters
    ----------
    shown : str
    item : Inspected
        Its rows.
    judgement : Judgement
    thresholds : Thresholds
        By which it was judged.
    files : mapping of str to Path
        What was written of it, such as its ``mask``.
    seconds : float
        How long it took, from reading to writing.
    """
    row = item.inspection
    line = {
        **_head(shown, row.name, row.verdict, row.reason),
        "score": row.score,
        "review": thresholds.review,
        "defective": thresholds.defective,
        "height": row.height,
        "width": row.width,
        "defect_px": row.defect_px,
        "defect_mm2": row.defect_mm2,
        "pixel_size_mm": item.pixel_size_mm,
        "regions": [
            _region(region, outline_region(judgement.mask, _box(region)), thresholds) for region in item.regions
        ],
        "files": {kind: str(path) for kind, path in files.items()},
        "seconds": round(seconds, 4),
    }
    return Found(shown, row.verdict, row.reason, row.score, line)


def not_inspected(shown: str, name: str, reason: str) -> Found:
    """Return what is said of an image that could not be inspected: the same keys, with null where nothing is known."""
    unknown = ("score", "review", "defective", "height", "width", "defect_px", "defect_mm2", "pixel_size_mm")
    line = {
        **_head(shown, name, SKIPPED, reason),
        **dict.fromkeys(unknown),
        "regions": [],
        "files": {},
        "seconds": None,
    }
    return Found(shown, SKIPPED, reason, None, line)


def _head(shown: str, name: str, verdict: str, reason: str) -> dict[str, Any]:
    # A name that is not UTF-8 cannot stand in JSON; such an image is skipped for it.
    shown, name = (os.fsencode(text).decode("utf-8", "backslashreplace") for text in (shown, name))
    return {"schema": SCHEMA, "image": shown, "name": name, "verdict": verdict, "reason": reason}


def _region(stored: StoredRegion, contour: NDArray[np.int64], thresholds: Thresholds) -> dict[str, Any]:
    region, sizes = stored.region, stored.sizes_mm or (None, None, None)
    return {
        "region": stored.number,
        "verdict": "defective" if region.max_score > thresholds.defective else "review",
        "max_score": region.max_score,
        "mean_score": region.mean_score,
        "area": region.area,
        "box": {"top": region.top, "left": region.left, "bottom": region.bottom, "right": region.right},
        "centre": {"row": region.row, "column": region.column},
        "contour": contour.tolist(),
        **dict(zip(("area_mm2", "height_mm", "width_mm"), sizes, strict=True)),
    }


def _box(stored: StoredRegion) -> tuple[int, int, int, int]:
    region = stored.region
    return region.top, region.left, region.bottom, region.right
