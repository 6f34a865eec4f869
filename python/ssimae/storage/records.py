"""What a run folder holds of one model, read back for the report; whatever is absent is None or empty."""

from __future__ import annotations

import csv
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.config.systems import title
from ssimae.data.layouts import GOOD, UNLABELLED
from ssimae.inspection.threshold import Thresholds
from ssimae.jobs.stages import SKIPPED
from ssimae.storage.run_folder import RunFolder, whole_lines

TRAINING = "training"
"""Defect name of good images that are inspected themselves, because there is no test image."""


@dataclass(frozen=True)
class Inspection:
    """One row of ``predictions.csv``."""

    name: str
    defect: str
    image: Path
    """Original file; it may have been moved away since."""
    mask: Path | None
    ignore: Path | None
    """Mask of the pixels that were not inspected."""
    height: int
    width: int
    score: float
    verdict: str
    regions: int
    defect_px: int

    @property
    def has_truth(self) -> bool:
        """Whether it is known which pixels are defective."""
        return self.defect == GOOD or self.mask is not None

    @property
    def is_defective(self) -> bool | None:
        """Whether the image is known to be defective, or good; None where nothing says."""
        return None if self.defect == UNLABELLED else self.defect not in (GOOD, TRAINING)

    @property
    def flagged(self) -> bool:
        """Whether the verdict is `review` or `defective`."""
        return self.verdict != "good"


@dataclass(frozen=True)
class ModelResults:
    """Everything stored about one model of a run, except its maps."""

    folder: RunFolder
    settings: Settings
    facts: dict[str, Any]
    """The table ``[run]``."""
    thresholds: Thresholds | None
    log: tuple[dict[str, float], ...]
    inspections: tuple[Inspection, ...]
    skipped: tuple[tuple[str, str], ...]
    """File and reason of each image that could not be read."""
    metrics: dict[str, Any] | None
    curves: dict[str, NDArray[np.float64]] | None

    @property
    def title(self) -> str:
        """Name of the system as the paper writes it."""
        return title(self.settings)


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
    inspections, skipped = _read_predictions(folder.predictions)
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
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    return content


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


def _read_predictions(path: Path) -> tuple[tuple[Inspection, ...], tuple[tuple[str, str], ...]]:
    """Return the inspected images, and file and reason of those that could not be read."""
    if not path.exists():
        return (), ()
    with path.open(newline="", encoding="utf-8") as file:
        try:
            rows = list(csv.DictReader(file))
            skipped = tuple((row["image"], row["reason"]) for row in rows if row["verdict"] == SKIPPED)
            return tuple(_inspection(row) for row in rows if row["verdict"] != SKIPPED), skipped
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: not the predictions of this version ({error})") from error


def _inspection(row: dict[str, str]) -> Inspection:
    return Inspection(
        name=row["name"],
        defect=row["defect"],
        image=Path(row["image"]),
        mask=Path(row["mask"]) if row["mask"] else None,
        ignore=Path(row["ignore"]) if row["ignore"] else None,
        height=int(row["height"]),
        width=int(row["width"]),
        score=float(row["score"]),
        verdict=row["verdict"],
        regions=int(row["regions"]),
        defect_px=int(row["defect_px"]),
    )
