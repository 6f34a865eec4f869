"""Evaluate anomaly maps against ground-truth masks: exact metrics of all images together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from ssimae.evaluation.evaluator import Evaluator
from ssimae.evaluation.result import Evaluation


def evaluate_maps(
    maps: Iterable[NDArray[Any]],
    masks: Iterable[NDArray[Any]],
    *,
    fpr_limits: Sequence[float] = (0.3,),
    overlap_quantiles: Sequence[float] = (0.25, 0.5, 0.75),
    overlap_fprs: Sequence[float] = (0.01, 0.05, 0.1, 0.3),
    ignore: Iterable[NDArray[Any] | None] | None = None,
    image_top: float = 0.0,
    memory_limit: int | None = None,
) -> Evaluation:
    """Return all metrics of anomaly maps against their masks.

    Parameters
    ----------
    maps : iterable of ndarray of shape (h, w)
        Scores, higher is more defective: any finite values of float16, float32, float64, uint8 or uint16; sizes may
        differ. One image is held at a time, and all scores as by :class:`Evaluator`.
    masks : iterable of ndarray of shape (h, w), bool or any number
        Not zero is defect. Regions are the 8-connected components of each mask.
    fpr_limits : sequence of float in (0, 1]
        Limits of AU-PRO; the first is `aupro`.
    overlap_quantiles : sequence of float in [0, 1]
        Quantiles over regions of the share a detection covers.
    overlap_fprs : sequence of float in [0, 1]
        False positive rates of the overlap table.
    ignore : iterable of ndarray of shape (h, w) or None, optional
        Not zero is left out of everything.
    image_top, memory_limit
        As for :class:`Evaluator`.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If a shape or value is not as above, the numbers of maps, masks and ignore masks differ, or a metric is
        undefined because there is no pixel with, or none without, a defect.

    Notes
    -----
    All definitions are those of :meth:`Evaluator.compute`; the maps stream through, so that an iterable that reads them
    from files needs room for one at a time beside the scores, which `memory_limit` bounds.

    References
    ----------
    Bergmann et al. 2019, sec. 4.3 and fig. 7. Bergmann, Batzner, Fauser, Sattlegger, Steger: The MVTec Anomaly
    Detection Dataset. IJCV 2021 (AU-PRO).

    Examples
    --------
    >>> import numpy as np
    >>> import ssimae
    >>> mask = np.zeros((8, 8), bool)
    >>> mask[2:4, 2:4] = True
    >>> scores = mask + 0.0
    >>> scores[0, 0] = 1.0  # a false alarm as high as the defect
    >>> evaluation = ssimae.evaluate_maps([scores], [mask])
    >>> round(evaluation.auroc, 4), round(evaluation.aupro, 4)
    (0.9917, 0.9722)
    """
    evaluator = Evaluator(image_top=image_top, memory_limit=memory_limit)
    missing: Any = object()
    ignores: Iterator[Any] = iter(itertools.repeat(None) if ignore is None else ignore)
    for index, (map_, mask) in enumerate(itertools.zip_longest(maps, masks, fillvalue=missing)):
        if map_ is missing or mask is missing:
            raise ValueError(
                f"`maps` and `masks` must be as many; {'maps' if map_ is missing else 'masks'} end at {index}"
            )
        left_out = next(ignores, missing)
        if left_out is missing:
            raise ValueError(f"`ignore` must be as many as `maps`; it ends at {index}")
        try:
            evaluator.update(map_, mask, ignore=left_out)
        except ValueError as error:
            raise ValueError(f"map {index}: {error}") from error
    if ignore is not None and next(ignores, missing) is not missing:
        raise ValueError(f"`ignore` must be as many as `maps`; it goes on after {evaluator.n_images}")
    if not evaluator.n_images:
        raise ValueError("`maps` is empty")
    return evaluator.compute(fpr_limits=fpr_limits, overlap_quantiles=overlap_quantiles, overlap_fprs=overlap_fprs)
