"""Run the main job, from a folder of good images to a report, and go on after an interruption."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from ssimae.config.settings import Settings, as_system, least_side
from ssimae.data.check import gray_note
from ssimae.data.dataset import Dataset, dataset_fingerprint, inspected_samples, with_taught
from ssimae.data.layouts import open_dataset
from ssimae.data.synthetic import write_woven_dataset
from ssimae.errors import PlateauError
from ssimae.evaluation.result import Evaluation
from ssimae.hardware import resolve_device
from ssimae.images.read import image_size
from ssimae.inspection.feasible import refuse_infeasible
from ssimae.inspection.holdout import GoodImages
from ssimae.jobs.accounts import account_for, open_again
from ssimae.jobs.choose import begin_again, choose_stage
from ssimae.jobs.evaluate import evaluate_stage
from ssimae.jobs.improve.size import size_stage
from ssimae.jobs.inspect import predict_stage
from ssimae.jobs.job import Job, check_images, check_pretrained, check_weights, facts_of, trained_part
from ssimae.jobs.listing import unwritable_names
from ssimae.jobs.stages import (
    adopt_stage,
    read_good_images,
    threshold_names,
    threshold_stage,
    train_stage,
)
from ssimae.progress import Progress
from ssimae.report.page import write_report
from ssimae.storage.agreement import check_agreement
from ssimae.storage.facts import Facts
from ssimae.storage.run_folder import RunFolder
from ssimae.training.interrupt import resumable
from ssimae.training.sharing.torchrun import Process
from ssimae.tuning.settle import refuse_unsettled, treatable

logger = logging.getLogger(__name__)

MOST_ABANDONED = 2
"""Trainings that a run gives up before it takes what comes."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run."""

    folder: RunFolder
    evaluations: dict[str, Evaluation | None]
    """By system; None where there are no masks."""
    has_report: bool
    """Whether images were inspected and the report written; not where only a training was asked for."""
    alarms: tuple[str, ...]
    """Of each network that learned nothing, its folder and a sentence that says so."""


def start(job: Job, out: Path, *, force: bool, progress: Progress) -> Outcome:
    """Run a job in a new folder.

    Raises
    ------
    OSError, ValueError
        For data or an output folder that cannot be worked with, before any work.
    SafeguardError
        If the training diverges.
    InterruptedRunError
        If Ctrl-C or SIGTERM ended the training; :func:`resume` goes on.
    """
    device = resolve_device(job.device)
    if job.compare == job.settings.system:
        raise ValueError(f"`--compare` {job.compare} is the first model already")
    check_pretrained(job)
    if job.data is None and job.ignore is not None:
        raise ValueError("`--ignore` is for your own images: name them with --data")
    dataset, coloured = None, 0
    if job.data is not None:
        dataset = with_taught(open_dataset(job.data, ignore=job.ignore), job.taught, ignore=job.ignore)
        account_for(dataset, progress, ignore=job.ignore)
        coloured = check_images(
            dataset, job.settings, progress, smallest=_smallest(job), channels=_channels(job)
        ).coloured
        _refuse_infeasible(dataset, job.settings)
        _refuse_names(RunFolder(out), dataset, job)
    if job.weights is not None:
        check_weights(job.weights, job, dataset, device)
    folder = RunFolder(out)
    reads = (job.data, job.ignore, job.weights, job.improves, *job.taught, *job.missed)
    folder.prepare(force=force, reads=[path for path in reads if path is not None])
    with folder.locked():
        folder.clear()
        if dataset is None:
            data = folder.root / "data"
            try:
                write_woven_dataset(data, seed=job.settings.seed)
            except BaseException:
                folder.clear()  # so that the same command finds the folder empty
                raise
            dataset = open_dataset(data)
        facts = facts_of(job, dataset, device)
        with resumable(out):
            folder.write_config(job.settings, facts)
            if job.process is not None:
                job.process.begin(out)
            return _continue(folder, job, dataset, facts, device, coloured=coloured, progress=progress)


def _refuse_names(folder: RunFolder, dataset: Dataset, job: Job) -> None:
    """Refuse images after which no result can be called; the paths of a comparison are the longer ones."""
    longest = folder if job.compare is None else folder.comparison(job.compare)
    faults = unwritable_names(longest, inspected_samples(dataset))
    if faults:
        raise ValueError("\n".join(f"{path}: {fault}" for path, fault in faults.items()))


def _refuse_infeasible(dataset: Dataset, settings: Settings) -> None:
    good, others = dataset.train, [sample.path for sample in dataset.test]
    refuse_infeasible([image_size(path) for path in good], [image_size(path) for path in others], settings)


