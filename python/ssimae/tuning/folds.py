"""Calibrate held-out parts by what the others show, in folds, for every form that is compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssimae.calibration.calibration import (
    Calibration,
    Place,
    describe_place,
    fit_calibration,
    shares_geometry,
    with_position,
)
from ssimae.calibration.reference import RESIDUAL, Reference
from ssimae.calibration.whole import WholeLimits, fit_limits
from ssimae.config.settings import Form, Settings
from ssimae.inspection.cleaning import clean
from ssimae.inspection.holdout import take
from ssimae.tuning.parts import FOLDS, Part

_ANYTHING: WholeLimits = fit_limits([(0.0, 0.0, 0.0)], [0.0])
"""Limits that no image leaves: folds do not judge whole images."""


def forms_to_compare(parts: Sequence[Part]) -> list[Form]:
    """Return the forms that a calibration can take: positions count where all images share their geometry."""
    forms: list[Form] = ["border", "surface"]
    return [*forms, "position", "both"] if shares_geometry(_places(parts, RESIDUAL)) else forms


def fit_channels(parts: Sequence[Part], forms: Sequence[Form], *, seed: int) -> dict[Form, dict[str, Calibration]]:
    """Return the calibration of each channel by parts, for each form; what forms share is fitted once."""
    found: dict[Form, dict[str, Calibration]] = {form: {} for form in forms}
    pairs: tuple[tuple[bool, Form, Form], ...] = ((False, "border", "position"), (True, "surface", "both"))
    for channel in parts[0].channels:
        places = _places(parts, channel)
        for surface, plain, positioned in pairs:
            if plain in found or positioned in found:
                calibration = fit_calibration(places, surface=surface, seed=seed)
                if plain in found:
                    found[plain][channel] = calibration
                if positioned in found:
                    found[positioned][channel] = with_position(calibration, places)
    return found


def fit_folds(parts: Sequence[Part], forms: Sequence[Form], *, seed: int) -> dict[Form, list[Reference]]:
    """Return, for every form, what the other folds show each fold."""
    folds: dict[Form, list[Reference]] = {form: [] for form in forms}
    for fold in range(FOLDS):
        fitted = fit_channels([part for part in parts if part.fold != fold], forms, seed=seed)
        for form, references in folds.items():
            references.append(Reference(fitted[form], _ANYTHING))
    return folds


def calibrated_maps(parts: Sequence[Part], folds: Sequence[Reference], settings: Settings) -> list[NDArray[np.float32]]:
    """Return the map of each part's region, calibrated by the other folds, smoothed and opened."""
    return [take(clean(joined(part, folds, settings), settings, part.ignored), part.region) for part in parts]


def joined(part: Part, folds: Sequence[Reference], settings: Settings) -> NDArray[np.float32]:
    """Return the whole map of a part, calibrated by the other folds, neither smoothed nor opened."""
    return folds[part.fold].joined(part.channels, part.features, settings.weight_of_head)


def _places(parts: Sequence[Part], channel: str) -> list[Place]:
    return [
        describe_place(part.channels[channel], part.features, region=part.region, ignored=part.ignored)
        for part in parts
    ]
