"""Evaluate the stored maps of several detectors on one data set, and compare them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import Dataset, Sample, has_masks
from ssimae.data.masks import load_mask, read_ignored
from ssimae.evaluation.comparison import FEW_IMAGES, Comparison, Contender, compare
from ssimae.evaluation.evaluator import check_fpr_limits
from ssimae.evaluation.map_files.reader import MapReader, Resize
from ssimae.evaluation.resampling import ImageLevels, Levels, grid_fprs, measure_levels
from ssimae.evaluation.result import Evaluation
from ssimae.evaluation.stored_maps import MAP_FOLDERS, check_maps, find_maps, gather
from ssimae.jobs.scoring.decide import AtThreshold, Decide, OfRun, decisions_of
from ssimae.jobs.scoring.protocols import with_protocols
from ssimae.jobs.spread.evaluate import gather_on_cluster
from ssimae.progress import Progress, Task
from ssimae.storage.owned import SCORES

logger = logging.getLogger(__name__)

RESULTS = (*SCORES, "comparison.json")
"""Files in a folder of results."""

FIGURES = "figures"

OVERLAP_FPRS = (0.01, 0.05, 0.1, 0.3)
COMPARED_FPR = 0.05
"""False positive rate at which covered shares of regions are compared (Bergmann et al. 2019, sec. 4.3)."""


@dataclass(frozen=True)
class Options:
    """Options for scoring stored maps."""

    fpr_limits: tuple[float, ...] = (0.3,)
    image_top: float = 0.0
    """Share of an image's pixels whose mean is its score; of 0 the highest alone."""
    memory_limit: int | None = None
    """Bytes of scores in memory; None for all."""
    resamples: int = 1000
    seed: int = 0
    report: bool = True
    """Whether a page of the images is written."""
    resize: Resize | None = None
    """How maps get the size of their images; None to refuse those that do not have it."""
    thresholds: tuple[float, ...] = ()
    """Of each detector, or one for all that are not runs with thresholds of their own."""
    ray: str | None = None
    """Address of a Ray cluster that gathers the scores; None for this process."""

    def __post_init__(self) -> None:
        check_fpr_limits(self.fpr_limits)
        if self.resamples < 100:
            raise ValueError(f"`resamples` must be at least 100 for an interval of 95 %, got {self.resamples}")

    def with_seed(self, seed: int) -> Options:
        """Return the same with another seed."""
        return replace(self, seed=seed)


@dataclass(frozen=True)
class PairedMaps:
    """The test images of a data set with the map of each under several detectors; heads of files are checked."""

    dataset: Dataset
    maps: tuple[tuple[Path, ...], ...]
    """Of each detector, one for each test image."""
    readers: tuple[MapReader, ...]
    """How those of a detector are read."""
    runs: tuple[OfRun | None, ...]
    """The rule of each detector that is a run."""


def pair_maps(folders: Sequence[Path], dataset: Dataset, *, resize: Resize | None, progress: Progress) -> PairedMaps:
    """Find the maps of a data set in the folder of each detector, and check the heads of all files.

    Raises
    ------
    OSError, ValueError
        If maps and images do not fit each other, or a defective image has no mask.
    """
    samples = dataset.test
    if not has_masks(samples):
        raise ValueError(f"{dataset.root}: not every defective test image has a ground-truth mask, so no metrics")
    for folder in folders:
        inner = folder / dataset.root.name
        bases = [folder, *(folder / name for name in MAP_FOLDERS)]
        if inner.is_dir() and not any((base / sample.defect).is_dir() for base in bases for sample in samples):
            raise ValueError(f"{folder}: holds the maps of several data sets; those of {dataset.root} lie in {inner}")
    maps = [find_maps(folder, samples) for folder in folders]
    readers = [check_maps(folder, paths, samples, resize=resize) for folder, paths in zip(folders, maps, strict=True)]
    for folder, reader in zip(folders, readers, strict=True):
        if reader.sizes:
            progress.say(
                f"{folder}: {len(reader.sizes)} of {len(samples)} maps are resized to the size of their images "
                f"({resize})"
            )
    return PairedMaps(dataset, tuple(map(tuple, maps)), tuple(readers), tuple(map(OfRun.at, folders)))


