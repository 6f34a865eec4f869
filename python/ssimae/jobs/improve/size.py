"""Size a short training that begins with finished networks to the time there is."""

from __future__ import annotations

import dataclasses

import torch

from ssimae.config.settings import Settings
from ssimae.inspection.holdout import GoodImages
from ssimae.storage.facts import Facts
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning.recipe import HEAD_SHARE, SETTLING_SHARE, head_patches_in
from ssimae.tuning.trial import patches_per_second, with_patches

_LR = 5e-5
"""Learning rate at most: a finished network forgets at higher ones what it knows."""


def size_stage(
    folder: RunFolder, good: GoodImages, settings: Settings, facts: Facts, *, device: torch.device
) -> tuple[Settings, Facts]:
    """Return settings and facts of a training that takes the minutes that the facts name; write them."""
    assert facts.minutes is not None
    parts, masks = good.training_parts(settings)
    speed = patches_per_second(parts, settings, masks, device=device)
    seconds = 60 * facts.minutes
    head = HEAD_SHARE if settings.head_patches else 0.0
    settings = dataclasses.replace(
        with_patches(settings, round(speed * seconds * (1 - head - SETTLING_SHARE))),
        lr=min(settings.lr, _LR),
        schedule="cooldown",
        crops="fresh",
        head_patches=max(1, head_patches_in(seconds, speed)) if head else 0,
    )
    facts = dataclasses.replace(facts, chosen=True)
    folder.write_config(settings, facts)
    return settings, facts
