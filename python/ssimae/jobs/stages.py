"""Run the stages that make a model, each from files to files: read images, train, set thresholds."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.atomic import write_bytes, write_text
from ssimae.config.settings import Settings
from ssimae.data.dataset import Dataset, good_samples
from ssimae.data.masks import read_ignored
from ssimae.hardware import resolve_precision
from ssimae.images.depth import Image
from ssimae.images.read import read_stored
from ssimae.inspection.holdout import GoodImages, arrange_good
from ssimae.inspection.threshold import Thresholds, outlier_note
from ssimae.models.build import place
from ssimae.models.dictionary import FeatureDictionary
from ssimae.pod.table import tabulate_detection
from ssimae.progress import Progress, Task
from ssimae.reading import read_bytes, read_json
from ssimae.storage.facts import Facts
from ssimae.storage.inspected import forget
from ssimae.storage.model_file import SavedModel, load_model, save_model
from ssimae.storage.revisions.held_out import write_held_out
from ssimae.storage.run_folder import RunFolder
from ssimae.training.head.train import train_head
from ssimae.training.interrupt import Interruption, noted_signals
from ssimae.training.learn import learn
from ssimae.training.log import LogLine
from ssimae.training.monitor import SilentMonitor
from ssimae.training.sharing.group import Group
from ssimae.training.sharing.torchrun import Announcement, Process
from ssimae.tuning.held_out import store_judged
from ssimae.tuning.settle import n_parts, settle

logger = logging.getLogger(__name__)


def read_good_images(dataset: Dataset, settings: Settings, progress: Progress) -> GoodImages:
    """Return the defect-free images of a data set, cut to what is inspected, and which parts of them are held out."""
    return arrange_good(*read_images(dataset, settings, progress), settings, taught=len(dataset.taught))


def read_images(
    dataset: Dataset, settings: Settings, progress: Progress
) -> tuple[list[Image], list[NDArray[np.bool_] | None]]:
    """Return the defect-free images of a data set, and what of each is ignored."""
    images: list[Image] = []
    ignored: list[NDArray[np.bool_] | None] = []
    samples = good_samples(dataset)
    with progress.task("reading good images", len(samples)) as task:
        for count, sample in enumerate(samples, 1):
            images.append(read_stored(sample.path, channels=settings.channels, data_range=settings.data_range))
            ignored.append(read_ignored(sample, images[-1].shape))
            task.update(count)
    return images, ignored


def threshold_names(dataset: Dataset, good: GoodImages) -> list[str]:
    """Return the names, below the data folder, of the good images that thresholds are set on, whole or a band."""
    return [dataset.name_of(dataset.train[index]) for index, _ in good.split.held_out]


@dataclass(frozen=True)
class _FolderMonitor:
    """Monitor that writes the log of a run folder, moves a bar, and passes on the signal that came."""

    folder: RunFolder
    task: Task
    interruption: Interruption

    def resumed(self, steps: int) -> None:
        self.folder.trim_log(steps)

    def stepped(self, patches: int, loss: float) -> None:
        self.task.update(patches, f"loss {loss:.4f}")

    def logged(self, line: LogLine) -> None:
        self.folder.append_log(line.as_dict())

    def interrupted(self) -> int | None:
        return self.interruption.signal


class InterruptibleMonitor(SilentMonitor):
    """Monitor that passes on the signal that came."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption

    def interrupted(self) -> int | None:
        """Return the signal that came."""
        return self._interruption.signal


class _HeadMonitor(InterruptibleMonitor):
    """Monitor of a head, which has no log: it moves a bar, too."""

    def __init__(self, task: Task, interruption: Interruption) -> None:
        super().__init__(interruption)
        self._task = task

    def stepped(self, patches: int, loss: float) -> None:
        """Move the bar."""
        self._task.update(patches, f"loss {loss:.4f}")


