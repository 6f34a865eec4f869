"""Refuse a run folder whose parts say different things: one of them was edited, or taken from elsewhere."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ssimae.config.settings import Settings, inspection_settings
from ssimae.host import system
from ssimae.reading import file_sha256
from ssimae.storage.facts import Facts, PredictFacts
from ssimae.storage.run_folder import RunFolder, settings_sha256

if TYPE_CHECKING:  # it needs safetensors; a folder of `predict` is checked where they are not installed, too
    from ssimae.storage.description import Description

_CHOSEN = "calibration", "residual_smoothing"
"""Settings that ``config.toml`` may leave open, where the model holds what was chosen."""


def check_agreement(folder: RunFolder) -> None:
    """Refuse a run whose ``config.toml`` or ``thresholds.json`` differs from its model, if that is there.

    The model is what images are inspected with: settings that were changed beside it would be ignored. In a folder of
    `predict`, where it does not lie, both have to be as they were when images were inspected.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read, or differs; the message names it.
    """
    _, facts = folder.read_config()
    if isinstance(facts, PredictFacts):
        _check_prediction(folder, facts)
    if not folder.model.exists():
        return
    said = check_settings(folder)
    if isinstance(facts, Facts):
        if said.alarm is not None and not facts.collapsed:
            raise ValueError(f"{folder.config}: does not say that the training collapsed, as {folder.model.name} does")
        _check_thresholds(folder, said)


def _check_prediction(folder: RunFolder, facts: PredictFacts) -> None:
    if facts.settings_sha256 not in (None, settings_sha256(folder.config)):
        raise ValueError(
            f"{folder.config}: its [settings] are no longer those that the images were inspected with: put them back, "
            "or inspect the images again, into another --out"
        )
    if not folder.thresholds.exists() or facts.thresholds_sha256 is None:
        return
    if file_sha256(folder.thresholds) != facts.thresholds_sha256:
        raise ValueError(
            f"{folder.thresholds}: no longer what the images were judged by: delete it, and it is written again by: "
            f"{folder.command('predict', '--resume')}"
        )


def check_settings(folder: RunFolder) -> Description:
    """Refuse a run whose ``config.toml`` holds other settings than its model; return what the model says.

    Raises
    ------
    OSError, ValueError
        As for :func:`check_agreement`.
    """
    from ssimae.storage.description import describe_model  # noqa: PLC0415 - see above

    said = describe_model(folder.model)
    settings, _ = folder.read_config()
    _check_settings(folder, settings, said.settings)
    return said


def _check_settings(folder: RunFolder, stored: Settings, made: Settings) -> None:
    for field in dataclasses.fields(Settings):
        now, then = getattr(stored, field.name), getattr(made, field.name)
        if now != then and not (field.name in _CHOSEN and now in ("auto", None)):
            raise ValueError(
                f"{folder.config}: `{field.name}` is {now}, but {folder.model.name} was made with {then}: put that "
                f"back{_with_value(folder, field.name, now)}"
            )


def _with_value(folder: RunFolder, name: str, value: object) -> str:
    """Return how a run is looked at with another value of a setting, for the end of a message."""
    if value is None or name not in inspection_settings():
        return "; another value needs a run of its own"
    flag = name.replace("_", "-")
    words = [f"--{flag}", str(value)] if not isinstance(value, bool) else [f"--{flag}" if value else f"--no-{flag}"]
    command = system.command_line(["ssimae", "run", "--weights", str(folder.home), *words])
    return f"; the same network is looked at with the other value by: {command}"


def _check_thresholds(folder: RunFolder, said: Description) -> None:
    stored = folder.read_thresholds()
    if stored is None or said.thresholds is None or stored == said.thresholds:
        return
    # A change of thresholds that was interrupted leaves other files behind, too.
    if folder.held_out.exists():
        remedy = f"it is written again by: {folder.command('threshold')}"
    else:
        remedy = f"delete it, and it is written again by: {folder.resumption}"
    for name, value in said.thresholds.to_dict().items():
        if (now := stored.to_dict()[name]) != value:
            raise ValueError(
                f"{folder.thresholds}: `{name}` is {now!r:.80}, but images are judged by {folder.model.name}, which "
                f"has {value!r:.80}: {remedy}"
            )
