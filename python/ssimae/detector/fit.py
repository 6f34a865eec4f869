"""Fit: choose settings, train, and settle thresholds, on good images that are in memory."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.config.presets import preset as named_settings
from ssimae.config.settings import Settings
from ssimae.data.check import depth_note, flat_note, gray_note
from ssimae.data.ignore import inspected_frame
from ssimae.detector.given import GoodOnes, ignored_of, image_of, images_of, is_coloured, of_its_channels
from ssimae.detector.parameters import changed
from ssimae.images.depth import Image, view
from ssimae.images.read import is_flat
from ssimae.inspection.feasible import refuse_infeasible
from ssimae.inspection.holdout import GoodImages, arrange_good
from ssimae.models.build import Network
from ssimae.models.dictionary import FeatureDictionary
from ssimae.models.head import Head
from ssimae.progress import Progress, Task
from ssimae.training.head.train import train_head
from ssimae.training.learn import learn
from ssimae.training.monitor import SilentMonitor
from ssimae.training.train import Training
from ssimae.tuning.look import LOOKED_AT, look_at, shows_colour
from ssimae.tuning.recipe import CHOSEN, candidates, choose
from ssimae.tuning.settle import Settled, n_parts, refuse_unsettled, settle, treatable
from ssimae.tuning.trial import Trial

logger = logging.getLogger(__name__)

_BY_TIME = {"patches", "head_patches"}
"""Settings that are chosen by the time there is, also where a training goes on."""


@dataclass(frozen=True)
class Begun:
    """What a fit goes on from."""

    model: Network
    head: Head | None
    settings: Settings


@dataclass(frozen=True)
class Fitted:
    """What came of a fit."""

    training: Training
    head: Head | None
    settled: Settled
    trials: tuple[Trial, ...]


def fit_images(
    good: GoodOnes,
    settings: Settings,
    *,
    chooses: bool,
    minutes: float,
    pretrained: Path | None,
    begun: Begun | None,
    device: torch.device,
    progress: Progress,
) -> Fitted:
    """Return the network of good images, with thresholds; see :meth:`ssimae.Detector.fit`."""
    given = set(changed(settings, named_settings("auto")))
    if begun is not None and chooses:
        kept = {name: getattr(begun.settings, name) for name in CHOSEN if name not in given | _BY_TIME}
        settings, given = replace(settings, **kept), given | kept.keys()
    some: list[NDArray[np.float32]] = []
    if chooses:
        some = [
            image_of(image, of_its_channels(image, settings), "image").pixels[:] for image in good.images[:LOOKED_AT]
        ]
        if "channels" not in given:
            # Files are read in as many as carry something; an array is taken as it is.
            coloured = any(map(is_coloured, good.images)) or shows_colour(some)
            settings = replace(settings, channels=3 if coloured else 1)
    images, ignored = _read(good, settings, progress)
    trials: list[Trial] = []
    if chooses:
        look = look_at(some, [(image.shape[0], image.shape[1]) for image in images])
        with progress.task("trying settings", len(candidates(look, settings, given, minutes))) as task:
            settings, trials = choose(
                images,
                ignored,
                look,
                settings,
                given=given,
                minutes=minutes,
                on_trial=lambda tried, count: task.update(len(tried)),
                device=device,
            )
    arranged = arrange_good(images, ignored, settings)
    settings = treatable(settings, arranged)
    refuse_unsettled(arranged, settings)
    training, head = _train(arranged, settings, pretrained=pretrained, begun=begun, device=device, progress=progress)
    with progress.task("inspecting good images", n_parts(arranged, settings)) as task:
        settled = settle(
            training.model,
            arranged,
            settings,
            head=head,
            device=device,
            precision=training.precision,
            on_part=task.update,
        )
    return Fitted(training, head, settled, tuple(trials))


def refuse_unlike(begun: Begun, settings: Settings) -> None:
    """Refuse to go on with a network that is not of these settings, with a ValueError."""
    if settings.method == "dictionary":
        raise ValueError("`warm_start` goes on from the weights of a network; a dictionary has none")
    for name in ("method", "latent_dim", "patch_size", "channels"):
        before, now = getattr(begun.settings, name), getattr(settings, name)
        if before != now:
            raise ValueError(
                f"`{name}` is {now!r}, and was {before!r} when the detector was fitted: its weights do not fit; "
                "`warm_start` False begins anew"
            )
    if settings.row.variational != begun.settings.row.variational:
        raise ValueError(f"`loss` {settings.loss!r} needs another network than {begun.settings.loss!r}")


def _read(good: GoodOnes, settings: Settings, progress: Progress) -> tuple[list[Image], list[NDArray[np.bool_] | None]]:
    """Return images and what of them is ignored; say what is suspicious, and refuse what cannot be learned from."""
    with progress.task("reading good images", len(good.images)) as task:
        taken = images_of(good.images, settings, task.update)
    images = [image.pixels for image in taken]
    refuse_infeasible([(image.shape[0], image.shape[1]) for image in images], [], settings)
    files = [
        (str(name), image.depth) for name, image in zip(good.images, taken, strict=True) if image.depth is not None
    ]
    notes = [gray_note(sum(image.made_gray for image in taken), len(images))]
    if settings.data_range is None:
        notes.append(depth_note(files))
    for note in notes:
        if note is not None:
            logger.warning("%s", note)
    ignored = [
        ignored_of(mask, image, f"ignore {index}")
        for index, (mask, image) in enumerate(zip(good.masks, images, strict=True))
    ]
    kept = [view(image, inspected_frame(mask)) for image, mask in zip(images, ignored, strict=True)]
    if (note := flat_note([is_flat(image) for image in kept])) is not None:
        raise ValueError(f"`X`: {note}")
    return images, ignored


class _Moves(SilentMonitor):
    """A monitor that moves a bar."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def stepped(self, patches: int, loss: float) -> None:
        self._task.update(patches, f"loss {loss:.4f}")


def _train(
    good: GoodImages,
    settings: Settings,
    *,
    pretrained: Path | None,
    begun: Begun | None,
    device: torch.device,
    progress: Progress,
) -> tuple[Training, Head | None]:
    parts, masks = good.training_parts(settings)
    with progress.task(f"training {settings.row.title}", settings.patches_total) as task:
        training = learn(
            parts,
            settings,
            ignored=masks,
            pretrained=pretrained,
            device=device,
            initial=None if begun is None else begun.model.state_dict(),
            monitor=_Moves(task),
        )
    if not settings.head_patches or isinstance(training.model, FeatureDictionary):
        return training, None
    with progress.task("training the head", settings.head_patches) as task:
        head = train_head(
            training.model,
            parts,
            settings,
            ignored=masks,
            device=device,
            precision=training.precision,
            initial=None if begun is None else begun.head,
            monitor=_Moves(task),
        )
    return training, head
