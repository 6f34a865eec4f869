"""Inspect images with a trained model, outside any run, and go on after an interruption."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import torch

from ssimae.data.check import check_samples
from ssimae.data.dataset import Sample
from ssimae.data.ignore import pair_ignore_masks
from ssimae.errors import CollapsedError
from ssimae.hardware import describe, resolve_device
from ssimae.jobs.inspect import predict_stage
from ssimae.jobs.listing import fingerprint, list_samples, unwritable_names
from ssimae.jobs.stages import thresholds_text, write_thresholds
from ssimae.progress import Progress
from ssimae.storage.agreement import check_agreement
from ssimae.storage.facts import PredictFacts
from ssimae.storage.inspected import InspectedImages
from ssimae.storage.model_file import SavedModel, load_model
from ssimae.storage.predictions import SkippedImage
from ssimae.storage.run_folder import RunFolder, settings_sha256
from ssimae.training.interrupt import resumable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictOutcome:
    """The outcome of inspecting images."""

    folder: RunFolder
    verdicts: dict[str, int]
    """Number of images by verdict."""
    skipped: tuple[SkippedImage, ...]
    alarm: str | None
    """That the network learned nothing, in a sentence; None where it did."""


def predict(
    model: Path,
    images: Sequence[Path],
    out: Path,
    *,
    ignore: Path | None = None,
    skip_bad: bool,
    force: bool,
    allow_collapsed: bool = False,
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
        Go on past images that cannot be inspected, or whose ignore mask cannot be read; each is recorded with the
        verdict `skipped`.
    force : bool
        Overwrite earlier results in `out`.
    allow_collapsed : bool
        Inspect with a network that learned nothing, too; the report then says so.
    device : str
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If the model, an image (without `skip_bad`) or the output folder cannot be worked with, before any work.
    CollapsedError
        If the network learned nothing, without `allow_collapsed`.
    InterruptedRunError
        If Ctrl-C or SIGTERM came once the folder was begun; :func:`resume_prediction` goes on.
    """
    torch_device = resolve_device(device)
    saved = _load(model, allow_collapsed=allow_collapsed)
    samples, passed_over = _samples(images, ignore, saved, progress)
    folder = RunFolder(out)
    bad = _check(folder, samples, saved, skip_bad=skip_bad, progress=progress)
    folder.prepare(force=force, reads=[model, *images, *([] if ignore is None else [ignore])])
    with folder.locked():
        folder.clear()
        with resumable(out):
            facts = PredictFacts(
                model=model.resolve(),
                device=describe(torch_device),
                ignore=None if ignore is None else ignore.absolute(),
                images=tuple(str(path.absolute()) for path in images),
                skip_bad=skip_bad,
                fingerprint=_fingerprint(model, samples),
                ssimae=version("ssimae"),
                alarm=saved.alarm,
                passed_over=passed_over,
                settings_sha256=settings_sha256(saved.settings),
                thresholds_sha256=sha256(thresholds_text(saved).encode()).hexdigest(),
            )
            folder.write_config(saved.settings, facts)
            return _inspect(folder, samples, saved, bad, device=torch_device, skip_bad=skip_bad, progress=progress)


def resume_prediction(out: Path, *, device: str, progress: Progress) -> PredictOutcome:
    """Go on with an interrupted :func:`predict`: images whose rows are there are not inspected again.

    Raises
    ------
    OSError, ValueError
        If the folder is none of `predict`, another process writes there, or model, images or masks have changed since.
    """
    folder = RunFolder(out)
    facts = folder.read_prediction()
    torch_device = resolve_device(device)
    with folder.locked(), resumable(out):
        check_agreement(folder)
        saved = _load(facts.model, allow_collapsed=facts.alarm is not None)
        samples, _ = _samples([Path(path) for path in facts.images], facts.ignore, saved, progress)
        if facts.fingerprint != _fingerprint(facts.model, samples):
            raise ValueError(
                f"{out}: the images, masks or model have changed since it was begun; inspect them into another --out"
            )
        known = InspectedImages(folder)
        waiting = tuple(sample for sample in samples if known.get(sample) is None)
        bad = _check(folder, waiting, saved, skip_bad=facts.skip_bad, progress=progress)
        return _inspect(folder, samples, saved, bad, device=torch_device, skip_bad=facts.skip_bad, progress=progress)