def evaluate_detectors(
    names: Sequence[str], paired: PairedMaps, options: Options, *, progress: Progress, of: str = ""
) -> tuple[list[Evaluation], Comparison | None]:
    """Return the evaluation of each detector, and the comparison of the others with the first.

    Progress names what the maps are `of`.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read, or the metrics are undefined.
    """
    samples = paired.dataset.test
    evaluations, contenders = [], []
    place = f" on {of}" if of else ""
    rules = _rules(options.thresholds, paired.runs)
    for name, paths, read, run, decide in zip(names, paired.maps, paired.readers, paired.runs, rules, strict=True):
        with progress.task(f"evaluating {name}{place}", len(samples)) as task:
            gathering = gather if options.ray is None else functools.partial(gather_on_cluster, options.ray)
            evaluator = gathering(
                samples,
                paths,
                read,
                progress=task.update,
                image_top=options.image_top,
                memory_limit=options.memory_limit,
            )
        evaluation = evaluator.compute(fpr_limits=options.fpr_limits, overlap_fprs=OVERLAP_FPRS)
        if run is not None and (scores := run.scores_of(samples)) is not None and not options.image_top:
            evaluation = evaluation.with_image_scores(scores)
        if decide is not None:
            with progress.task(f"judging {name}{place}", len(samples)) as task:
                decisions = decisions_of(decide, samples, paths, read, evaluation, progress=task.update)
            evaluation = replace(evaluation, decisions=decisions)
        evaluations.append(
            with_protocols(
                evaluation,
                paired.dataset,
                paths,
                read,
                of=f"{name}{place}",
                memory_limit=options.memory_limit,
                progress=progress,
            )
        )
        if len(names) > 1:
            thresholds = evaluator.thresholds_at(grid_fprs(options.fpr_limits[0]))[::-1].copy()
            with progress.task(f"counting {name}{place}", len(samples)) as task:
                levels = _levels(samples, paths, read, thresholds, task)
            contenders.append(Contender(name, evaluations[-1], ImageLevels.collect(levels, evaluations[-1])))
        del evaluator
    if not contenders:
        return evaluations, None
    comparison = compare(contenders, overlap_fpr=COMPARED_FPR, resamples=options.resamples, seed=options.seed)
    if comparison.defective_images < FEW_IMAGES:
        logger.warning(
            "%s: only %d defective images: intervals say little", paired.dataset.root, comparison.defective_images
        )
    return evaluations, comparison


def _rules(thresholds: Sequence[float], runs: Sequence[OfRun | None]) -> list[Decide | None]:
    """Return the rule of each detector: its own, or that of the threshold given; None where there is neither."""
    if len(thresholds) not in (0, 1, len(runs)):
        raise ValueError(
            f"`thresholds` must be one, or one for each of the {len(runs)} detectors, got {len(thresholds)}"
        )
    given = list(thresholds) * len(runs) if len(thresholds) == 1 else thresholds
    if not given:
        return list(runs)
    if len(thresholds) == 1:
        return [run or AtThreshold(level) for run, level in zip(runs, given, strict=True)]
    return [AtThreshold(level) for level in given]


def _levels(
    samples: Sequence[Sample],
    maps: Sequence[Path],
    read: Callable[[Path], NDArray[Any]],
    thresholds: NDArray[np.float64],
    task: Task,
) -> list[Levels]:
    levels = []
    for count, (sample, path) in enumerate(zip(samples, maps, strict=True), 1):
        map_ = read(path)
        mask, ignored = load_mask(sample, map_.shape), read_ignored(sample, map_.shape)
        levels.append(measure_levels(map_, mask, thresholds, ignore=ignored))
        task.update(count)
    return levels


def names_of(folders: Sequence[Path], given: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of detectors: those given, or short names of their folders.

    Folders are told apart by as many of their last parts as it takes.

    Raises
    ------
    ValueError
        If a folder comes twice, or the names given are not as many, not unique, or cannot name a folder.
    """
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        twice = next(folder for folder, part in zip(folders, parts, strict=True) if parts.count(part) > 1)
        raise ValueError(f"{twice}: given twice")
    if given:
        return _checked(given, len(folders))
    for length in range(1, max(map(len, parts)) + 1):
        names = tuple("-".join(part[-length:]).replace("/", "") for part in parts)
        # Beside the folders of detectors lie other results.
        names = tuple(f"{name}-maps" if name in (FIGURES, *RESULTS) else name for name in names)
        if len(set(names)) == len(names):
            break
    return names


def _checked(names: Sequence[str], count: int) -> tuple[str, ...]:
    if len(names) != count:
        raise ValueError(f"`names` must be one for each of the {count} detectors, got {len(names)}")
    for name in names:
        if not name.strip() or "/" in name or "\0" in name or name.startswith(".") or name in (FIGURES, *RESULTS):
            raise ValueError(f"`names` must be names that a folder can have, got {name!r}")
    folded = [name.casefold() for name in names]
    if len(set(folded)) < count:
        raise ValueError(f"`names` must differ, got {', '.join(names)}")
    return tuple(names)
