"""What learns the good surface: an autoencoder by training, or a dictionary of features by collecting them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssimae.config.settings import Settings
from ssimae.errors import InterruptedRunError
from ssimae.hardware import prepare
from ssimae.models.dictionary import fit_dictionary
from ssimae.models.features import AlexNetFeatures, ResNet18Features
from ssimae.training.crops import CropSampler
from ssimae.training.log import LogLine
from ssimae.training.train import Training, train


def learn(
    images: Sequence[NDArray[np.float32]],
    settings: Settings,
    *,
    ignored: Sequence[NDArray[np.bool_] | None] | None = None,
    pretrained: Path | None = None,
    device: torch.device,
    state: Path | None = None,
    on_resume: Callable[[int], None] | None = None,
    on_log: Callable[[LogLine], None] | None = None,
    on_step: Callable[[int, float], None] | None = None,
    interrupted: Callable[[], int | None] | None = None,
) -> Training:
    """Return what has learned defect-free images, whichever system the settings make.

    Parameters
    ----------
    images, settings, ignored, device, state, on_resume, on_log, on_step, interrupted
        As for :func:`ssimae.training.train.train`; a dictionary has no state, since it takes minutes: it starts again.
    pretrained : Path or None
        File of the pretrained weights of FM-AE or the dictionary; None for torchvision's cache.

    Raises
    ------
    OSError, ValueError
        If pretrained weights are needed and missing or not torchvision's.
    DivergedError, InterruptedRunError
        As for :func:`ssimae.training.train.train`.
    """
    if settings.method == "dictionary":
        return _learn_dictionary(
            images,
            settings,
            ignored=ignored,
            pretrained=pretrained,
            device=device,
            on_log=on_log,
            on_step=on_step,
            interrupted=interrupted,
        )
    features = None
    if settings.loss == "fm":
        random = settings.features == "random"
        features = AlexNetFeatures.random(settings.seed) if random else AlexNetFeatures.pretrained(pretrained)
    training = train(
        images,
        settings,
        ignored=ignored,
        features=features,
        device=device,
        state=state,
        on_resume=on_resume,
        on_log=on_log,
        on_step=on_step,
        interrupted=interrupted,
    )
    return training if features is None else dataclasses.replace(training, features=features.source)


def _learn_dictionary(
    images: Sequence[NDArray[np.float32]],
    settings: Settings,
    *,
    ignored: Sequence[NDArray[np.bool_] | None] | None,
    pretrained: Path | None,
    device: torch.device,
    on_log: Callable[[LogLine], None] | None,
    on_step: Callable[[int, float], None] | None,
    interrupted: Callable[[], int | None] | None,
) -> Training:
    """Collect the features of `patches` random crops, each once."""
    prepare(device)
    random = settings.features == "random"
    features = ResNet18Features.random(settings.seed) if random else ResNet18Features.pretrained(pretrained)
    crops = CropSampler(images, settings, ignored, side=settings.dictionary_patch)
    start = time.monotonic()

    def batches() -> Iterator[Tensor]:
        for step in range(crops.steps_per_epoch):
            yield crops.batch(step)

    def report(count: int) -> None:
        if on_step is not None:
            on_step(min(count, settings.patches_total), 0.0)
        if interrupted is not None and (signal := interrupted()) is not None:
            raise InterruptedRunError(signal, count // settings.batch_size, crops.steps_per_epoch)

    dictionary = fit_dictionary(
        batches,
        features,
        size=settings.dictionary_size,
        variance=settings.dictionary_variance,
        seed=settings.seed,
        device=device,
        on_batch=report,
    )
    # What a loss is to a network, the distance to the dictionary is to it: near 0 would be learning by heart.
    with torch.inference_mode():
        distance = float(dictionary.score(crops.batch(0).to(device)).mean())
    elapsed = time.monotonic() - start
    if on_log is not None:
        speed = settings.patches_total / max(elapsed, 1e-9)
        on_log(LogLine(crops.steps_per_epoch, settings.patches_total, 0, distance, 0.0, speed, elapsed))
    return Training(dictionary, distance, None, "float32", elapsed, features.source)
