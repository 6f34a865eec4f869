"""Compute the metrics that some benchmarks ask for, from stored maps that are read once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import Dataset
from ssimae.data.masks import load_mask, read_ignored
from ssimae.evaluation.protocols.aupimo import aupimo
from ssimae.evaluation.protocols.spro import auspros, read_saturations
from ssimae.evaluation.result import Evaluation
from ssimae.progress import Progress


def with_protocols(
    evaluation: Evaluation,
    dataset: Dataset,
    maps: Sequence[Path],
    read: Callable[[Path], NDArray[Any]],
    *,
    of: str,
    memory_limit: int | None,
    progress: Progress,
) -> Evaluation:
    """Return the evaluation with AUPIMO, and AU-sPRO where the data set says what is enough of a defect.

    Parameters
    ----------
    evaluation : Evaluation
        Of the test images of the data set.
    dataset : Dataset
    maps : sequence of Path
        Of each test image.
    read : function of a path
        Returns a stored map at the size of its image.
    of : str
        What the maps are of, for the progress.
    memory_limit : int or None
        As for :class:`ssimae.evaluation.evaluator.Evaluator`.
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If a file cannot be read.
    """
    samples, images = dataset.test, evaluation.images

    def image(number: int) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_] | None]:
        map_ = read(maps[number])
        return map_, load_mask(samples[number], map_.shape), read_ignored(samples[number], map_.shape)

    inspected: list[int] = np.flatnonzero(~np.isnan(images.score)).tolist()
    with progress.task(f"overlap by image of {of}", len(inspected)) as task:
        aupimos = aupimo(inspected, images.is_defective, image, progress=task.update)
    saturations = read_saturations(dataset.root)
    if saturations is None:
        return replace(evaluation, aupimos=aupimos)
    with progress.task(f"saturated overlap of {of}", len(samples)) as task:
        found = auspros(
            samples,
            saturations,
            lambda number: read(maps[number]),
            fpr_limits=tuple(evaluation.aupros),
            memory_limit=memory_limit,
            progress=task.update,
        )
    return replace(evaluation, aupimos=aupimos, auspros=found)
