"""Calibrate all maps of held-out parts by what other parts show: as ssimae does, and each channel by itself."""

import dataclasses

import numpy as np
from ssimae.calibration.reference import PLANES, measured
from ssimae.tuning.folds import fit_channels, fit_folds

FORM = "border"


def fit(parts, *, seed):
    """Return what the other folds show each fold: the distance of the channels, and a calibration by kind of map."""
    folds = []
    for fold, reference in enumerate(fit_folds(parts, [FORM], seed=seed)[FORM]):
        others = [dataclasses.replace(part, channels=_by_channel(part)) for part in parts if part.fold != fold]
        folds.append((reference.colour, {**reference.channels, **fit_channels(others, [FORM], seed=seed)[FORM]}))
    return folds


def calibrated(part, folds):
    """Return the maps of a part, 1 where all is as usual: residual and distance (h, w), planes (h, w, C), float32."""
    colour, calibrations = folds[part.fold]

    def ratio(kind, map_):
        return np.exp(calibrations[kind].log_ratio(map_, part.features))

    joint = {kind: ratio(kind, map_) for kind, map_ in measured(part.channels, colour).items()}
    return {**joint, PLANES: np.stack([ratio(*channel) for channel in _by_channel(part).items()], axis=2)}


def _by_channel(part):
    """Return the residual (h, w) of each channel by its number."""
    planes = np.moveaxis(part.channels[PLANES], 2, 0)
    return {str(number): np.ascontiguousarray(plane) for number, plane in enumerate(planes)}
