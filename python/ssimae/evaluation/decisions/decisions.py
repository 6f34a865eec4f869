"""Hold what a detector decided at its own thresholds against the truth, with intervals for shares of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from ssimae.inspection.verdict import Verdict

VERDICTS: tuple[Verdict, ...] = ("good", "review", "defective")


@dataclass(frozen=True)
class MarkedPixels:
    """Inspected pixels of all images, by whether they are defective and whether they are marked."""

    hit: int = 0
    """Defective and marked."""
    missed: int = 0
    """Defective and not marked."""
    false: int = 0
    """Good and marked."""
    clear: int = 0
    """Good and not marked."""

    def __add__(self, other: MarkedPixels) -> MarkedPixels:
        return MarkedPixels(
            self.hit + other.hit, self.missed + other.missed, self.false + other.false, self.clear + other.clear
        )

    @property
    def precision(self) -> float | None:
        """Defective share of the marked pixels; None where nothing is marked."""
        return _share(self.hit, self.hit + self.false)

    @property
    def recall(self) -> float | None:
        """Marked share of the defective pixels; None where nothing is defective."""
        return _share(self.hit, self.hit + self.missed)

    @property
    def f1(self) -> float | None:
        """F1 of the pixels, which MVTec AD 2 calls SegF1; None where nothing is marked or defective."""
        return _share(2 * self.hit, 2 * self.hit + self.missed + self.false)


def count_marked(
    marked: NDArray[np.bool_], mask: NDArray[np.bool_], ignored: NDArray[np.bool_] | None = None
) -> MarkedPixels:
    """Return the counts of one image.

    Parameters
    ----------
    marked, mask : ndarray of shape (h, w), bool
        Pixels that the detector marks, and those that are defective.
    ignored : ndarray of shape (h, w), bool, optional
        Pixels that are not inspected.
    """
    if ignored is not None:
        marked, mask = marked & ~ignored, mask & ~ignored
    inspected = mask.size - (0 if ignored is None else int(np.count_nonzero(ignored)))
    hit = int(np.count_nonzero(marked & mask))
    missed, false = int(np.count_nonzero(mask)) - hit, int(np.count_nonzero(marked)) - hit
    return MarkedPixels(hit, missed, false, inspected - hit - missed - false)


@dataclass(frozen=True)
class Decisions:
    """Verdicts on images and marked pixels, against the truth."""

    threshold: float
    """Level from which on, or above which, pixels are marked."""
    pixels: MarkedPixels
    verdicts: tuple[tuple[int, ...], tuple[int, ...]]
    """Good images, and defective ones, by verdict: `good`, `review`, `defective`."""

    @classmethod
    def collect(
        cls, threshold: float, pixels: MarkedPixels, verdicts: Sequence[str], is_defective: Sequence[bool]
    ) -> Decisions:
        """Return the decisions on images in a sequence."""
        pairs = list(zip(verdicts, is_defective, strict=True))
        good, bad = (tuple(pairs.count((verdict, truth)) for verdict in VERDICTS) for truth in (False, True))
        return cls(threshold, pixels, (good, bad))

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON; shares of images have 95 % intervals (Wilson), and None is undefined."""
        good, bad = self.verdicts
        return {
            "threshold": self.threshold,
            "pixels": {
                "hit": self.pixels.hit,
                "missed": self.pixels.missed,
                "false": self.pixels.false,
                "clear": self.pixels.clear,
                "precision": self.pixels.precision,
                "recall": self.pixels.recall,
                "f1": self.pixels.f1,
            },
            "verdicts": {
                "good": dict(zip(VERDICTS, good, strict=True)),
                "defective": dict(zip(VERDICTS, bad, strict=True)),
            },
            "images": {
                "flagged": _rates(sum(bad[1:]), sum(bad), sum(good[1:]), sum(good)),
                "defective": _rates(bad[2], sum(bad), good[2], sum(good)),
            },
        }


def _rates(hit: int, defective: int, false: int, good: int) -> dict[str, Any]:
    return {
        "precision": _interval(hit, hit + false),
        "recall": _interval(hit, defective),
        "false_alarms": _interval(false, good),
        "f1": _share(2 * hit, hit + defective + false),
    }


def _interval(count: int, total: int) -> dict[str, float] | None:
    if not total:
        return None
    found = binomtest(count, total).proportion_ci(method="wilson")
    return {"value": count / total, "low": float(found.low), "high": float(found.high), "of": total}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
