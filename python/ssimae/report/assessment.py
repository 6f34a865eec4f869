"""Compare each inspected image with its ground truth and rank failures first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssimae.data.masks import load_mask, read_ignored
from ssimae.images.maps import read_float_map
from ssimae.inspection.verdict import segment
from ssimae.storage.predictions import StoredInspection
from ssimae.storage.records import ModelResults

Fault = Literal["missed", "misplaced", "not located", "false alarm"]
"""`misplaced`: marked in a wrong place alone; `not located`: flagged as a whole, with nothing marked."""


@dataclass(frozen=True)
class Maps:
    """Stored maps and masks of one image, at its size; None where one cannot be read."""

    judged: NDArray[np.float32] | None
    """Map that the verdict rests on: calibrated residual, or residual."""
    segmentation: NDArray[np.bool_] | None
    truth: NDArray[np.bool_] | None
    """Defective pixels that were inspected; all False for good images."""
    ignored: NDArray[np.bool_] | None
    """Pixels that were not inspected; None for none."""
    problems: tuple[str, ...]
    """Why something is None, in whole sentences."""


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of one segmentation against its truth."""

    hit: int
    """Defective and marked."""
    missed: int
    """Defective and not marked."""
    false: int
    """Good and marked."""
    clear: int
    """Good and not marked."""

    @property
    def covered(self) -> float | None:
        """Share of the defective pixels that is marked; None where nothing is defective."""
        return self.hit / (self.hit + self.missed) if self.hit + self.missed else None

    @property
    def false_share(self) -> float | None:
        """Share of the good pixels that is marked; None where nothing is good."""
        return self.false / (self.false + self.clear) if self.false + self.clear else None

    @property
    def quality(self) -> float:
        """Intersection over union of marked and defective pixels; on good images, the share left unmarked."""
        if self.hit + self.missed == 0:
            return 1 - (self.false_share or 0.0)
        return self.hit / (self.hit + self.missed + self.false)


@dataclass(frozen=True)
class Assessment:
    """One inspected image and how well it went."""

    inspection: StoredInspection
    fault: Fault | None
    counts: PixelCounts | None
    """None without ground truth or maps."""


def read_maps(results: ModelResults, inspection: StoredInspection) -> Maps:
    """Return the stored map that the verdict rests on, the segmentation it gives, and the ground truth of one image."""
    problems = []
    judged = segmentation = truth = ignored = None
    # Not RunFolder.judged: where `calibrated/` was deleted, its thresholds say nothing about the residual.
    maps = results.folder.calibrated if results.calibrated else results.folder.residuals
    path = results.folder.map_path(maps, inspection.defect, inspection.name)
    try:
        judged = read_float_map(path)
    except (OSError, ValueError) as error:
        problems.append(f"No {results.map_name}: {_reason(error)}.")
    if judged is not None and results.thresholds is not None:
        segmentation, _, _ = segment(judged, results.thresholds)
    sample = inspection.sample
    shape = (inspection.height, inspection.width)
    try:
        ignored = read_ignored(sample, shape)
    except (OSError, ValueError) as error:
        problems.append(f"No ignore mask: {_reason(error)}.")
    if inspection.has_truth:
        try:
            truth = load_mask(sample, shape)
        except (OSError, ValueError) as error:
            problems.append(f"No ground truth: {_reason(error)}.")
    if truth is not None and ignored is not None:
        truth = truth & ~ignored
    return Maps(judged, segmentation, truth, ignored, tuple(problems))


def assess(results: ModelResults) -> list[Assessment]:
    """Return every inspected image with its faults, the worst first.

    Notes
    -----
    Faulty images come before the others. Where every image has pixel counts, both parts are in order of
    :attr:`PixelCounts.quality`, lowest first; otherwise in order of the score, highest first.
    """
    assessments = [assess_image(results, inspection) for inspection in results.inspections]
    by_quality = all(item.counts is not None for item in assessments)
    return sorted(
        assessments,
        key=lambda item: (
            item.fault is None,
            item.counts.quality if by_quality and item.counts is not None else 0.0,
            -item.inspection.score,
        ),
    )


def pooled(assessments: Sequence[Assessment]) -> PixelCounts | None:
    """Return the pixel counts of all images together, or None unless each has some."""
    counts = [item.counts for item in assessments if item.counts is not None]
    if not counts or len(counts) < len(assessments):
        return None
    return PixelCounts(
        sum(count.hit for count in counts),
        sum(count.missed for count in counts),
        sum(count.false for count in counts),
        sum(count.clear for count in counts),
    )


def assess_image(results: ModelResults, inspection: StoredInspection) -> Assessment:
    """Return one inspected image with its fault and, where its truth and maps are there, its pixel counts."""
    counts = None
    if inspection.has_truth:
        maps = read_maps(results, inspection)
        if maps.segmentation is not None and maps.truth is not None and maps.segmentation.shape == maps.truth.shape:
            counts = _count(maps.segmentation, maps.truth, maps.ignored)
    return Assessment(inspection, _fault(inspection, counts), counts)


def _count(segmentation: NDArray[np.bool_], truth: NDArray[np.bool_], ignored: NDArray[np.bool_] | None) -> PixelCounts:
    hit = int(np.count_nonzero(segmentation & truth))
    marked, defective = int(np.count_nonzero(segmentation)), int(np.count_nonzero(truth))
    inspected = truth.size - (0 if ignored is None else int(np.count_nonzero(ignored)))
    return PixelCounts(hit, defective - hit, marked - hit, inspected - defective - marked + hit)


def _fault(inspection: StoredInspection, counts: PixelCounts | None) -> Fault | None:
    if inspection.is_defective is None:
        return None
    if not inspection.is_defective:
        return "false alarm" if inspection.flagged else None
    if counts is not None and counts.hit + counts.missed == 0:
        return None  # what is defective there is not inspected
    if not inspection.flagged:
        return "missed"
    if counts is not None and counts.hit == 0 and counts.missed > 0:
        return "misplaced" if inspection.regions else "not located"
    return None


def _reason(error: Exception) -> str:
    """Return the first line of an error, for the end of a sentence."""
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} is not there any more"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