def _load(model: Path, *, allow_collapsed: bool) -> SavedModel:
    """Return a model that has thresholds, and the alarm of its training if that collapsed."""
    saved = load_model(model)
    if saved.thresholds is None:
        command = RunFolder(model.parent).command("run", "--resume")
        raise ValueError(f"{model}: the model has no thresholds yet; its run sets them: {command}")
    alarm = _alarm(model, saved)
    if alarm is not None and not allow_collapsed:
        raise CollapsedError(f"{model}: {alarm} With --allow-collapsed it inspects images all the same.")
    return replace(saved, alarm=alarm)


def _samples(
    images: Sequence[Path], ignore: Path | None, saved: SavedModel, progress: Progress
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Return the images with their ignore masks, and what was passed over beside them."""
    samples, passed_over = list_samples(images, ignore, progress)
    if ignore is not None:
        pairs = pair_ignore_masks(ignore, [sample.path for sample in samples], all_used=False)
        samples = tuple(replace(sample, ignore=pairs.get(sample.path)) for sample in samples)
    elif saved.thresholds is not None and saved.thresholds.masked:
        logger.warning("the model was trained with an ignore mask; without --ignore whole images are inspected")
    return samples, passed_over


def _fingerprint(model: Path, samples: Sequence[Sample]) -> str:
    masks = (sample.ignore for sample in samples if sample.ignore is not None)
    return fingerprint([model.resolve(), *(sample.path for sample in samples), *masks])


def _check(
    folder: RunFolder, samples: Sequence[Sample], saved: SavedModel, *, skip_bad: bool, progress: Progress
) -> dict[Path, str]:
    """Return, by image, why it cannot be inspected; without `skip_bad`, refuse all such in one message."""
    settings = saved.settings
    bad = unwritable_names(folder, samples)
    readable = [sample for sample in samples if sample.path not in bad]
    with progress.task("checking images", len(readable)) as task:
        checked = check_samples(
            readable,
            patch_size=settings.smallest_side,
            scale=settings.scale,
            channels=settings.channels,
            data_range=settings.data_range,
            progress=task.update,
        )
    for problem in checked.warnings:
        logger.warning("%s: %s", problem.path, problem.message)
    for sample, problems in zip(readable, checked.of_images, strict=True):
        errors = [
            problem.message if problem.path == sample.path else f"{problem.path}: {problem.message}"
            for problem in problems
            if problem.severity == "error"
        ]
        if errors:
            bad[sample.path] = "; ".join(errors)
    if bad and not skip_bad:
        raise ValueError("\n".join(f"{path}: {message}" for path, message in bad.items()))
    return bad


def _alarm(model: Path, saved: SavedModel) -> str | None:
    """Return that the network of a model learned nothing, in a sentence; a run of an earlier version tells it alone.

    Raises
    ------
    OSError, ValueError
        If the model lies in its run, and the files there differ in what they say.
    """
    run = RunFolder(model.parent)
    if model.name != run.model.name or not run.config.exists() or not run.is_ours():
        return saved.alarm
    check_agreement(run)
    return saved.alarm or run.read_training()[1].alarm


def _inspect(
    folder: RunFolder,
    samples: Sequence[Sample],
    saved: SavedModel,
    bad: dict[Path, str],
    *,
    device: torch.device,
    skip_bad: bool,
    progress: Progress,
) -> PredictOutcome:
    assert saved.thresholds is not None
    write_thresholds(folder, saved)
    verdicts, skipped = predict_stage(
        folder,
        [sample for sample in samples if sample.path not in bad],
        saved,
        saved.thresholds,
        device=device,
        progress=progress,
        skipped=[SkippedImage(sample.path, bad[sample.path]) for sample in samples if sample.path in bad],
        skip_bad=skip_bad,
    )
    return PredictOutcome(folder, dict(Counter(verdicts)), tuple(skipped), saved.alarm)
