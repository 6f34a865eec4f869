"""Describe a job and check it before any work: what is to be run, where, and on what."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from ssimae.config.presets import Preset
from ssimae.config.settings import Settings, inspection_settings
from ssimae.config.systems import ROWS, System
from ssimae.data.accounting import in_words, passed_over
from ssimae.data.check import Checked, check_dataset
from ssimae.data.dataset import Dataset, dataset_fingerprint, has_masks, inspected_samples
from ssimae.hardware import describe, resolve_precision
from ssimae.models.efficientnet import pretrained_file
from ssimae.models.features import check_torchvision, pretrained_state
from ssimae.progress import Progress
from ssimae.storage.agreement import check_agreement
from ssimae.storage.facts import Facts, source_commit
from ssimae.storage.run_folder import RunFolder
from ssimae.training.sharing.torchrun import Process

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run before it starts: its data, settings and device."""

    data: Path | None
    """Folder of the images; None for the embedded woven textures, written into the run folder."""
    ignore: Path | None = None
    """Mask of the pixels that are not inspected, or a folder of one for each image."""
    settings: Settings
    compare: System | None = None
    """A second system of the paper, trained with the same budget, or None."""
    weights: Path | None = None
    """Finished run whose networks are taken instead of training; only :func:`inspection_settings` may differ."""
    pretrained: Path | None = None
    """File of pretrained weights for FM-AE or the dictionary; None for torchvision's cache."""
    preset: Preset = "default"
    quick: bool = False
    device: str = "auto"
    allow_collapsed: bool = False
    """Whether the report tells the verdicts of a network that learned nothing, too."""
    train_only: bool = False
    """Stop after the thresholds."""
    minutes: float | None = None
    """Time that choosing the settings, training and thresholds may take; None where nothing is chosen."""
    given: tuple[str, ...] = ()
    """Settings that are not chosen."""
    improves: Path | None = None
    """Run whose networks the training begins with, for `minutes`; no setting is chosen then."""
    taught: tuple[Path, ...] = ()
    """Good images that join those of `data`; absolute."""
    missed: tuple[Path, ...] = ()
    """Images with known defects that are looked for before and after; absolute."""
    missed_masks: tuple[Path, ...] = ()
    process: Process | None = None
    """The first of the processes that share the training, where torchrun started this one."""

    @property
    def chooses(self) -> bool:
        """Whether settings are to be chosen from the images."""
        return self.minutes is not None and self.improves is None


def check_images(
    dataset: Dataset, settings: Settings, progress: Progress, *, smallest: int, channels: int | None
) -> Checked:
    """Read every file of a data set; log warnings, and refuse all errors in one message.

    `smallest` is the side that images must have at least; `channels` is None where these are still to be chosen.

    Raises
    ------
    ValueError
        If a file cannot be worked with.
    """
    with progress.task("checking images", len(dataset.train) + len(dataset.test)) as task:
        checked = check_dataset(
            dataset,
            patch_size=smallest,
            scale=settings.scale,
            channels=channels,
            data_range=settings.data_range,
            progress=task.update,
        )
    refuse_problems(checked)
    return checked


def refuse_problems(checked: Checked) -> None:
    """Log the warnings of a check, and refuse all errors in one message."""
    for problem in checked.warnings:
        logger.warning("%s: %s", problem.path, problem.message)
    if checked.errors:
        raise ValueError("\n".join(f"{problem.path}: {problem.message}" for problem in checked.errors))


def check_weights(weights: Path, job: Job, dataset: Dataset | None, device: torch.device) -> None:
    """Refuse a run whose networks do not serve the job.

    Raises
    ------
    OSError, ValueError
        If it is no run, holds no trained network yet, or was trained on other images or with other settings.
    """
    stored, facts = RunFolder(weights).read_training()
    for field in dataclasses.fields(Settings):
        before, now = getattr(stored, field.name), getattr(job.settings, field.name)
        if before != now and field.name not in inspection_settings():
            raise ValueError(
                f"`--{field.name.replace('_', '-')}` {now} needs a training of its own: {weights} has {before}"
            )
    if dataset is None or dataset_fingerprint(dataset) != facts.fingerprint:
        raise ValueError(f"{weights}: trained on other images or masks than {job.data}")
    for system in (job.settings.system, job.compare):
        if system is not None:
            part = trained_part(weights, system)
            if not part.model.exists():
                raise FileNotFoundError(
                    f"{weights}: holds no trained {ROWS[system].title}; go on with: "
                    f"{RunFolder(weights).command('run', '--resume')}"
                )
            check_agreement(part)


def check_pretrained(job: Job) -> None:
    """Refuse pretrained weights that are missing, not torchvision's, or needed by two systems at once."""
    rows = [ROWS[name] for name in (job.settings.system, job.compare) if name is not None]
    networks = []
    for row in rows:
        if row.pretrained is not None and job.settings.features == "efficientnet-lite0":
            pretrained_file()
        elif row.pretrained is not None:
            check_torchvision(row.title)
            networks.append(row.pretrained)
    if job.settings.features == "random" or job.weights is not None:
        networks = []
    if job.pretrained is not None and len(networks) != 1:
        needs = "two systems need one each" if networks else "no system here needs them"
        raise ValueError(f"{job.pretrained}: pretrained weights, but {needs}")
    for network in networks:
        pretrained_state(network, job.pretrained)


def trained_part(weights: Path, system: str) -> RunFolder:
    """Return the part of a run that holds the network of a system."""
    folder = RunFolder(weights)
    return folder if folder.read_settings().system == system else folder.comparison(system)


def facts_of(job: Job, dataset: Dataset, device: torch.device) -> Facts:
    """Return the facts of a job as they are known before any work."""
    if job.weights is not None:
        name = RunFolder(job.weights).read_training()[1].dataset
    else:
        name = dataset.name if job.data is not None else "embedded woven textures"
    has_metrics = has_masks(inspected_samples(dataset))
    return Facts(
        data=dataset.root,
        dataset=name,
        layout=dataset.layout,
        fingerprint=dataset_fingerprint(dataset),
        preset=job.preset,
        quick=job.quick,
        train_only=job.train_only,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        ssimae=version("ssimae"),
        torch=torch.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        device=describe(device),
        precision=resolve_precision(job.settings.precision, device),
        threads=torch.get_num_threads(),
        train_images=len(dataset.train),
        warnings=() if has_metrics else ("no metrics: this data has no ground-truth masks",),
        ignore=None if job.ignore is None else Path(os.path.abspath(job.ignore)),
        weights=None if job.weights is None else job.weights.resolve(),
        pretrained=None if job.pretrained is None else job.pretrained.resolve(),
        commit=source_commit(),
        compare=job.compare,
        minutes=job.minutes,
        given=job.given,
        improves=None if job.improves is None else job.improves.resolve(),
        taught=tuple(map(str, job.taught)),
        missed=tuple(map(str, job.missed)),
        missed_masks=tuple(map(str, job.missed_masks)),
        passed_over=tuple(in_words(passed_over(dataset, ignore=job.ignore), dataset.root)),
    )
