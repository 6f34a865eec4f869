"""The main job, from a folder of good images to a report, and its continuation after an interruption."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ssimae.config.settings import Settings, inspection_settings
from ssimae.config.systems import PRETRAINED, TITLES, as_system
from ssimae.data.dataset import Dataset, Sample, check_dataset, dataset_fingerprint, good_samples, open_dataset
from ssimae.data.synthetic import write_woven_dataset
from ssimae.evaluation.result import Evaluation
from ssimae.evaluation.score import has_masks
from ssimae.hardware import describe, resolve_device, resolve_precision
from ssimae.inspection.holdout import GoodImages
from ssimae.jobs.stages import (
    adopt_stage,
    evaluate_stage,
    predict_stage,
    read_good_images,
    threshold_names,
    threshold_stage,
    train_stage,
)
from ssimae.models.features import check_torchvision, pretrained_state
from ssimae.progress import Progress
from ssimae.report.page import write_report
from ssimae.storage.provenance import source_commit
from ssimae.storage.run_folder import RunFolder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be run, where, and on what."""

    data: Path | None
    """Folder of the images; None for the embedded woven textures, written into the run folder."""
    ignore: Path | None = None
    """Mask of the pixels that are not inspected, or a folder of one for each image."""
    settings: Settings
    compare: str | None = None
    """A second system of the paper, trained with the same budget, or None."""
    weights: Path | None = None
    """Finished run whose networks are taken instead of training; only :func:`inspection_settings` may differ."""
    pretrained: Path | None = None
    """File of pretrained weights for FM-AE or the dictionary; None for torchvision's cache."""
    preset: str = "default"
    quick: bool = False
    device: str = "auto"
    train_only: bool = False
    """Stop after the thresholds."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    folder: RunFolder
    evaluations: dict[str, Evaluation | None]
    """By system; None where there are no masks."""


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
    _check_pretrained(job)
    if job.data is None and job.ignore is not None:
        raise ValueError("`--ignore` is for your own images: name them with --data")
    dataset = None
    if job.data is not None:
        dataset = _checked(open_dataset(job.data, ignore=job.ignore), job.settings, progress)
    if job.weights is not None:
        _check_weights(job.weights, job, dataset, device)
    folder = RunFolder(out)
    folder.prepare(force=force, reads=[path for path in (job.data, job.ignore, job.weights) if path is not None])
    with folder.locked():
        folder.clear()
        if dataset is None:
            data = folder.root / "data"
            write_woven_dataset(data, seed=job.settings.seed)
            dataset = open_dataset(data)
        facts = _facts(job, dataset, device)
        folder.write_config(job.settings, facts)
        return _continue(folder, job, dataset, facts, device, progress=progress)


def resume(out: Path, *, device: str, progress: Progress) -> Outcome:
    """Go on with an interrupted run; finished stages are not repeated.

    Raises
    ------
    OSError, ValueError
        If the folder is not a run, another process writes there, or the images have changed since.
    """
    folder = RunFolder(out)
    settings, facts = read_facts(folder)
    with folder.locked():
        job = Job(
            data=Path(facts["data"]),
            ignore=ignore_of(facts),
            settings=settings,
            compare=facts.get("compare"),
            weights=Path(facts["weights"]) if "weights" in facts else None,
            pretrained=Path(facts["pretrained"]) if "pretrained" in facts else None,
            preset=facts["preset"],
            quick=facts["quick"],
            device=device,
            train_only=facts["train_only"],
        )
        dataset = _checked(open_dataset(job.data or folder.root, ignore=job.ignore), settings, progress)
        if dataset_fingerprint(dataset) != facts["fingerprint"]:
            raise ValueError(f"{dataset.root}: the images have changed since {folder.root} was started")
        return _continue(folder, job, dataset, facts, resolve_device(device), progress=progress)


def _continue(
    folder: RunFolder,
    job: Job,
    dataset: Dataset,
    facts: dict[str, Any],
    device: torch.device,
    *,
    progress: Progress,
) -> Outcome:
    good = read_good_images(dataset, job.settings, progress)
    names = threshold_names(dataset, good)
    held_out = good.split.kind != "none"
    facts = {**facts, "held_out": held_out, "held_out_images": names if held_out else [], "threshold_images": names}
    models = [(job.settings, folder)]
    folder.write_config(job.settings, facts)
    if job.compare is not None:
        nested = folder.comparison(job.compare)
        nested.root.mkdir(exist_ok=True)
        settings = as_system(job.settings, job.compare)
        models.append((settings, nested))
        if not nested.config.exists():
            nested.write_config(settings, facts)
    evaluations: dict[str, Evaluation | None] = {}
    for settings, part in models:
        evaluations[settings.system] = _run_model(part, dataset, good, device, progress, job=job)
    if not job.train_only:
        write_report(folder.root)
    return Outcome(folder, evaluations)


def _run_model(
    folder: RunFolder,
    dataset: Dataset,
    good: GoodImages,
    device: torch.device,
    progress: Progress,
    *,
    job: Job,
) -> Evaluation | None:
    settings, facts = folder.read_config()
    if not folder.model.exists() and job.weights is not None:
        source = _trained(job.weights, settings.system)
        _, trained = source.read_config()
        names = ("warnings", "plateau", "features", "precision")
        folder.write_config(settings, facts | {name: trained[name] for name in names if name in trained})
        adopt_stage(folder, source, settings)
    elif not folder.model.exists():
        training = train_stage(folder, good, settings, pretrained=job.pretrained, device=device, progress=progress)
        warnings = list(facts["warnings"])
        if training.collapsed:
            warnings.append(
                f"training collapsed: loss {training.loss:.3f}, against {training.plateau:.3f} for rebuilding each "
                "patch as its own mean; the results mean nothing. More patches or a higher learning rate leave that "
                "plateau."
            )
            logger.warning("%s", warnings[-1])
        learned = {"plateau": training.plateau, "features": training.features, "precision": training.precision}
        known = {name: value for name, value in learned.items() if value is not None}
        folder.write_config(settings, {**facts, "warnings": warnings, **known})
    saved, thresholds = threshold_stage(
        folder, good, facts.get("threshold_images", []), device=device, progress=progress
    )
    if job.train_only:
        return None
    samples = test_samples(dataset)
    predict_stage(folder, samples, saved, thresholds, device=device, progress=progress)
    return evaluate_stage(folder, samples, progress)


def evaluate(out: Path, *, progress: Progress) -> dict[str, Evaluation]:
    """Compute the metrics of a finished run, and of its comparison, again from the stored residuals.

    Raises
    ------
    OSError, ValueError
        If the folder is not a finished run, its images are gone, or they have no masks.
    """
    folder = RunFolder(out)
    settings, facts = read_facts(folder)
    samples = test_samples(open_dataset(facts["data"], ignore=ignore_of(facts)))
    if not has_masks(samples):
        raise ValueError(f"{facts['data']}: no ground-truth masks, so there are no metrics")
    parts: dict[str, RunFolder] = {settings.system: folder}
    if "compare" in facts:
        parts[facts["compare"]] = folder.comparison(facts["compare"])
    evaluations: dict[str, Evaluation] = {}
    with folder.locked():
        for system, part in parts.items():
            evaluation = evaluate_stage(part, samples, progress)
            if evaluation is not None:
                evaluations[system] = evaluation
    return evaluations


def test_samples(dataset: Dataset) -> tuple[Sample, ...]:
    """Return the images a run inspects: the test images, or the good images themselves where there are none."""
    return dataset.test or good_samples(dataset)


def _checked(dataset: Dataset, settings: Settings, progress: Progress) -> Dataset:
    """Return the data set after reading every file of it; all errors in one message, warnings logged."""
    with progress.task("checking images", len(dataset.train) + len(dataset.test)) as task:
        problems = check_dataset(
            dataset,
            patch_size=settings.smallest_side,
            scale=settings.scale,
            channels=settings.channels,
            data_range=settings.data_range,
            progress=task.update,
        )
    for problem in problems:
        if problem.severity == "warning":
            logger.warning("%s: %s", problem.path, problem.message)
    errors = [f"{problem.path}: {problem.message}" for problem in problems if problem.severity == "error"]
    if errors:
        raise ValueError("\n".join(errors))
    return dataset


def read_facts(folder: RunFolder) -> tuple[Settings, dict[str, Any]]:
    """Return settings and facts of a training run.

    Raises
    ------
    OSError, ValueError
        If this is no run folder, or one of `predict`, which has no training images.
    """
    settings, facts = folder.read_config()
    missing = [
        name for name in ("data", "fingerprint", "preset", "quick", "train_only", "warnings") if name not in facts
    ]
    if missing:
        raise ValueError(f"{folder.root}: not a run that trained (its config.toml has no `{missing[0]}`)")
    return settings, facts


def _check_weights(weights: Path, job: Job, dataset: Dataset | None, device: torch.device) -> None:
    """Refuse a run whose networks do not serve: other images, another training, or not finished."""
    stored, facts = read_facts(RunFolder(weights))
    if resolve_precision(facts["precision"], device) != facts["precision"]:
        raise ValueError(f"{weights}: trained in {facts['precision']}, which {describe(device)} lacks")
    for field in dataclasses.fields(Settings):
        before, now = getattr(stored, field.name), getattr(job.settings, field.name)
        if before != now and field.name not in inspection_settings():
            raise ValueError(
                f"`--{field.name.replace('_', '-')}` {now} needs a training of its own: {weights} has {before}"
            )
    if dataset is None or dataset_fingerprint(dataset) != facts["fingerprint"]:
        raise ValueError(f"{weights}: trained on other images or masks than {job.data}")
    for system in (job.settings.system, job.compare):
        if system is not None and not _trained(weights, system).thresholds.exists():
            raise FileNotFoundError(f"{weights}: holds no finished {TITLES[system]}")


def _check_pretrained(job: Job) -> None:
    """Refuse pretrained weights that are missing, not torchvision's, or needed by two systems at once."""
    systems = [name for name in (job.settings.system, job.compare) if name in PRETRAINED]
    for name in systems:
        check_torchvision(TITLES[name])
    if job.settings.features == "random" or job.weights is not None:
        systems = []
    if job.pretrained is not None and len(systems) != 1:
        needs = "two systems need one each" if systems else "no system here needs them"
        raise ValueError(f"{job.pretrained}: pretrained weights, but {needs}")
    for name in systems:
        pretrained_state(PRETRAINED[name], job.pretrained)


