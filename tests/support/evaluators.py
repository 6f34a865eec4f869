"""Evaluators filled from lists, and what they find as numbers that are compared to the last bit."""

import numpy as np
from ssimae.evaluation.evaluator import Evaluator
from ssimae.evaluation.result import Evaluation

LIMITS, FPRS = (0.05, 0.3, 1.0), (0.0, 0.01, 0.05, 0.3)
"""False positive rates up to which areas are taken, and at which overlaps are."""


def gathered(maps, masks, ignores=None, **options) -> Evaluator:
    evaluator = Evaluator(**options)
    for map_, mask, ignore in zip(maps, masks, ignores or [None] * len(maps), strict=True):
        evaluator.update(map_, mask, ignore=ignore)
    return evaluator


def found_by(evaluator: Evaluator) -> Evaluation:
    return evaluator.compute(fpr_limits=LIMITS, overlap_fprs=FPRS)


def numbers(found: Evaluation, *, of_scores: bool = True) -> list:
    """Return every number that does not depend on the order of the images, without rounding."""
    own = [found.threshold_at_fpr, found.best_f1_threshold] if of_scores else []
    arrays = (found.overlap, found.roc, found.pro, found.precision_recall, found.overlap_curve)
    regions = np.column_stack([found.regions.area, found.regions.auroc, found.regions.aupro, found.regions.overlap])
    return [
        found.auroc, found.average_precision, found.aupros, found.image_auroc, found.best_f1, found.n_pixels,
        found.n_regions, found.n_images, *own, *(array.tolist() for array in arrays),
        sorted(map(tuple, regions.tolist())),
    ]  # fmt: skip


def large_case(levels: int | None, share: float, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return more pixels than are sorted at a time, of so many different scores, and so many of them defects."""
    rng = np.random.default_rng(seed)
    masks = [np.kron(rng.random((128, 96)) < share, np.ones((8, 8), bool)) for _ in range(3)]
    maps = [rng.normal(size=mask.shape).astype(np.float32) + mask for mask in masks]
    if levels is not None:
        maps = [np.clip(np.round(map_ * levels / 8), -levels, levels).astype(np.float32) for map_ in maps]
    return maps, masks


LARGE = [(None, 0.02), (None, 0.5), (3, 0.1), (1000, 0.3), (0, 0.1)]
