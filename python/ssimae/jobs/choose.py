"""Choose the settings of a run from its good images, and say in a few lines what was chosen and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from ssimae.config.presets import preset
from ssimae.config.settings import Settings
from ssimae.data.dataset import Dataset, good_samples
from ssimae.errors import PlateauError
from ssimae.images.read import image_size, read_image
from ssimae.inspection.holdout import arrange_good
from ssimae.jobs.stages import InterruptibleMonitor, read_images, write_choices
from ssimae.progress import Progress
from ssimae.storage.choices import read_choices
from ssimae.storage.facts import Facts
from ssimae.storage.run_folder import RunFolder
from ssimae.training.interrupt import noted_signals
from ssimae.training.train import PATIENCE
from ssimae.tuning.look import LOOKED_AT, Look, look_at
from ssimae.tuning.recipe import candidates, choose
from ssimae.tuning.settle import refuse_unsettled
from ssimae.tuning.trial import TELLING, Trial, best_of, name_of


def choose_stage(
    folder: RunFolder,
    dataset: Dataset,
    settings: Settings,
    facts: Facts,
    *,
    device: torch.device,
    progress: Progress,
) -> tuple[Settings, Facts]:
    """Return settings and facts of a run whose settings were to be chosen; write them, and all trials.

    Trials that an interrupted run finished are not repeated.

    Raises
    ------
    InterruptedRunError
        If Ctrl-C or SIGTERM came.
    """
    assert facts.minutes is not None
    look = _look(dataset, settings)
    if "channels" not in facts.given:
        settings = dataclasses.replace(settings, channels=3 if look.coloured else 1)
    minutes = facts.minutes * (1 - PATIENCE) ** len(facts.abandoned)
    tried = candidates(look, settings, facts.given, minutes, abandoned=facts.abandoned)
    done = _stored_trials(folder)
    progress.say(f"Found {look.in_words()}.")
    progress.say(_plan(tried, minutes))
    images, ignored = read_images(dataset, settings, progress)
    refuse_unsettled(arrange_good(images, ignored, settings), settings)
    with noted_signals() as interruption, progress.task("trying settings", len(tried)) as task:
        task.update(len(done))

        def on_trial(trials: Sequence[Trial], count: int) -> None:
            write_choices(folder, trials=[trial.to_dict() for trial in trials])
            task.update(len(trials))

        chosen, trials = choose(
            images,
            ignored,
            look,
            settings,
            given=facts.given,
            minutes=minutes,
            abandoned=facts.abandoned,
            done=done,
            on_trial=on_trial,
            device=device,
            monitor=InterruptibleMonitor(interruption),
        )
        task.update(len(tried))
    for line in _reasons(chosen, trials):
        progress.say(line)
    facts = dataclasses.replace(facts, chosen=True)
    folder.write_config(chosen, facts)
    return chosen, facts


def begin_again(
    folder: RunFolder, settings: Settings, facts: Facts, error: PlateauError, progress: Progress
) -> tuple[Settings, Facts]:
    """Give a training up that led nowhere, so that :func:`choose_stage` takes other settings."""
    progress.say(f"Gave up patches of {settings.patch_size} at scale {settings.scale:g}: {error}.")
    facts = dataclasses.replace(facts, abandoned=(*facts.abandoned, name_of(settings)), chosen=False)
    folder.log.unlink(missing_ok=True)
    folder.state.unlink(missing_ok=True)
    settings = dataclasses.replace(preset("auto"), **{name: getattr(settings, name) for name in facts.given})
    folder.write_config(settings, facts)
    return settings, facts


def _look(dataset: Dataset, settings: Settings) -> Look:
    samples = good_samples(dataset)
    some = [samples[number * len(samples) // LOOKED_AT] for number in range(LOOKED_AT)]
    paths = [sample.path for sample in (some if len(samples) > LOOKED_AT else samples)]
    return look_at(
        [read_image(path, channels=3, data_range=settings.data_range) for path in paths],
        [image_size(sample.path) for sample in samples],
    )


def _stored_trials(folder: RunFolder) -> list[Trial]:
    return list(read_choices(folder.choices).trials)


def _plan(tried: Sequence[Settings], minutes: float) -> str:
    ready = f"the model is ready in about {minutes:g} min; then the images are inspected"
    if len(tried) == 1:
        return f"Training {_words(tried[0])}; {ready}."
    return f"Trying {', '.join(map(_words, tried))}; the one that finds planted defects best is trained; {ready}."


def _words(settings: Settings) -> str:
    size = "full size" if settings.scale == 1 else "half size" if settings.scale == 0.5 else f"scale {settings.scale:g}"
    return f"patches of {settings.patch_size} at {size}"


def _reasons(chosen: Settings, trials: Sequence[Trial]) -> list[str]:
    lines = []
    if trials:
        best = best_of(trials)
        others = ", ".join(
            f"{trial.patch_size} at scale {trial.scale:g} "
            + ("learned nothing" if trial.collapsed else f"{trial.score:.2f}")
            for trial in trials
            if trial is not best
        )
        if best.collapsed:
            lines.append(f"Chose {_words(chosen)}: no trial learned anything yet, and this one came nearest to it.")
        elif best.score < TELLING:
            lines.append(
                f"Chose {_words(chosen)}: the trials were too short to tell (score {best.score:.2f}; {others})."
            )
        else:
            lines.append(f"Chose {_words(chosen)}: score {best.score:.2f} on planted defects ({others}).")
    lines.append(
        f"Training on {chosen.patches_total} patches in {'colour' if chosen.channels == 3 else 'gray'}, latent "
        f"dimension {chosen.latent_dim}, and a head on {chosen.head_patches}."
    )
    return lines
