"""Open a trained or an exported model for an inspection; the latter without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssimae.engines.engine import EngineName
from ssimae.errors import CollapsedError
from ssimae.export.folder import SUFFIXES, ExportedModel, load_exported
from ssimae.inspection.inspector import Inspector
from ssimae.inspection.threshold import named_thresholds
from ssimae.storage.agreement import check_agreement
from ssimae.storage.run_folder import RunFolder

if TYPE_CHECKING:  # exported models are inspected without torch
    from ssimae.storage.model_file import SavedModel


def open_model(model: Path, *, allow_collapsed: bool) -> SavedModel | ExportedModel:
    """Return a model that has thresholds, and the alarm of its training if that collapsed."""
    if model.suffix in (".json", *SUFFIXES.values()):
        return load_exported(model)
    from ssimae.storage.model_file import load_model  # noqa: PLC0415 - with torch

    saved = load_model(model)
    if saved.thresholds is None:
        command = RunFolder(model.parent).command("run", "--resume")
        raise ValueError(f"{model}: the model has no thresholds yet; its run sets them: {command}")
    alarm = _alarm(model, saved)
    if alarm is not None and not allow_collapsed:
        raise CollapsedError(f"{model}: {alarm} With --allow-collapsed it inspects images all the same.")
    return replace(saved, alarm=alarm)


def start_inspector(
    saved: SavedModel | ExportedModel, device: str, engine: EngineName = "torch"
) -> tuple[Inspector, str]:
    """Return what inspects images with a model on a device, and the device in words.

    Raises
    ------
    ValueError
        If there is no such device, or the engine does not run such a model or is not installed.
    """
    if engine != "torch":
        if isinstance(saved, ExportedModel):
            raise ValueError("`--engine` is for models of torch; an exported one has its own")
        if device not in ("auto", "cpu"):
            raise ValueError(f"{engine} runs on the CPU, got `device` {device!r}")
        from ssimae.export.running import inspector_by  # noqa: PLC0415 - with torch

        inspector = inspector_by(engine, saved)
        return inspector, f"{inspector.engine.name}, {inspector.engine.precision}"
    if isinstance(saved, ExportedModel):
        if device not in ("auto", "cpu"):
            raise ValueError(f"an exported model runs on the CPU, got `device` {device!r}")
        inspector = saved.inspector()
        return inspector, inspector.engine.name
    from ssimae.hardware import describe, resolve_device  # noqa: PLC0415 - with torch

    resolved = resolve_device(device)
    return saved.on(resolved), describe(resolved)


def check_folder(folder: RunFolder) -> None:
    """Refuse, with a ValueError, a folder whose files differ in what they say."""
    check_agreement(folder)


def at_levels(
    saved: SavedModel | ExportedModel, review: float | None, defective: float | None
) -> SavedModel | ExportedModel:
    """Return a model with thresholds that were named for this time, where they were."""
    if review is None and defective is None:
        return saved
    assert saved.thresholds is not None
    return replace(saved, thresholds=named_thresholds(saved.thresholds, review, defective))


def _alarm(model: Path, saved: SavedModel) -> str | None:
    """Return that the network of a model learned nothing, in a sentence; a run of an earlier version tells it alone.

    Raises
    ------
    OSError, ValueError
        If the model lies in its run, and the files there differ in what they say.
    """
    run = RunFolder(model.parent)
    if model.name != run.model.name or not run.config.exists() or not run.is_ours():
        return saved.alarm
    check_folder(run)
    return saved.alarm or run.read_training()[1].alarm
