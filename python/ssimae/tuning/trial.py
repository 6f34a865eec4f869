"""Try settings out: a short training, judged by the planted defects that its network finds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.hardware import resolve_precision, steady
from ssimae.images.depth import Image
from ssimae.inspection.holdout import arrange_good
from ssimae.models.build import new_autoencoder, place
from ssimae.reading import Count, Finite, NotNegative, Positive
from ssimae.training.batches import make_batch
from ssimae.training.crops import CropSampler
from ssimae.training.gradients import gradients_of
from ssimae.training.monitor import SILENT, Monitor
from ssimae.training.train import train
from ssimae.tuning.settle import settle

_WARM_UP, _TIMED = 3, 8
TELLING = 0.1
"""Least score of a trial that tells anything: below it chance decides which of some seventy defects exceed a level."""

_PIXELS = 6_000_000
"""Bound of the good and of the planted images that a trial is judged on."""


@dataclass(frozen=True)
class Trial:
    """One short training and how it went."""

    scale: Positive
    patch_size: Count
    latent_dim: Count
    patches: Count
    seconds: NotNegative
    loss: Finite
    plateau: NotNegative
    """Loss of a constant output."""
    collapsed: bool
    """Whether the network was still no better than that."""
    score: NotNegative
    """Of planted defects (:class:`.score.PlantedScore`); 0 for a collapsed network, which finds nothing."""

    @property
    def name(self) -> str:
        """Scale and patch size in short."""
        return name_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return dataclasses.asdict(self)


def name_of(tried: Settings | Trial) -> str:
    """Return scale and patch size in short, as :attr:`ssimae.storage.facts.Facts.abandoned` keeps them."""
    return f"{tried.scale:g} {tried.patch_size}"


def with_patches(settings: Settings, patches: int) -> Settings:
    """Return settings that train on about so many patches, in some ten epochs of equal length."""
    epochs = max(1, min(10, patches // (8 * settings.batch_size)))
    return dataclasses.replace(settings, epochs=epochs, patches=max(settings.batch_size, patches // epochs))


@steady()
def patches_per_second(
    images: Sequence[Image],
    settings: Settings,
    ignored: Sequence[NDArray[np.bool_] | None],
    *,
    device: torch.device,
) -> float:
    """Return how fast a training runs: the median of some steps on this machine as it is loaded now."""
    crops = CropSampler(images, dataclasses.replace(settings, patches=settings.batch_size * 64), ignored)
    model = place(new_autoencoder(settings, seed=settings.seed), device)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr, fused=True)
    precision = resolve_precision(settings.precision, device)
    gradients = gradients_of(model, settings, precision=precision, features=None, device=device)
    times = []
    for step in range(_WARM_UP + _TIMED):
        start = time.perf_counter()
        loss = gradients(make_batch(crops, settings, step).to(device))
        optimizer.step()
        float(loss)
        times.append(time.perf_counter() - start)
    return settings.batch_size / float(np.median(times[_WARM_UP:]))


def try_out(
    images: Sequence[Image],
    ignored: Sequence[NDArray[np.bool_] | None],
    settings: Settings,
    *,
    seconds: float,
    device: torch.device,
    monitor: Monitor = SILENT,
) -> Trial:
    """Return how settings do after a training of some seconds.

    Parameters
    ----------
    images : sequence of ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
        Good images at their own size.
    ignored : sequence of (ndarray of shape (h, w), bool, or None)
        What of each is not inspected.
    settings : Settings
        Their `patches` and `epochs` follow from the time.
    seconds : float
        For the training alone; judging it takes about as long again where images are large.
    device : torch.device
    monitor : Monitor

    Raises
    ------
    InterruptedRunError
        If the monitor returned a signal.
    """
    start = time.monotonic()
    good = arrange_good(images, ignored, settings)
    parts, masks = good.training_parts(settings)
    speed = patches_per_second(parts, settings, masks, device=device)
    short = with_patches(settings, round(speed * seconds))
    training = train(parts, short, ignored=masks, device=device, monitor=monitor)
    assert training.plateau is not None
    score = 0.0
    if not training.collapsed:
        judged = dataclasses.replace(
            short, calibration="border", residual_smoothing=None, stride=max(1, settings.patch_size // 2)
        )
        settled = settle(
            training.model,
            good,
            judged,
            device=device,
            precision=training.precision,
            good_pixels=_PIXELS,
            planted_pixels=_PIXELS,
        )
        score = max((choice.score.value for choice in settled.choices), default=0.0)
    return Trial(
        scale=settings.scale,
        patch_size=settings.patch_size,
        latent_dim=settings.latent_dim,
        patches=short.patches_total,
        seconds=time.monotonic() - start,
        loss=training.loss,
        plateau=training.plateau,
        collapsed=training.collapsed,
        score=score,
    )


def best_of(trials: Sequence[Trial]) -> Trial:
    """Return the trial of the highest score, or the first that learned anything, where no score tells yet.

    The first is the one at full size, which loses no detail. Where all collapsed it is the one farthest from a constant
    output.
    """
    learned = [trial for trial in trials if not trial.collapsed]
    if learned and max(trial.score for trial in learned) < TELLING:
        return learned[0]
    return max(trials, key=lambda trial: (trial.score, -trial.loss / max(trial.plateau, 1e-12)))
