"""Inspect images with a trained model, outside any run."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ssimae.data.check import check_samples
from ssimae.data.dataset import UNLABELLED, Sample
from ssimae.data.ignore import is_ignore_mask, pair_ignore_masks
from ssimae.hardware import describe, resolve_device, resolve_precision
from ssimae.images.decoding import IMAGE_SUFFIXES
from ssimae.jobs.stages import predict_stage
from ssimae.progress import Progress
from ssimae.storage.facts import PredictFacts
from ssimae.storage.model_file import load_model
from ssimae.storage.predictions import SkippedImage
from ssimae.storage.run_folder import RunFolder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictOutcome:
    """The outcome of inspecting images."""

    folder: RunFolder
    verdicts: dict[str, int]
    """Number of images by verdict."""
    skipped: tuple[SkippedImage, ...]


def predict(
    model: Path,
    images: Sequence[Path],
    out: Path,
    *,
    ignore: Path | None = None,
    skip_bad: bool,
    force: bool,
    device: str,
    progress: Progress,
) -> PredictOutcome:
    """Inspect images with a trained model; write maps, ``predictions.csv`` and ``regions.csv``.

    Parameters
    ----------
    model : Path
        ``model.safetensors`` of a finished run.
    images : sequence of Path
        Image files, or folders whose image files are taken.
    out : Path
        Folder for the results.
    ignore : Path, optional
        Mask of the pixels of every image that are not inspected, or a folder of one each.
    skip_bad : bool
        Go on past images that cannot be inspected; each is recorded with the verdict `skipped`.
    force : bool
        Overwrite earlier results in `out`.
    device : str
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If the model, an image (without `skip_bad`) or the output folder cannot be worked with, before any work.
    """
    torch_device = resolve_device(device)
    saved = load_model(model)
    if saved.thresholds is None:
        raise ValueError(f"{model}: the model has no thresholds yet; finish its run first")
    if resolve_precision(saved.precision, torch_device) != saved.precision:
        raise ValueError(f"{model}: thresholds were set in {saved.precision}, which {describe(torch_device)} lacks")
    samples = _samples(images, ignore)
    if ignore is not None:
        pairs = pair_ignore_masks(ignore, [sample.path for sample in samples], all_used=False)
        samples = tuple(replace(sample, ignore=pairs.get(sample.path)) for sample in samples)
    elif saved.thresholds.masked:
        logger.warning("the model was trained with an ignore mask; without --ignore whole images are inspected")
    settings = saved.settings
    with progress.task("checking images", len(samples)) as task:
        problems = check_samples(
            samples,
            patch_size=settings.smallest_side,
            scale=settings.scale,
            channels=settings.channels,
            data_range=settings.data_range,
            progress=task.update,
        )
    bad = {problem.path: problem.message for problem in problems if problem.severity == "error"}
    if bad and not skip_bad:
        raise ValueError("\n".join(f"{path}: {message}" for path, message in bad.items()))
    folder = RunFolder(out)
    folder.prepare(force=force, reads=[model, *images, *([] if ignore is None else [ignore])])
    with folder.locked():
        folder.clear()
        facts = PredictFacts(
            model=model.resolve(),
            device=describe(torch_device),
            ignore=None if ignore is None else ignore.resolve(),
        )
        folder.write_config(settings, facts)
        skipped = tuple(SkippedImage(sample.path, bad[sample.path]) for sample in samples if sample.path in bad)
        verdicts = predict_stage(
            folder,
            tuple(sample for sample in samples if sample.path not in bad),
            saved,
            saved.thresholds,
            device=torch_device,
            progress=progress,
            skipped=skipped,
        )
    return PredictOutcome(folder, dict(Counter(verdicts)), skipped)


def _samples(images: Sequence[Path], ignore: Path | None) -> tuple[Sample, ...]:
    """Return files and the image files of folders, without ignore masks; names are made unique by their folder."""
    paths: dict[Path, None] = {}
    for path in images:
        if path.is_dir():
            files = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file() and not is_ignore_mask(file, ignore)
            )
            if not files:
                raise ValueError(f"{path}: no image in this folder")
            paths.update(dict.fromkeys(file.absolute() for file in files))
        elif not path.exists():
            raise FileNotFoundError(f"{path}: no such image or folder")
        else:
            paths[path.absolute()] = None
    stems = Counter(path.stem for path in paths)
    samples = []
    taken: set[str] = set()
    for path in paths:
        name = path.stem if stems[path.stem] == 1 else f"{path.parent.name}-{path.name}"
        number = 1
        while name in taken:
            number += 1
            name = f"{path.parent.name}-{path.name}-{number}"
        taken.add(name)
        samples.append(Sample(path, name, UNLABELLED, None))
    return tuple(samples)
