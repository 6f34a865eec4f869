"""Choose the settings of a training by short trials, within a budget of minutes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.config.settings import PATCH_SIZES, Settings
from ssimae.images.depth import Image
from ssimae.inspection.holdout import FEWEST_IMAGES, arrange_good
from ssimae.training.monitor import SILENT, Monitor
from ssimae.tuning.look import Look
from ssimae.tuning.trial import Trial, best_of, name_of, patches_per_second, try_out, with_patches

CANDIDATES = (1.0, 64), (0.5, 64), (1.0, 128), (0.5, 128)
"""Scale and patch size of the trials, in the order in which they are tried where time is short."""

_LATENT_DIMS = {32: 50, 64: 100, 128: 300, 256: 500}
"""About a value for every 40 to 55 pixels of a patch, but for the largest."""

_TRIALS, HEAD_SHARE, SETTLING_SHARE = 0.25, 0.25, 0.1
"""Shares of the time; what is left is the training's."""

_HEAD_COST = 1.6
"""Time of a head's patch over that of the autoencoder's: it rebuilds it, and learns at half its size."""

_SHORTEST_TRIAL, _LONGEST_TRIAL = 18.0, 60.0
"""Seconds of training in a trial; judging it takes about as long again."""

CHOSEN = (
    "scale", "patch_size", "latent_dim", "stride", "margin", "residual_scales", "channels", "patches", "head_patches",
)  # fmt: skip
"""Settings that are chosen from the images, and by the time there is, where they are not given."""


def head_patches_in(seconds: float, speed: float) -> int:
    """Return how many patches a head sees in its share of the time, where the autoencoder sees `speed` a second."""
    return round(speed * seconds * HEAD_SHARE / _HEAD_COST)


def candidates(
    look: Look, settings: Settings, given: Collection[str], minutes: float, *, abandoned: Collection[str] = ()
) -> list[Settings]:
    """Return the settings that are worth a trial, at least one, as many as the time allows.

    Parameters
    ----------
    look : Look
    settings : Settings
        Where the candidates start from.
    given : collection of str
        Settings that are not to be changed.
    minutes : float
        Budget of everything.
    abandoned : collection of str
        Names of candidates that were trained in vain; they come only where no other is left.
    """
    found: list[Settings] = []
    for usual_scale, usual_size in CANDIDATES:
        scale = settings.scale if "scale" in given else usual_scale
        patch_size = settings.patch_size if "patch_size" in given else usual_size
        fitting = [size for size in PATCH_SIZES if size <= min(patch_size, look.shortest_side * scale)]
        if look.images < FEWEST_IMAGES:  # a band is held out of each, with a patch beside it
            fitting = [size for size in fitting if 2 * size <= max(look.smallest) * scale] or fitting
        if not fitting and "patch_size" not in given:
            continue
        size = patch_size if "patch_size" in given else fitting[-1]
        if size < patch_size and found and not abandoned:
            continue  # a smaller patch is for where there is no other choice: planted defects flatter it
        derived: dict[str, Any] = {
            "scale": scale,
            "patch_size": size,
            "latent_dim": _LATENT_DIMS[size],
            "stride": size // 4,
            "margin": min(size // 4, int(look.shortest_side * scale) - 1),
            # Coarser sizes of the residual are those of the original image.
            "residual_scales": 3 if scale > 0.75 else 2,
        }
        candidate = dataclasses.replace(
            settings, **{name: value for name, value in derived.items() if name not in given}
        )
        if candidate not in found:
            found.append(candidate)
    found = [candidate for candidate in found if name_of(candidate) not in abandoned] or found or [settings]
    if settings.system != "ssim":
        return found[:1]  # trials would compare residuals of other meanings at the price of several trainings
    affordable = int(60 * minutes * _TRIALS / (2 * _SHORTEST_TRIAL))
    return found[: max(1, affordable)]


def choose(
    images: Sequence[Image],
    ignored: Sequence[NDArray[np.bool_] | None],
    look: Look,
    settings: Settings,
    *,
    given: Collection[str],
    minutes: float,
    abandoned: Collection[str] = (),
    done: Sequence[Trial] = (),
    on_trial: Callable[[Sequence[Trial], int], None] = lambda trials, count: None,
    device: torch.device,
    monitor: Monitor = SILENT,
) -> tuple[Settings, list[Trial]]:
    """Return the settings of the training, sized to the time that is left, and the trials that chose them.

    Parameters
    ----------
    images : sequence of ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
        Good images at their own size.
    ignored : sequence of (ndarray of shape (h, w), bool, or None)
        What of each is not inspected.
    look : Look
    settings : Settings
        What is not chosen stays.
    given : collection of str
        Names of settings that the user chose.
    minutes : float
        Budget of trials, training, and what follows until images can be inspected.
    abandoned : collection of str
        Names of candidates that were trained in vain.
    done : sequence of Trial
        Of an interrupted run; they are not repeated.
    on_trial : callable
        Told all trials so far, and how many there will be, after each.
    device : torch.device
    monitor : Monitor

    Raises
    ------
    InterruptedRunError
        If the monitor returned a signal.
    """
    start = time.monotonic()
    tried = candidates(look, settings, given, minutes, abandoned=abandoned)
    by_name = {name_of(candidate): candidate for candidate in tried}
    trials = [trial for trial in done if trial.name in by_name]
    if len(tried) > 1:
        seconds = 60 * minutes * _TRIALS / (2 * len(tried))
        for name in [name for name in by_name if name not in {trial.name for trial in trials}]:
            trials.append(
                try_out(
                    images,
                    ignored,
                    by_name[name],
                    seconds=min(seconds, _LONGEST_TRIAL),
                    device=device,
                    monitor=monitor,
                )
            )
            on_trial(trials, len(tried))
        settings = by_name[best_of(trials).name]
    else:
        settings = tried[0]
    sizes_training = not {"patches", "epochs"} & set(given)
    sizes_head = settings.head_patches > 0 and "head_patches" not in given
    if sizes_head and settings.calibration == "none":
        settings, sizes_head = dataclasses.replace(settings, head_patches=0), False  # its map would count for nothing
    if not sizes_training and not sizes_head:
        return settings, trials
    good = arrange_good(images, ignored, settings)
    parts, masks = good.training_parts(settings)
    speed = patches_per_second(parts, settings, masks, device=device)
    if sizes_training:
        left = 60 * minutes * (1 - HEAD_SHARE - SETTLING_SHARE) - (time.monotonic() - start)
        settings = with_patches(settings, round(speed * max(left, 60 * minutes * 0.2)))
    if sizes_head:
        settings = dataclasses.replace(settings, head_patches=head_patches_in(60 * minutes, speed))
    return settings, trials
