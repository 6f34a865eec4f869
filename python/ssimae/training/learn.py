"""Learn the good surface: train an autoencoder, or collect the features of a dictionary."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssimae.config.settings import Settings
from ssimae.errors import InterruptedRunError
from ssimae.hardware import steady
from ssimae.images.depth import Image
from ssimae.models.dictionary import fit_dictionary
from ssimae.models.features import AlexNetFeatures, PatchFeatures, fixed_features
from ssimae.training.crops import CropSampler
from ssimae.training.log import LogLine
from ssimae.training.monitor import SILENT, Monitor
from ssimae.training.sharing.group import Group
from ssimae.training.train import Training, train


def learn(
    images: Sequence[Image],
    settings: Settings,
    *,
    ignored: Sequence[NDArray[np.bool_] | None] | None = None,
    pretrained: Path | None = None,
    device: torch.device,
    state: Path | None = None,
    initial: Mapping[str, Tensor] | None = None,
    may_give_up: bool = False,
    group: Group | None = None,
    monitor: Monitor = SILENT,
) -> Training:
    """Train the system that the settings choose on defect-free images.

    Parameters
    ----------
    images, settings, ignored, device, state, initial, may_give_up, group, monitor
        As for :func:`ssimae.training.train.train`; a dictionary has no state, since it takes minutes: it starts again.
    pretrained : Path or None
        File of the pretrained weights of the system's fixed network; None for torchvision's cache.

    Raises
    ------
    OSError, ValueError
        If pretrained weights are needed and missing or not torchvision's.
    DivergedError, PlateauError, InterruptedRunError
        As for :func:`ssimae.training.train.train`.
    """
    features = fixed_features(settings, pretrained)
    if settings.method == "dictionary" and features is not None and not isinstance(features, AlexNetFeatures):
        return _learn_dictionary(images, settings, features, ignored=ignored, device=device, monitor=monitor)
    training = train(
        images,
        settings,
        ignored=ignored,
        features=features,
        device=device,
        state=state,
        initial=initial,
        may_give_up=may_give_up,
        group=group,
        monitor=monitor,
    )
    return training if features is None else dataclasses.replace(training, features=features.source)


@steady()
def _learn_dictionary(
    images: Sequence[Image],
    settings: Settings,
    features: PatchFeatures,
    *,
    ignored: Sequence[NDArray[np.bool_] | None] | None,
    device: torch.device,
    monitor: Monitor,
) -> Training:
    """Collect the features of `patches` random crops, each once."""
    crops = CropSampler(images, settings, ignored, side=settings.smallest_side)
    start = time.monotonic()

    def batches() -> Iterator[Tensor]:
        for step in range(crops.steps_per_epoch):
            yield crops.batch(step)

    def report(count: int) -> None:
        monitor.stepped(min(count, settings.patches_total), 0.0)
        if (signal := monitor.interrupted()) is not None:
            raise InterruptedRunError(signal, f"at step {count // settings.batch_size} of {crops.steps_per_epoch}")

    dictionary = fit_dictionary(
        batches,
        features,
        size=settings.dictionary_size,
        variance=settings.dictionary_variance,
        seed=settings.seed,
        device=device,
        on_batch=report,
    )
    # The distance to the dictionary stands where a network has its loss: near 0 would be memorising.
    with torch.inference_mode():
        distance = float(dictionary.score(crops.batch(0).to(device)).mean())
    elapsed = time.monotonic() - start
    speed = settings.patches_total / max(elapsed, 1e-9)
    monitor.logged(LogLine(crops.steps_per_epoch, settings.patches_total, 0, distance, 0.0, speed, elapsed))
    return Training(dictionary, distance, None, "float32", elapsed, features.source)
