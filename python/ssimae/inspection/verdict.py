"""Segment a residual map into regions and decide whether it is good, to be reviewed, or defective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import extremes
from ssimae.inspection.threshold import Thresholds
from ssimae.levels.rules import marked_regions, region_level

if TYPE_CHECKING:
    from ssimae.inspection.inspector import Maps  # needs torch, which verdicts do not

Verdict = Literal["good", "review", "defective"]

PLACE = "a place stands out"
WHOLE = "the whole image is unlike the good ones"
"""Reasons for a verdict."""


@dataclass(frozen=True)
class Region:
    """One connected region of a segmentation; the box is half-open."""

    area: int
    top: int
    left: int
    bottom: int
    right: int
    row: float
    column: float
    max_score: float
    mean_score: float


def segment(
    residual: NDArray[np.float32], thresholds: Thresholds
) -> tuple[NDArray[np.bool_], tuple[Region, ...], Verdict]:
    """Return the segmentation of a residual map, its regions (highest first) and the verdict.

    Parameters
    ----------
    residual : ndarray of shape (h, w), float32
    thresholds : Thresholds

    Returns
    -------
    mask : ndarray of shape (h, w), bool
        Pixels of the regions above `review`, as :func:`ssimae.levels.rules.marked_regions` defines them.
    regions : tuple of Region
    verdict : {"good", "review", "defective"}
    """
    mask, statistics = marked_regions(residual, thresholds.review, thresholds.rules)
    regions = sorted(
        (
            Region(
                int(statistics.areas[index]),
                top=int(statistics.boxes[index, 0]),
                left=int(statistics.boxes[index, 1]),
                bottom=int(statistics.boxes[index, 2]),
                right=int(statistics.boxes[index, 3]),
                row=float(statistics.centroids[index, 0]),
                column=float(statistics.centroids[index, 1]),
                max_score=float(statistics.max_scores[index]),
                mean_score=float(statistics.mean_scores[index]),
            )
            for index in range(len(statistics.areas))
        ),
        key=lambda region: -region.max_score,
    )
    if not regions:
        return mask, (), "good"
    return mask, tuple(regions), "defective" if regions[0].max_score > thresholds.defective else "review"


@dataclass(frozen=True)
class Judgement:
    """What is said about one image."""

    verdict: Verdict
    reason: str
    """Why it is not good, in words; empty for a good one."""
    score: float
    """Larger is more defective. Of a calibrated map the level that a region reaches, so that the image is flagged where
    it exceeds `review`; a defective one may score less than `defective`, which the highest value of a region exceeds.
    Else the highest residual."""
    mask: NDArray[np.bool_]
    """(h, w), True where a region lies."""
    regions: tuple[Region, ...]
    """Highest first."""


def judge(maps: Maps, thresholds: Thresholds) -> Judgement:
    """Return the verdict on an image, its reason, score, segmentation and regions; see :func:`judge_map`."""
    return judge_map(maps.judged, thresholds, calibrated=maps.calibrated, unlike=maps.unlike)


def judge_map(
    judged: NDArray[np.float32], thresholds: Thresholds, *, calibrated: bool, unlike: Sequence[str]
) -> Judgement:
    """Return the verdict on an image, its reason, score, segmentation and regions.

    Parameters
    ----------
    judged : ndarray of shape (h, w), float32
        Map that the verdict rests on.
    thresholds : Thresholds
    calibrated : bool
        Whether it is calibrated.
    unlike : sequence of str
        How the whole image is unlike the good ones, in words.

    Notes
    -----
    An image that is unlike the good ones as a whole, because of its lot, light or focus, is at least to be reviewed.
    Its score then lies above `review`, and its map is not painted for it.
    """
    mask, regions, verdict = segment(judged, thresholds)
    if not calibrated:
        return Judgement(verdict, PLACE if regions else "", float(extremes(judged)[1]), mask, regions)
    score = region_level(judged, thresholds.rules)
    reasons = [PLACE] if regions else []
    if unlike:
        reasons.append(f"{WHOLE} ({', '.join(unlike)})")
        verdict = "review" if verdict == "good" else verdict
        score = max(score, float(np.nextafter(thresholds.review, np.inf)))
    return Judgement(verdict, "; ".join(reasons), score, mask, regions)


def unlike_in(reason: str) -> list[str]:
    """Return how a whole image is unlike the good ones, from the reason of its verdict."""
    _, found, words = reason.partition(f"{WHOLE} (")
    return words.removesuffix(")").split(", ") if found else []
