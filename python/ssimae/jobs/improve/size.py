"""Size a short training that begins with finished networks to the time there is."""

from __future__ import annotations

import dataclasses

import torch

from ssimae.config.settings import Settings
from ssimae.inspection.holdout import GoodImages
from ssimae.storage.facts import Facts
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning.trial import patches_per_second, with_patches

_LR = 5e-5
"""Learning rate at most: a finished network forgets at higher ones what it knows."""

_HEAD, _SETTLING = 0.25, 0.1
"""Shares of the time for the head and for what follows the training; the rest is the autoencoder's."""

_HEAD_COST = 1.6
"""Time of a head's patch over that of the autoencoder's."""


def size_stage(
    folder: RunFolder, good: GoodImages, settings: Settings, facts: Facts, *, device: torch.device
) -> tuple[Settings, Facts]:
    """Return settings and facts of a training that takes the minutes that the facts name; write them."""
    assert facts.minutes is not None
    parts, masks = good.training_parts(settings)
    speed = patches_per_second(parts, settings, masks, device=device)
    seconds = 60 * facts.minutes
    head = _HEAD if settings.head_patches else 0.0
    settings = dataclasses.replace(
        with_patches(settings, round(speed * seconds * (1 - head - _SETTLING))),
        lr=min(settings.lr, _LR),
        schedule="cooldown",
        crops="fresh",
        head_patches=max(1, round(speed * seconds * head / _HEAD_COST)) if head else 0,
    )
    facts = dataclasses.replace(facts, chosen=True)
    folder.write_config(settings, facts)
    return settings, facts
