"""Calibrate held-out parts by what the others show, in folds, for every form that is compared."""

from __future__ import annotations

import dataclasses
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
from ssimae.calibration.colour import ColourDistance, fit_colour
from ssimae.calibration.reference import PLANES, RESIDUAL, Reference, measured
from ssimae.calibration.whole import WholeLimits, fit_limits
from ssimae.config.settings import Form, Settings
from ssimae.inspection.cleaning import clean
from ssimae.inspection.holdout import take
from ssimae.tuning.parts import Part

ANYTHING: WholeLimits = fit_limits([(0.0, 0.0, 0.0)], [0.0])
"""Limits that no image leaves: folds do not judge whole images."""


FEWEST_FOR_SURFACE, FEWEST_FOR_POSITION = 12, 8
"""Held-out images from which on these forms are trusted."""


def forms_to_compare(parts: Sequence[Part], *, whole: bool) -> list[Form]:
    """Return the forms that a calibration can take, as the number of held-out parts and their geometry allow.

    Parameters
    ----------
    parts : sequence of Part
    whole : bool
        Whether they are whole images, and not bands.

    Notes
    -----
    Between `border` and the others planted defects do not choose. On magnetic tiles, 48 images held out, they score
    `border` slightly higher (.56 against .54), and real ones are judged far better by `surface` (image AUROC .76
    against .86). On NanoTWICE, five bands held out, they prefer `surface`, and real defects are ranked worse by it
    (pixel AUROC .977 against .898): what few images do not show is not known. Hence the numbers.

    Of bands half show each end, so it takes twice as many to know what a position there shows; on AITEX's fabric 04,
    with a strip of the machine on the left, planted defects (.536 against .632) and real ones (AU-PRO .3 .953 against
    .961) are then found better by it. On fabric 01, where other lots look otherwise, `surface` is far worse (.857
    against .746).
    """
    if not whole:
        known = len(parts) >= 2 * FEWEST_FOR_POSITION and share_geometry(parts)
        return ["border", "position"] if known else ["border"]
    if len(parts) >= FEWEST_FOR_POSITION and share_geometry(parts):
        return ["position", "both"] if len(parts) >= FEWEST_FOR_SURFACE else ["position"]
    return ["surface"] if len(parts) >= FEWEST_FOR_SURFACE else ["border"]


def share_geometry(parts: Sequence[Part]) -> bool:
    """Return whether a position means the same in all parts: only then can a form rest on it."""
    return shares_geometry(_places(parts, RESIDUAL))


def fit_references(
    parts: Sequence[Part], forms: Sequence[Form], *, whole: WholeLimits, seed: int
) -> dict[Form, Reference]:
    """Return what parts show for each form, beside the limits of whole images."""
    colour = _fit_colour(parts) if PLANES in parts[0].channels else None
    parts = [dataclasses.replace(part, channels=dict(measured(part.channels, colour))) for part in parts]
    fitted = fit_channels(parts, forms, seed=seed)
    return {form: Reference(fitted[form], whole, colour) for form in forms}


def _fit_colour(parts: Sequence[Part]) -> ColourDistance:
    return fit_colour([part.channels[PLANES][_counted(part)] for part in parts])


def _counted(part: Part) -> NDArray[np.bool_]:
    """Return which pixels of the scaled image were not trained on and are inspected."""
    height, width = part.channels[RESIDUAL].shape
    counted = np.zeros((height, width), bool)
    counted[part.region] = True if part.ignored_inside is None else ~part.ignored_inside
    sides = zip((height, width), part.channels[PLANES].shape, strict=False)
    rows, columns = (((np.arange(scaled) + 0.5) * (side / scaled)).astype(np.intp) for side, scaled in sides)
    return counted[np.ix_(rows, columns)]


def fit_channels(parts: Sequence[Part], forms: Sequence[Form], *, seed: int) -> dict[Form, dict[str, Calibration]]:
    """Return the calibration of each kind of map by parts, for each form; what forms share is fitted once."""
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
    for fold in range(1 + max(part.fold for part in parts)):
        others = [part for part in parts if part.fold != fold]
        for form, reference in fit_references(others, forms, whole=ANYTHING, seed=seed).items():
            folds[form].append(reference)
    return folds


def calibrated_maps(parts: Sequence[Part], folds: Sequence[Reference], settings: Settings) -> list[NDArray[np.float32]]:
    """Return the map of each part's region, calibrated by the other folds, smoothed and opened."""
    return [take(clean(joined(part, folds, settings), settings, part.ignored), part.region) for part in parts]


def joined(part: Part, folds: Sequence[Reference], settings: Settings) -> NDArray[np.float32]:
    """Return the whole map of a part, calibrated by the other folds, neither smoothed nor opened."""
    return folds[part.fold].joined(part.channels, part.features, settings)


def _places(parts: Sequence[Part], channel: str) -> list[Place]:
    return [
        describe_place(part.channels[channel], part.features, region=part.region, ignored=part.ignored)
        for part in parts
    ]
