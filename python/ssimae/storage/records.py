"""Read everything that a run folder holds of one model, for the report; what is absent is None or empty."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.inspection.threshold import Thresholds
from ssimae.pod.table import DetectionTable
from ssimae.storage.facts import Facts, PredictFacts
from ssimae.storage.predictions import SkippedImage, StoredInspection, read_predictions
from ssimae.storage.run_folder import RunFolder, whole_lines
from ssimae.tuning.trial import Trial


@dataclass(frozen=True)
class ModelResults:
    """Everything stored about one model of a run, except its maps."""

    folder: RunFolder
    settings: Settings
    facts: Facts | PredictFacts
    thresholds: Thresholds | None
    log: tuple[dict[str, float], ...]
    inspections: tuple[StoredInspection, ...]
    skipped: tuple[SkippedImage, ...]
    metrics: dict[str, Any] | None
    curves: dict[str, NDArray[np.float64]] | None
    detection: DetectionTable | None
    """Which planted defects were found; None where none were planted."""
    trials: tuple[Trial, ...] = ()
    """Short trainings that were compared; none where the settings were given."""
    treatments: tuple[dict[str, Any], ...] = ()
    """Ways to treat the residual that were compared, as ``choices.json`` has them; none where it is not calibrated."""

    @property
    def title(self) -> str:
        """Name of the system as the paper writes it."""
        return self.settings.row.title

    @property
    def training(self) -> Facts | None:
        """Facts of the run that trained the model; None where images were inspected outside any run."""
        return self.facts if isinstance(self.facts, Facts) else None

    @property
    def calibrated(self) -> bool:
        """Whether verdicts rest on calibrated residuals."""
        return bool(self.treatments) or self.folder.calibrated.exists()

    @property
    def map_name(self) -> str:
        """What the map is called that verdicts rest on."""
        if not self.calibrated:
            return "residual"
        return "calibrated map" if self.judges_by_head else "calibrated residual"

    @property
    def chosen_treatment(self) -> Mapping[str, Any]:
        """The treatment of the highest score, which was taken; empty where none was compared."""
        return max(self.treatments, key=lambda treatment: treatment["score"], default={})

    @property
    def judges_by_head(self) -> bool:
        """Whether a head has a part in the map that verdicts rest on."""
        return self.calibrated and self.settings.head_patches > 0 and self.settings.head_weight > 0

    @property
    def heading(self) -> str:
        """Name of the data set, or of the folder where nothing was trained."""
        return self.folder.root.name if self.training is None else self.training.dataset


def read_results(folder: RunFolder) -> ModelResults:
    """Return what a run folder holds.

    Raises
    ------
    OSError
        If this is not a run folder.
    ValueError
        If a file in it is damaged or of another version; the message names it.
    """
    settings, facts = folder.read_config()
    thresholds = _read_json(folder.thresholds)
    inspections, skipped = read_predictions(folder.predictions)
    trials, treatments = _read_choices(folder.choices)
    return ModelResults(
        folder=folder,
        settings=settings,
        facts=facts,
        thresholds=None if thresholds is None else Thresholds.from_dict(thresholds),
        log=_read_log(folder.log),
        inspections=inspections,
        skipped=skipped,
        metrics=_read_json(folder.metrics),
        curves=_read_curves(folder.curves),
        detection=_read_detection(folder.pod),
        trials=trials,
        treatments=treatments,
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    return content


def _read_detection(path: Path) -> DetectionTable | None:
    content = _read_json(path)
    if content is None:
        return None
    try:
        return DetectionTable.from_dict(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read_choices(path: Path) -> tuple[tuple[Trial, ...], tuple[dict[str, Any], ...]]:
    content = _read_json(path) or {}
    try:
        trials = tuple(Trial.from_dict(trial) for trial in content.get("trials", []))
        treatments = tuple(dict(treatment) for treatment in content.get("treatments", []))
        if any("score" not in treatment for treatment in treatments):
            raise ValueError("a treatment has no score")
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the choices of a run ({error})") from error
    return trials, treatments


def _read_log(path: Path) -> tuple[dict[str, float], ...]:
    lines = path.read_text().splitlines() if path.exists() else []
    return tuple(json.loads(line) for line in whole_lines(lines))


def _read_curves(path: Path) -> dict[str, NDArray[np.float64]] | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not the curves of an evaluation ({error})") from error