def train_stage(
    folder: RunFolder,
    good: GoodImages,
    settings: Settings,
    facts: Facts,
    *,
    pretrained: Path | None = None,
    device: torch.device,
    process: Process | None = None,
    may_give_up: bool = False,
    progress: Progress,
) -> Facts:
    """Train on the kept parts of the good images, write ``model.safetensors`` and ``log.jsonl``.

    A run that improves another begins with its networks. Where torchrun started several processes, they share the
    training of an autoencoder; the rest is done by this first one.

    Returns the facts with what came of the training, which ``config.toml`` then holds, too.
    """
    parts, ignored = good.training_parts(settings)
    begun = None if facts.improves is None else load_model(RunFolder(facts.improves).model)
    folder.state.parent.mkdir(exist_ok=True)
    description = f"training {settings.row.title}"
    sharing: AbstractContextManager[Group | None] = nullcontext()
    if process is not None and settings.method == "autoencoder":
        sharing = process.leading(Announcement(str(folder.root.absolute()), device.type, may_give_up), device)
    with noted_signals() as interruption, progress.task(description, settings.patches_total) as task:
        with sharing as group:
            training = learn(
                parts,
                settings,
                ignored=ignored,
                pretrained=pretrained,
                device=device,
                state=folder.state,
                initial=None if begun is None else begun.model.state_dict(),
                may_give_up=may_give_up,
                group=group,
                monitor=_FolderMonitor(folder, task, interruption),
            )
        head = None
        if settings.head_patches and not isinstance(training.model, FeatureDictionary):
            with progress.task("training the head", settings.head_patches) as head_task:
                head = train_head(
                    training.model,
                    parts,
                    settings,
                    ignored=ignored,
                    device=device,
                    precision=training.precision,
                    initial=None if begun is None else begun.head,
                    monitor=_HeadMonitor(head_task, interruption),
                )
        if training.alarm is not None:
            logger.warning("%s", training.alarm)
        facts = replace(
            facts, plateau=training.plateau, features=training.features, precision=training.precision
        ).with_alarm(training.alarm)
        # Before the model: once that is there, nobody looks at the training again.
        folder.write_config(settings, facts)
        save_model(
            folder.model,
            SavedModel(training.model, settings, training.precision, None, head=head, alarm=training.alarm),
        )
    return facts


def adopt_stage(folder: RunFolder, source: RunFolder, settings: Settings, facts: Facts) -> Facts:
    """Take the trained network of another run, to inspect with other settings; its log comes along.

    Returns the facts with what came of that training, which ``config.toml`` then holds, too.
    """
    saved = load_model(source.model)
    _, trained = source.read_training()
    facts = replace(
        facts,
        warnings=trained.warnings,
        collapsed=trained.collapsed,
        plateau=trained.plateau,
        features=trained.features,
        precision=trained.precision,
    )
    folder.write_config(settings, facts)
    if source.log.exists():
        write_bytes(folder.log, read_bytes(source.log))
    save_model(folder.model, replace(saved, settings=settings, thresholds=None, alarm=facts.alarm))
    return facts


def threshold_stage(
    folder: RunFolder, good: GoodImages, names: Sequence[str], *, device: torch.device, progress: Progress
) -> tuple[SavedModel, Thresholds]:
    """Settle on the held-out good images how maps are treated, and write ``thresholds.json``.

    The model file then carries both, and ``held_out.npz`` the maps that they rest on. Where the residual is calibrated,
    ``choices.json`` holds what was compared, and ``pod.json`` what is found of planted defects.

    Nothing is done again for a model that has thresholds. `names` are those of the images they are set on, for a word
    on one that sets the thresholds alone.
    """
    saved = load_model(folder.model)
    if saved.thresholds is not None:
        _write_json(folder.thresholds, saved.thresholds.to_dict())
        return saved, saved.thresholds
    precision = resolve_precision(saved.precision, device)
    with progress.task("inspecting good images", n_parts(good, saved.settings)) as task:
        settled = settle(
            place(saved.model, device),
            good,
            saved.settings,
            head=None if saved.head is None else place(saved.head, device),
            device=device,
            precision=precision,
            on_part=task.update,
        )
    if (note := outlier_note(settled.thresholds, names)) is not None:
        logger.warning("%s", note)
    forget(folder)  # an earlier inspection rested on other thresholds
    for version in folder.versions.glob("*.json"):
        version.unlink()
    _write_json(folder.thresholds, settled.thresholds.to_dict())
    by_image = dict(zip((index for index, _ in good.split.held_out), names, strict=True))
    judged = settled.judged
    write_held_out(
        folder.held_out, store_judged(judged, [by_image[index] for index in judged.images], settled.thresholds)
    )
    if settled.planted is not None:
        write_choices(folder, treatments=[choice.to_dict() for choice in settled.choices])
        table = tabulate_detection(settled.planted, pixel_size_mm=saved.settings.pixel_size)
        _write_json(folder.pod, table.to_dict())
    # Last: a model that has thresholds is not settled again, whatever is missing beside it.
    saved = replace(
        saved,
        settings=settled.settings,
        precision=precision,
        thresholds=settled.thresholds,
        reference=settled.reference,
    )
    save_model(folder.model, saved)
    return saved, settled.thresholds


def write_choices(folder: RunFolder, **parts: list[dict[str, Any]]) -> None:
    """Write what was compared, ``trials`` or ``treatments``, into ``choices.json`` beside what stands there."""
    stored = read_json(folder.choices, dict[str, Any]) if folder.choices.exists() else {}
    _write_json(folder.choices, stored | parts)


def _write_json(path: Path, content: object) -> None:
    write_text(path, _json_text(content))


def _json_text(content: object) -> str:
    return json.dumps(content, indent=1) + "\n"