def _trained(weights: Path, system: str) -> RunFolder:
    """Return the part of a run that holds the network of a system."""
    folder = RunFolder(weights)
    settings, _ = folder.read_config()
    return folder if settings.system == system else folder.comparison(system)


def _dataset_name(job: Job, dataset: Dataset) -> str:
    if job.weights is not None:
        return str(read_facts(RunFolder(job.weights))[1].get("dataset", dataset.name))
    return dataset.name if job.data is not None else "embedded woven textures"


def ignore_of(facts: Mapping[str, Any]) -> Path | None:
    """Return the ignore mask of a run, or the folder of them, or None."""
    return Path(facts["ignore"]) if "ignore" in facts else None


def _facts(job: Job, dataset: Dataset, device: torch.device) -> dict[str, Any]:
    precision = resolve_precision(job.settings.precision, device)
    warnings = []
    if not has_masks(test_samples(dataset)):
        warnings.append("no metrics: this data has no ground-truth masks")
    return {
        "data": str(dataset.root),
        "dataset": _dataset_name(job, dataset),
        "layout": dataset.layout,
        "fingerprint": dataset_fingerprint(dataset),
        "preset": job.preset,
        "quick": job.quick,
        "train_only": job.train_only,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "ssimae": version("ssimae"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": describe(device),
        "precision": precision,
        "threads": torch.get_num_threads(),
        "train_images": len(dataset.train),
        "warnings": warnings,
        **({"ignore": os.path.abspath(job.ignore)} if job.ignore is not None else {}),
        **({"weights": str(job.weights.resolve())} if job.weights is not None else {}),
        **({"pretrained": str(job.pretrained.resolve())} if job.pretrained is not None else {}),
        **({"commit": commit} if (commit := source_commit()) is not None else {}),
        **({"compare": job.compare} if job.compare is not None else {}),
    }