def resume(
    out: Path,
    *,
    device: str,
    train_only: bool,
    allow_collapsed: bool = False,
    process: Process | None = None,
    progress: Progress,
) -> Outcome:
    """Go on with an interrupted run, or with one that was to stop after its thresholds; nothing finished is repeated.

    `train_only` stops it after its thresholds, whatever it was begun for.

    Raises
    ------
    OSError, ValueError
        If the folder is not a run, another process writes there, the images have changed since, or its files differ in
        what they say.
    """
    folder = RunFolder(out)
    settings, facts = folder.read_training()
    with folder.locked(), resumable(out):
        for part in (folder, *([] if facts.compare is None else [folder.comparison(facts.compare)])):
            check_agreement(part)
        if not train_only:
            facts = dataclasses.replace(facts, train_only=False)
        job = Job(
            data=facts.data,
            ignore=facts.ignore,
            settings=settings,
            compare=facts.compare,
            weights=facts.weights,
            pretrained=facts.pretrained,
            preset=facts.preset,
            quick=facts.quick,
            device=device,
            allow_collapsed=allow_collapsed,
            train_only=train_only,
            minutes=None if facts.chosen else facts.minutes,
            given=facts.given,
            improves=facts.improves,
            taught=tuple(map(Path, facts.taught)),
            process=process,
        )
        dataset = open_again(folder, facts)
        account_for(dataset, progress, ignore=facts.ignore)
        checked = check_images(dataset, settings, progress, smallest=_smallest(job), channels=_channels(job))
        if dataset_fingerprint(dataset) != facts.fingerprint:
            raise ValueError(f"{dataset.root}: the images have changed since {folder.root} was started")
        return _continue(
            folder, job, dataset, facts, resolve_device(device), coloured=checked.coloured, progress=progress
        )


def _smallest(job: Job) -> int:
    """Return the least side that images may have."""
    return least_side(job.settings, patch_chosen=job.chooses and "patch_size" not in job.given)


def _channels(job: Job) -> int | None:
    """Return the channels that images are read with; None where they are to be chosen."""
    return None if job.chooses and "channels" not in job.given else job.settings.channels


def _continue(
    folder: RunFolder,
    job: Job,
    dataset: Dataset,
    facts: Facts,
    device: torch.device,
    *,
    coloured: int,
    progress: Progress,
) -> Outcome:
    if job.chooses:
        settings, facts = choose_stage(folder, dataset, job.settings, facts, device=device, progress=progress)
        note = gray_note(coloured, len(dataset.train) + len(dataset.test))
        if _channels(job) is None and settings.channels == 1 and note is not None:
            logger.warning("%s: %s", dataset.root, note)
        job = dataclasses.replace(job, settings=settings)
    good = read_good_images(dataset, job.settings, progress)
    if job.minutes is not None and job.improves is not None:
        tested = len(inspected_samples(dataset))
        settings, facts = size_stage(folder, good, job.settings, facts, tested=tested, device=device, progress=progress)
        job = dataclasses.replace(job, settings=settings)
    job = dataclasses.replace(job, settings=treatable(job.settings, good))
    refuse_unsettled(good, job.settings)
    names = threshold_names(dataset, good)
    held_out = good.split.kind != "none"
    facts = dataclasses.replace(
        facts,
        held_out=held_out,
        held_out_images=tuple(names) if held_out else (),
        threshold_images=tuple(names),
    )
    models = [(job.settings, folder)]
    folder.write_config(job.settings, facts)
    if job.compare is not None:
        nested = folder.comparison(job.compare)
        nested.root.mkdir(exist_ok=True)
        settings = as_system(job.settings, job.compare)
        models.append((settings, nested))
        if not nested.config.exists():
            nested.write_config(settings, facts)
        else:
            stored, of_nested = nested.read_training()
            nested.write_config(stored, dataclasses.replace(of_nested, data=facts.data))
    evaluations: dict[str, Evaluation | None] = {}
    may_give_up = facts.minutes is not None and facts.improves is None and len(facts.abandoned) < MOST_ABANDONED
    try:
        for settings, part in models:
            evaluations[settings.system] = _run_model(
                part, dataset, good, device, progress, job=job, may_give_up=may_give_up and part is folder
            )
    except PlateauError as error:
        if job.compare is not None:
            folder.comparison(job.compare).config.unlink()
        settings, facts = begin_again(folder, job.settings, facts, error, progress)
        job = dataclasses.replace(job, settings=settings, minutes=facts.minutes)
        return _continue(folder, job, dataset, facts, device, coloured=coloured, progress=progress)
    if not job.train_only:
        write_report(folder.root, allow_collapsed=job.allow_collapsed)
    alarms = {part: part.read_training()[1].alarm for _, part in models}
    return Outcome(
        folder,
        evaluations,
        has_report=not job.train_only,
        alarms=tuple(f"{part.root}: {alarm}" for part, alarm in alarms.items() if alarm is not None),
    )


def _run_model(
    folder: RunFolder,
    dataset: Dataset,
    good: GoodImages,
    device: torch.device,
    progress: Progress,
    *,
    job: Job,
    may_give_up: bool,
) -> Evaluation | None:
    settings, facts = folder.read_training()
    if not folder.model.exists() and job.weights is not None:
        facts = adopt_stage(folder, trained_part(job.weights, settings.system), settings, facts)
    elif not folder.model.exists():
        facts = train_stage(
            folder,
            good,
            settings,
            facts,
            pretrained=job.pretrained,
            device=device,
            process=job.process,
            may_give_up=may_give_up,
            progress=progress,
        )
    saved, thresholds = threshold_stage(folder, good, facts.threshold_images, device=device, progress=progress)
    folder.write_config(saved.settings, facts)
    if job.train_only:
        return None
    samples = inspected_samples(dataset)
    predict_stage(folder, samples, saved, thresholds, device=device, progress=progress)
    return evaluate_stage(folder, samples, progress)
