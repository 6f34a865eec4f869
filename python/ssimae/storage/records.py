"""Read everything that a run folder holds of one model, for the report; what is absent is None or empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.evaluation.output import read_curves, read_metrics
from ssimae.inspection.threshold import Thresholds
from ssimae.pod.table import DetectionTable
from ssimae.reading import read_json
from ssimae.storage.agreement import check_agreement
from ssimae.storage.choices import read_choices
from ssimae.storage.facts import Facts, PredictFacts
from ssimae.storage.predictions import SkippedImage, StoredInspection, read_predictions
from ssimae.storage.run_folder import RunFolder
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
    """Ways to treat the residual that were compared; none where it is not calibrated."""
    name: str | None = None
    """What it is called beside other runs; by default as its system is."""

    @property
    def title(self) -> str:
        """Name of the system as the paper writes it, or what it is called beside other runs."""
        return self.name or self.settings.row.title

    @property
    def training(self) -> Facts | None:
        """Facts of the run that trained the model; None where images were inspected outside any run."""
        return self.facts if isinstance(self.facts, Facts) else None

    @property
    def alarm(self) -> str | None:
        """That the network learned nothing, in a sentence; None where it did."""
        return self.facts.alarm

    @property
    def calibrated(self) -> bool:
        """Whether verdicts rest on calibrated residuals."""
        if isinstance(self.facts, PredictFacts) and self.facts.calibrated is not None:
            return self.facts.calibrated
        return bool(self.treatments) or self.folder.calibrated.exists()

    def keeps_maps(self, inspection: StoredInspection) -> bool:
        """Return whether the maps of an image were to be kept; `ssimae predict` may have been told otherwise."""
        if not isinstance(self.facts, PredictFacts) or self.facts.maps == "all":
            return True
        return self.facts.maps == "flagged" and inspection.flagged

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


def read_results(folder: RunFolder, *, data: Path | None = None) -> ModelResults:
    """Return what a run folder holds.

    Images and masks that are not where they were inspected are looked for below the data folder that ``config.toml``
    names now, or below `data`: it, or the run that holds it, may have been moved.

    Raises
    ------
    OSError
        If this is not a run folder.
    ValueError
        If a file in it is damaged, of another version, or says otherwise than another; the message names it.
    """
    settings, facts = folder.read_config()
    check_agreement(folder)
    inspections, skipped = read_predictions(folder.predictions, growing=isinstance(facts, PredictFacts))
    if isinstance(facts, Facts):
        inspections = tuple(_found(inspection, data or facts.data) for inspection in inspections)
    choices = read_choices(folder.choices)
    return ModelResults(
        folder=folder,
        settings=settings,
        facts=facts,
        thresholds=folder.read_thresholds(),
        log=folder.read_log(),
        inspections=inspections,
        skipped=skipped,
        metrics=read_metrics(folder.metrics) if folder.metrics.exists() else None,
        curves=read_curves(folder.curves) if folder.curves.exists() else None,
        detection=read_detection(folder.pod),
        trials=choices.trials,
        treatments=tuple(dict(treatment) for treatment in choices.treatments),
    )


def _found(inspection: StoredInspection, data: Path) -> StoredInspection:
    """Return an image with its files where they are now, as far as they are found below a data folder."""

    def where(path: Path) -> Path:
        try:
            if path.exists():
                return path
            places = (data.joinpath(*path.parts[start:]) for start in range(1, len(path.parts)))
            return next((place for place in places if place.is_file()), path)
        except OSError:  # a name longer than any file can have
            return path

    ignore = None if inspection.ignore is None else where(inspection.ignore)
    return replace(inspection, image=where(inspection.image), masks=tuple(map(where, inspection.masks)), ignore=ignore)


def read_detection(path: Path) -> DetectionTable | None:
    """Return the table of ``pod.json``; None where no defects were planted, so that there is no such file.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is damaged; the message names it.
    """
    if not path.exists():
        return None
    content = read_json(path, dict[str, Any])
    try:
        return DetectionTable.from_dict(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
