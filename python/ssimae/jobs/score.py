"""Score stored maps of one detector or several against a data set; no model is needed."""

from __future__ import annotations

import functools
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.atomic import replacing_folder, write_bytes, write_text
from ssimae.data.dataset import Dataset, Sample, has_masks
from ssimae.data.masks import load_mask, read_ignored
from ssimae.evaluation.comparison import FEW_IMAGES, Comparison, Contender, compare
from ssimae.evaluation.evaluator import check_fpr_limits
from ssimae.evaluation.output import read_metrics, write_scores
from ssimae.evaluation.resampling import ImageLevels, Levels, grid_fprs, measure_levels
from ssimae.evaluation.result import Evaluation
from ssimae.evaluation.stored_maps import check_maps, find_maps, gather, read_scores
from ssimae.progress import Progress, Task
from ssimae.report.evaluation import Detector, evaluation_page
from ssimae.report.figures.curves import Curves, draw_comparison, draw_curves
from ssimae.report.gallery.worst import worst_regions

logger = logging.getLogger(__name__)

RESULTS = ("metrics.json", "curves.npz", "region_scores.csv", "comparison.json")
"""Files in a folder of results."""

FIGURES = "figures"

_WRITTEN = re.compile(
    rf"([^/]+/)?(metrics\.json|curves\.npz|region_scores\.csv)|comparison\.json|report\.html|{FIGURES}/(roc|pro|comparison|overlap_[^/]+)\.png",
    re.DOTALL,
)
"""Paths below a folder of results that an evaluation writes, and no run."""

OVERLAP_FPRS = (0.01, 0.05, 0.1, 0.3)
COMPARED_FPR = 0.05
"""False positive rate at which covered shares of regions are compared (Bergmann et al. 2019, sec. 4.3)."""


NOTES = (
    "Values are exact. low and high hold 95 % of the values of resamples: images drawn with replacement, "
    "the same for all detectors, from counts at about a thousand thresholds joined by straight lines. Differences are "
    "of a detector less the first; boxes are top, left, bottom, right, half-open."
)
"""What is exact in ``comparison.json``, and what is on a grid of thresholds."""


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

    def __post_init__(self) -> None:
        check_fpr_limits(self.fpr_limits)
        if self.resamples < 100:
            raise ValueError(f"`resamples` must be at least 100 for an interval of 95 %, got {self.resamples}")


@dataclass(frozen=True)
class Scored:
    """The scores of several detectors' maps."""

    names: tuple[str, ...]
    metrics: tuple[dict[str, Any], ...]
    """Content of each ``metrics.json``."""
    samples: tuple[Sample, ...]
    comparison: Comparison | None


def score_folders(
    folders: Sequence[Path], dataset: Dataset, out: Path, options: Options, *, force: bool, progress: Progress
) -> Scored:
    """Score folders of stored maps against a data set, and compare the others with the first.

    Writes ``metrics.json``, ``curves.npz``, ``region_scores.csv`` and ``figures/``, of each detector in a folder of its
    name if there are several, and then ``comparison.json``; and ``report.html``.

    Parameters
    ----------
    folders : sequence of Path
        Maps of each detector, laid out as :func:`ssimae.evaluation.stored_maps.find_maps` says.
    dataset : Dataset
        With test images and masks.
    out : Path
        New folder, or with `force` one that holds earlier results.
    options : Options
    force : bool
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If maps and images do not fit each other, a file cannot be read or written, or the metrics are undefined.
    """
    samples = dataset.test
    if not has_masks(samples):
        raise ValueError(f"{dataset.root}: not every defective test image has a ground-truth mask, so no metrics")
    maps = [find_maps(folder, samples) for folder in folders]
    doubles = [check_maps(folder, paths, samples) for folder, paths in zip(folders, maps, strict=True)]
    names = _names(folders)
    out = out.resolve()
    _refuse_occupied(out, [*folders, dataset.root], force=force)
    out.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(out.parent, os.W_OK):
        raise PermissionError(f"{out.parent}: cannot be written")
    evaluations, contenders = [], []
    for name, paths, double in zip(names, maps, doubles, strict=True):
        read = functools.partial(read_scores, double=double)
        with progress.task(f"evaluating {name}", len(samples)) as task:
            evaluator = gather(
                samples,
                paths,
                read,
                progress=task.update,
                image_top=options.image_top,
                memory_limit=options.memory_limit,
            )
        evaluations.append(evaluator.compute(fpr_limits=options.fpr_limits, overlap_fprs=OVERLAP_FPRS))
        if len(folders) > 1:
            thresholds = evaluator.thresholds_at(grid_fprs(options.fpr_limits[0]))[::-1].copy()
            with progress.task(f"counting {name}", len(samples)) as task:
                levels = _levels(samples, paths, read, thresholds, task)
            contenders.append(Contender(name, evaluations[-1], ImageLevels.collect(levels, evaluations[-1])))
        del evaluator
    comparison = None
    if contenders:
        comparison = compare(contenders, overlap_fpr=COMPARED_FPR, resamples=options.resamples, seed=options.seed)
        if comparison.defective_images < FEW_IMAGES:
            logger.warning("only %d defective images: intervals say little", comparison.defective_images)
    metrics = _write(
        out, names, evaluations, samples, comparison, maps=maps if options.report else None, root=dataset.root
    )
    return Scored(names, metrics, samples, comparison)


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


