"""Size a short training that begins with finished networks to the time there is."""

from __future__ import annotations

import dataclasses
import time

import torch

from ssimae.config.settings import Settings
from ssimae.inspection.holdout import GoodImages
from ssimae.progress import Progress
from ssimae.storage.facts import Facts
from ssimae.storage.model_file import load_model
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning.recipe import HEAD_SHARE, SETTLING_SHARE, head_patches_in
from ssimae.tuning.settle import FITTING_S, n_parts
from ssimae.tuning.trial import patches_per_second, with_patches

_LR = 5e-5
"""Learning rate at most: a finished network forgets at higher ones what it knows."""


_REPORT_S = 15.0
"""For metrics, figures and the report, about."""


def size_stage(
    folder: RunFolder,
    good: GoodImages,
    settings: Settings,
    facts: Facts,
    *,
    tested: int,
    device: torch.device,
    progress: Progress,
) -> tuple[Settings, Facts]:
    """Return settings and facts of a training that takes the minutes that the facts name; write them.

    It is said what else will be done after it, with the number of `tested` images, and about how long all takes.
    """
    assert facts.minutes is not None
    progress.say(_plan(good, settings, facts, tested=tested, device=device))
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


def _plan(good: GoodImages, settings: Settings, facts: Facts, *, tested: int, device: torch.device) -> str:
    assert facts.improves is not None
    assert facts.minutes is not None
    inspector = load_model(RunFolder(facts.improves).model).on(device)
    image, ignored = good.images[0], good.ignored[0]
    inspector.inspect(image, ignored)  # the first time takes longer
    start = time.perf_counter()
    inspector.inspect(image, ignored)
    one_s = time.perf_counter() - start
    parts, compared = n_parts(good, settings), len(facts.taught) + len(facts.missed)
    after_s = FITTING_S + _REPORT_S + one_s * (parts + tested + 2 * compared)
    minutes = facts.minutes + after_s / 60
    return (
        f"`--minutes` {facts.minutes:g} is for the training. After it thresholds are set from {parts} held-out and "
        f"planted images, {tested} test images are inspected, and {compared} before and after: about "
        f"{max(round(minutes), 1)} min in all"
    )
