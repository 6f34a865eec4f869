"""Gather the scores of stored maps on a Ray cluster, in parts that are merged here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ssimae.data.dataset import Sample
from ssimae.evaluation.evaluator import Evaluator
from ssimae.evaluation.stored_maps import gather
from ssimae.jobs.spread.cluster import connected, spread


def gather_on_cluster(
    address: str,
    samples: Sequence[Sample],
    maps: Sequence[Path],
    read: Callable[[Path], NDArray[Any]],
    *,
    progress: Callable[[int], None] = lambda _: None,
    image_top: float = 0.0,
    memory_limit: int | None = None,
) -> Evaluator:
    """Return what :func:`.stored_maps.gather` returns, by the workers of a Ray cluster.

    All machines must see maps and masks under the same paths.

    Raises
    ------
    OSError, ValueError
        As that function says, and :func:`.cluster.connected` and :func:`.cluster.spread`.
    """
    evaluator = Evaluator(image_top=image_top, memory_limit=memory_limit)
    make = functools.partial(_worker, read, image_top)
    with connected(address) as ray:
        for part in spread(ray, make, list(zip(samples, maps, strict=True)), gpu=False):
            evaluator.merge(part)
            progress(evaluator.n_images)
    return evaluator


def _worker(
    read: Callable[[Path], NDArray[Any]], image_top: float
) -> Callable[[Sequence[tuple[Sample, Path]]], Evaluator]:
    def gathered(part: Sequence[tuple[Sample, Path]]) -> Evaluator:
        return gather([sample for sample, _ in part], [path for _, path in part], read, image_top=image_top)

    return gathered
