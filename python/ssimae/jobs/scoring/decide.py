"""Find out what detectors decide at thresholds of their own: a run at its own, others at one that is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import Sample
from ssimae.data.masks import load_mask, read_ignored
from ssimae.evaluation.decisions.decisions import Decisions, MarkedPixels, count_marked
from ssimae.evaluation.result import Evaluation
from ssimae.inspection.threshold import Thresholds
from ssimae.inspection.verdict import Verdict, segment
from ssimae.storage.predictions import read_predictions
from ssimae.storage.run_folder import RunFolder


class Decide(Protocol):
    """The rule of a detector."""

    @property
    def threshold(self) -> float:
        """Its level."""

    def __call__(
        self, sample: Sample, map_: NDArray[Any], ignored: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.bool_], Verdict]:
        """Return the marked pixels of an image, (h, w), and the verdict on it."""


class AtThreshold:
    """Marks what reaches a threshold; an image of which something is marked is defective."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def __call__(
        self, sample: Sample, map_: NDArray[Any], ignored: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.bool_], Verdict]:
        """Return the marked pixels of an image, (h, w), and the verdict on it."""
        marked = map_ >= self.threshold
        inspected = marked if ignored is None else marked & ~ignored
        return marked, "defective" if inspected.any() else "good"


class OfRun:
    """Marks the regions that a run does; its verdicts are those it gave, or what its thresholds say of other images."""

    def __init__(self, folder: RunFolder, thresholds: Thresholds) -> None:
        self.threshold = thresholds.review
        self._thresholds = thresholds
        given, _ = read_predictions(folder.predictions)
        self._verdicts = {(row.defect, row.name): row.verdict for row in given}
        self._scores = {(row.defect, row.name): row.score for row in given} if folder.calibrated.exists() else {}

    def scores_of(self, samples: Sequence[Sample]) -> list[float] | None:
        """Return the scores that the verdicts on images rest on, where these are not the highest of their maps.

        None where they are, or the run did not inspect one of the images.
        """
        keys = [(sample.defect, sample.name) for sample in samples]
        return [self._scores[key] for key in keys] if all(key in self._scores for key in keys) else None

    @classmethod
    def at(cls, folder: Path) -> OfRun | None:
        """Return the rule of a run folder; None for a folder that is none, or has no thresholds yet.

        Nor has one whose calibrated maps are gone: its thresholds say nothing of the residuals.
        """
        run = RunFolder(folder)
        if run.pod.exists() and not run.calibrated.exists():  # defects are planted where a run calibrates
            return None
        thresholds = run.read_thresholds() if run.config.exists() else None
        return None if thresholds is None else cls(run, thresholds)

    def __call__(
        self, sample: Sample, map_: NDArray[Any], ignored: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.bool_], Verdict]:
        """Return the marked pixels of an image, (h, w), and the verdict on it."""
        marked, _, verdict = segment(np.ascontiguousarray(map_, dtype=np.float32), self._thresholds)
        return marked, self._verdicts.get((sample.defect, sample.name), verdict)


def decisions_of(
    decide: Decide,
    samples: Sequence[Sample],
    maps: Sequence[Path],
    read: Callable[[Path], NDArray[Any]],
    evaluation: Evaluation,
    *,
    progress: Callable[[int], None],
) -> Decisions:
    """Return what a detector decides on images, each map read once more.

    Parameters
    ----------
    decide : Decide
    samples, maps
        The images, and the map of each.
    read : function of a path
        Returns a stored map.
    evaluation : Evaluation
        Of the same images; it says which are defective. Images of which nothing is inspected are left out.
    progress : function of an int
        Told how many images are done.
    """
    pixels, verdicts, truths = MarkedPixels(), [], []
    images = evaluation.images
    for index, (sample, path) in enumerate(zip(samples, maps, strict=True)):
        map_ = read(path)
        ignored = read_ignored(sample, map_.shape)
        marked, verdict = decide(sample, map_, ignored)
        pixels += count_marked(marked, load_mask(sample, map_.shape), ignored)
        if not np.isnan(images.score[index]):
            verdicts.append(verdict)
            truths.append(bool(images.is_defective[index]))
        progress(index + 1)
    return Decisions.collect(decide.threshold, pixels, verdicts, truths)