def _names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Return short names of folders, told apart by as many of their last parts as it takes."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = tuple("-".join(part[-length:]).replace("/", "") for part in parts)
        # Beside the folders of detectors lie other results.
        names = tuple(f"{name}-maps" if name in (FIGURES, *RESULTS) else name for name in names)
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"{folders[0]}: given twice")


def _refuse_occupied(out: Path, reads: Sequence[Path], *, force: bool) -> None:
    for source in reads:
        if out in (source.resolve(), *source.resolve().parents):
            raise ValueError(f"{out}: is or holds what is read ({source}); choose another --out")
    if not out.exists() or not any(out.iterdir()):
        return
    if foreign := _foreign(out):
        raise FileExistsError(
            f"{out}: not empty, and not only an earlier evaluation of maps ({foreign}); choose another --out"
        )
    if not force:
        raise FileExistsError(f"{out}: not empty; choose another --out, or overwrite with --force")


def _foreign(out: Path) -> Path | None:
    """Return what an evaluation of maps did not write into a folder, below it; None if it wrote everything."""
    for entry in sorted(out.rglob("*")):
        path = entry.relative_to(out)
        if entry.is_symlink() or not (entry.is_dir() or _WRITTEN.fullmatch(path.as_posix())):
            return path
        if entry.name == "metrics.json":
            try:
                read_metrics(entry)
            except ValueError:
                return path
    return None if any(out.rglob("metrics.json")) else Path()


def _write(
    out: Path,
    names: Sequence[str],
    evaluations: Sequence[Evaluation],
    samples: Sequence[Sample],
    comparison: Comparison | None,
    *,
    maps: Sequence[Sequence[Path]] | None,
    root: Path,
) -> tuple[dict[str, Any], ...]:
    """Write everything beside `out` first, so that it appears whole, or earlier results stay; returns the metrics.

    The page needs the maps of each detector; without them there is none.
    """
    metrics, curves = [], []
    with replacing_folder(out) as partial:
        for name, evaluation in zip(names, evaluations, strict=True):
            folder = partial / name if comparison else partial
            folder.mkdir(exist_ok=True)
            metrics.append(write_scores(folder, evaluation, samples))
            curves.append(Curves(name, name, metrics[-1], evaluation.curves()))
        pictures = draw_curves(curves)
        if comparison:
            content = _comparison_content(comparison, samples)
            write_text(partial / "comparison.json", json.dumps(content, indent=1) + "\n")
            pictures.append(draw_comparison(comparison))
        (partial / FIGURES).mkdir()
        for picture in pictures:
            write_bytes(partial / FIGURES / f"{picture.name}.png", picture.png)
        if maps is not None:
            folders = [partial / name if comparison else partial for name in names]
            detectors = [
                Detector(name, paths, evaluation, content, worst_regions(folder / "region_scores.csv"))
                for name, paths, evaluation, content, folder in zip(
                    names, maps, evaluations, metrics, folders, strict=True
                )
            ]
            compared = [picture for picture in pictures if picture.name == "comparison"]
            html = evaluation_page(detectors, samples, comparison, root=root, out=out, figures=compared)
            write_text(partial / "report.html", html)
    return tuple(metrics)


def _comparison_content(comparison: Comparison, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return ``comparison.json``: regions under the names of their images, and what is exact."""
    content = comparison.to_dict()
    for difference in content["differences"]:
        for region in difference["largest"]:
            sample = samples[region["image"]]
            region["image"] = f"{sample.defect}/{sample.name}"
    return {"notes": NOTES, **content}
