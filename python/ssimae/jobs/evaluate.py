"""Compare a run's own residuals with the ground truth, at its end or later; no model is needed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ssimae.data.dataset import Sample, dataset_fingerprint, has_masks, inspected_samples
from ssimae.evaluation.output import write_scores
from ssimae.evaluation.result import Evaluation
from ssimae.evaluation.stored_maps import gather
from ssimae.images.maps import read_float_map
from ssimae.jobs.accounts import account_for, open_again
from ssimae.jobs.scoring.decide import OfRun, decisions_of
from ssimae.progress import Progress
from ssimae.storage.agreement import check_agreement
from ssimae.storage.predictions import read_predictions
from ssimae.storage.run_folder import RunFolder

logger = logging.getLogger(__name__)

FPR_LIMITS = 0.3, 0.05
"""Limits of a run's AU-PRO: that of most papers, and one nearer to what a line can bear."""


def evaluate_stage(folder: RunFolder, samples: Sequence[Sample], progress: Progress) -> Evaluation | None:
    """Compare stored maps with the ground truth; write ``metrics.json``, ``curves.npz``, ``region_scores.csv``.

    Images are ranked by the scores that their verdicts rest on.

    Returns None, and writes nothing, where the data has no masks, or none that marks an inspected pixel.
    """
    if not has_masks(samples):
        return None
    evaluation = evaluation_of(folder, samples, progress)
    if evaluation is not None and (decide := OfRun.at(folder.root)) is not None:
        paths = folder.judged_paths(samples)
        with progress.task("judging", len(samples)) as task:
            decisions = decisions_of(decide, samples, paths, read_float_map, evaluation, progress=task.update)
        evaluation = replace(evaluation, decisions=decisions)
    if evaluation is None:
        logger.warning("no metrics: no ground-truth mask marks a pixel that is inspected")
        return None
    write_scores(folder.root, evaluation, samples)
    return evaluation


def evaluation_of(
    folder: RunFolder, samples: Sequence[Sample], progress: Progress, *, fpr_limits: Sequence[float] = FPR_LIMITS
) -> Evaluation | None:
    """Compare stored maps with the ground truth, and write nothing; None where no mask marks an inspected pixel."""
    paths = folder.judged_paths(samples)
    lacking = [path for path in paths if not path.exists()]
    if lacking:
        raise FileNotFoundError(
            f"{lacking[0]}: {len(lacking)} of {len(paths)} maps are not there, and computed again by: "
            f"{folder.resumption}"
        )
    with progress.task("evaluating", len(samples)) as task:
        evaluator = gather(samples, paths, read_float_map, progress=task.update)
    if not evaluator.n_regions:
        return None
    evaluation = evaluator.compute(fpr_limits=fpr_limits)
    if not folder.calibrated.exists():
        return evaluation
    inspections, _ = read_predictions(folder.predictions)
    scores = {(inspection.defect, inspection.name): inspection.score for inspection in inspections}
    if any((sample.defect, sample.name) not in scores for sample in samples):
        raise ValueError(f"{folder.predictions}: lacks images, and is written again by: {folder.resumption}")
    return evaluation.with_image_scores([scores[sample.defect, sample.name] for sample in samples])


def evaluate_run(out: Path, *, progress: Progress) -> dict[str, Evaluation]:
    """Compute the metrics of a finished run, and of its comparison, again from the stored residuals.

    Raises
    ------
    OSError, ValueError
        If the folder is not a finished run, its images are gone, or they have no masks.
    """
    folder = RunFolder(out)
    settings, facts = folder.read_training()
    dataset = open_again(folder, facts)
    account_for(dataset, progress, ignore=facts.ignore)
    samples = inspected_samples(dataset)
    if not has_masks(samples):
        raise ValueError(f"{facts.data}: no ground-truth masks, so there are no metrics")
    parts: dict[str, RunFolder] = {settings.system: folder}
    if facts.compare is not None:
        parts[facts.compare] = folder.comparison(facts.compare)
    evaluations: dict[str, Evaluation] = {}
    for part in parts.values():
        check_agreement(part)
        if (alarm := part.read_training()[1].alarm) is not None:
            logger.warning("%s: %s", part.root, alarm)
    if dataset_fingerprint(dataset) != facts.fingerprint:
        logger.warning(
            "%s: images or masks have changed since %s was started; the metrics are of those that are there now",
            facts.data,
            out,
        )
    with folder.locked():
        for system, part in parts.items():
            if not part.predictions.exists():
                raise FileNotFoundError(f"{part.root}: no image has been inspected yet; go on with: {part.resumption}")
            # Defects are planted where a run calibrates.
            if part.pod.exists() and not part.calibrated.exists():
                logger.warning(
                    "%s: not there, so the residuals are compared, on which no verdict rests; written again by: %s",
                    part.calibrated,
                    part.resumption,
                )
            evaluation = evaluate_stage(part, samples, progress)
            if evaluation is None:
                raise ValueError(f"{facts.data}: no ground-truth mask marks a pixel that is inspected, so no metrics")
            evaluations[system] = evaluation
    return evaluations
