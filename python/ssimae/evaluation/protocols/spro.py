"""Compute AU-sPRO of MVTec LOCO AD, where a defect counts as found once enough of it is covered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import Sample
from ssimae.data.masks import read_ignored
from ssimae.evaluation.evaluator import Evaluator
from ssimae.images.decoding import decode
from ssimae.images.read import MAX_PIXELS
from ssimae.reading import as_kind, read_json

CONFIG = "defects_config.json"
"""File of a category of MVTec LOCO AD that says when its defects are covered."""


@dataclass(frozen=True)
class Saturation:
    """How much of a kind of defect has to be covered."""

    pixel_value: int
    """What marks such a defect in a mask."""
    saturation_threshold: float
    """Pixels, or share of the defect."""
    relative_saturation: bool

    def area(self, pixels: int) -> int:
        """Return how many pixels of a defect are enough."""
        wanted = self.saturation_threshold * pixels if self.relative_saturation else self.saturation_threshold
        return max(1, min(int(wanted), pixels))


def read_saturations(root: Path) -> dict[int, Saturation] | None:
    """Return the saturation of each kind of defect by its value in masks; None where a data set has no such file.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is damaged.
    """
    path = root / CONFIG
    if not path.is_file():
        return None
    try:
        kinds = as_kind(read_json(path, list[dict[str, Any]]), list[Saturation])
    except ValueError as error:
        raise ValueError(f"{path}: not the defects of MVTec LOCO AD ({error})") from error
    return {kind.pixel_value: kind for kind in kinds}


def auspros(
    samples: Sequence[Sample],
    saturations: Mapping[int, Saturation],
    read: Callable[[int], NDArray[Any]],
    *,
    fpr_limits: Sequence[float],
    memory_limit: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[float, float]:
    """Return AU-sPRO at each limit of the false positive rate.

    Parameters
    ----------
    samples : sequence of Sample
        Each file of masks holds one defect, marked by the value of its kind.
    saturations : mapping of int to Saturation
    read : function of the number of a sample
        Returns its map, (h, w).
    fpr_limits, memory_limit
        As for :class:`ssimae.evaluation.evaluator.Evaluator`.
    progress : function of an int
        Told how many images are done.

    Raises
    ------
    OSError, ValueError
        If a mask cannot be read, or holds another value than those of the kinds, or several.

    Notes
    -----
    A defect of which s pixels are enough counts with min(covered pixels / s, 1). Only its s highest scores move that
    number, so it is the covered share of a region made of these alone, and AU-sPRO is the AU-PRO of such regions, ties
    and limits included. Good pixels are those outside all defects.

    References
    ----------
    Bergmann, Batzner, Fauser, Sattlegger, Steger: Beyond Dents and Scratches: Logical Constraints in Unsupervised
    Anomaly Detection and Localization. IJCV 2022.
    """
    evaluator = Evaluator(memory_limit=memory_limit)
    for number, sample in enumerate(samples):
        map_ = read(number)
        ignored = read_ignored(sample, map_.shape)
        outside = np.zeros(map_.shape, np.bool_) if ignored is None else ignored.copy()
        for path in sample.masks:
            defect, kind = _read_defect(path, saturations)
            outside |= defect
            scores = map_[defect if ignored is None else defect & ~ignored]
            if len(scores):
                enough = kind.area(len(scores))
                highest = np.partition(scores, len(scores) - enough)[len(scores) - enough :]
                evaluator.update(highest[None], np.ones((1, enough), np.bool_))
        evaluator.update(map_, np.zeros(map_.shape, np.bool_), ignore=outside)
        progress(number + 1)
    return evaluator.compute(fpr_limits=fpr_limits).aupros


def _read_defect(path: Path, saturations: Mapping[int, Saturation]) -> tuple[NDArray[np.bool_], Saturation]:
    levels = decode(path, page=None, max_pixels=MAX_PIXELS).samples
    if levels.ndim == 3:
        levels = levels.max(axis=2)
    values = [value for value in np.unique(levels).tolist() if value]
    if len(values) != 1 or values[0] not in saturations:
        raise ValueError(
            f"{path}: must hold one of the values {', '.join(map(str, saturations))} of {CONFIG}, got "
            f"{', '.join(map(str, values)) or 'nothing marked'}"
        )
    return levels == values[0], saturations[values[0]]
