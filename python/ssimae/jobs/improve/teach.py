"""Prepare a short training from a finished run's networks, with images that it shall take for good."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ssimae.config.settings import Settings
from ssimae.data.dataset import Dataset, Sample, dataset_fingerprint
from ssimae.data.masks import read_mask
from ssimae.images.read import read_stored
from ssimae.inspection.threshold import Thresholds
from ssimae.jobs.accounts import open_again
from ssimae.jobs.job import Job
from ssimae.jobs.thresholds.confirm import check_given, digests_of, given_samples
from ssimae.progress import Progress
from ssimae.reading import file_sha256
from ssimae.storage.agreement import check_agreement
from ssimae.storage.model_file import SavedModel, load_model
from ssimae.storage.run_folder import RunFolder

logger = logging.getLogger(__name__)


def improving_job(
    run: Path,
    good: Sequence[Path],
    *,
    missed: Sequence[Path],
    masks: Sequence[Path],
    minutes: float,
    device: str,
    progress: Progress,
) -> Job:
    """Return the job that improves a run; everything it needs has been looked at.

    Parameters
    ----------
    run : Path
        Folder of a finished run.
    good : sequence of Path
        Images, or folders of them, that it shall take for good.
    missed, masks : sequence of Path
        Images with known defects, and a mask of each, or none.
    minutes : float
        Time for the training, and what of the thresholds fits into a tenth of it.
    device : str
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If the run is not finished, its images are gone or have changed, or an image cannot serve.
    """
    folder = RunFolder(run)
    _, facts = folder.read_training()
    if not folder.model.exists():
        raise FileNotFoundError(f"{run}: holds no model yet; go on with: {folder.command('run', '--resume')}")
    check_agreement(folder)
    saved = load_model(folder.model)
    if saved.thresholds is None:
        raise ValueError(f"{run}: no thresholds yet; its run sets them: {folder.command('run', '--resume')}")
    if not saved.settings.row.many_epochs:
        raise ValueError(f"{run}: a {saved.settings.row.title} has no network that goes on; start a run with --data")
    if not facts.data.exists():
        raise FileNotFoundError(
            f"{facts.data}: the good images of {run} are gone, and a training needs them beside the new ones; put them "
            f"back, or write their place to `data` in {folder.config}"
        )
    dataset = open_again(folder, facts)
    if dataset_fingerprint(dataset) != facts.fingerprint:
        raise ValueError(f"{facts.data}: the images have changed since {run} was trained on them")
    samples = given_samples(good, None, progress)
    check_given(samples, saved, progress)
    taught = _new([sample.path for sample in samples], dataset, progress)
    known = [path.absolute() for path in missed]
    if masks and len(masks) != len(missed):
        raise ValueError(f"`--masks` must be one for each image of `--missed` ({len(missed)}), got {len(masks)}")
    _check_missed(missed_samples(known, masks), [*taught, *dataset.train], saved, progress)
    return Job(
        data=facts.data,
        ignore=facts.ignore,
        settings=_carried(saved.settings, saved.thresholds),
        preset=facts.preset,
        device=device,
        minutes=minutes,
        improves=folder.root.resolve(),
        taught=(*dataset.taught, *taught),
        missed=tuple(known),
        missed_masks=tuple(path.absolute() for path in masks),
        allow_collapsed=facts.collapsed,
    )


def missed_samples(missed: Sequence[Path], masks: Sequence[Path]) -> list[Sample]:
    """Return images with known defects as samples."""
    each: list[tuple[Path, ...]] = [(mask,) for mask in masks] or [()] * len(missed)
    return [Sample(path, path.stem, "missed", mask) for path, mask in zip(missed, each, strict=True)]


def _carried(settings: Settings, thresholds: Thresholds) -> Settings:
    """Return settings that set thresholds as those in use were set, also where that was after the training."""
    if thresholds.rule == "given":
        logger.warning("thresholds that were named by hand are not taken over: new ones follow from good images")
    rules, area = thresholds.rules, settings.min_area
    asked = thresholds.false_calls if thresholds.allowed is None else thresholds.allowed
    return replace(
        settings,
        # An area that followed from the window follows from it again.
        min_area=area if rules.min_area == settings.smallest_region else rules.min_area,
        hysteresis=rules.hysteresis,
        merge_distance=rules.merge_distance,
        min_length=rules.min_length,
        min_contrast=rules.min_contrast,
        false_calls=asked if thresholds.rule == "area" else settings.false_calls,
    )


def _new(images: Sequence[Path], dataset: Dataset, progress: Progress) -> list[Path]:
    """Return those images that are not among the good ones already."""
    sizes = {path.stat().st_size for path in images}
    known = digests_of(dataset.train, sizes)
    found: dict[str, Path] = {}
    for path in images:
        if (digest := file_sha256(path)) not in known:
            found.setdefault(digest, path)
    if not found:
        raise ValueError("all of these images are among the good ones already: there is nothing to teach")
    if len(found) < len(images):
        progress.say(f"{len(images) - len(found)} of {len(images)} images are among the good ones already.")
    tested = digests_of([sample.path for sample in dataset.test], sizes)
    if both := [path for digest, path in found.items() if digest in tested]:
        logger.warning(
            "%d of the images are test images of the run (%s): what it tells of these is flattered from now on",
            len(both),
            both[0],
        )
    return list(found.values())


def _check_missed(samples: Sequence[Sample], good: Sequence[Path], saved: SavedModel, progress: Progress) -> None:
    for path in (path for sample in samples for path in (sample.path, *sample.masks)):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
    if not samples:
        return
    check_given([replace(sample, masks=()) for sample in samples], saved, progress)
    digests = digests_of(good, {sample.path.stat().st_size for sample in samples})
    for sample in samples:
        if file_sha256(sample.path) in digests:
            raise ValueError(f"{sample.path}: cannot be both good and missed")
        if sample.masks:
            image = read_stored(sample.path, channels=saved.settings.channels, data_range=saved.settings.data_range)
            if not read_mask(sample, image.shape).any():
                raise ValueError(f"{sample.masks[0]}: marks nothing")
