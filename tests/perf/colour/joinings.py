"""Ways to join what the channels of an image show into one map.

Each takes calibrated maps above 0 by kind, as :func:`calibrated.calibrated` returns them, and returns one map (h, w).
"""

import numpy as np
from ssimae.calibration.reference import COLOUR, PLANES, RESIDUAL


def power_mean(power):
    """Return what joins the channels into their power mean: 1 is the mean, 0 the geometric mean."""

    def join(maps):
        each = maps[PLANES]
        return np.exp(np.log(each).mean(axis=2)) if power == 0 else (each**power).mean(axis=2) ** (1 / power)

    return join


def largest(maps):
    """Return the maximum of the channels at each place."""
    return maps[PLANES].max(axis=2)


def with_distance(weight):
    """Return what joins the mean residual and the distance, of this weight, into their geometric mean."""
    return lambda maps: maps[RESIDUAL] ** (1 - weight) * maps[COLOUR] ** weight


MEAN, TAKEN = "mean residual, calibrated", "mean residual and distance, weights .5 and .5"
"""How an earlier version joined them, and how ssimae does."""

JOININGS = {
    MEAN: with_distance(0.0),
    "each channel calibrated by itself: geometric mean": power_mean(0),
    "the same: mean": power_mean(1),
    "the same: power mean of 2": power_mean(2),
    "the same: power mean of 8": power_mean(8),
    "the same: maximum": largest,
    "the distance alone, calibrated": with_distance(1.0),
    "mean residual and distance, weights .7 and .3": with_distance(0.3),
    TAKEN: with_distance(0.5),
    "mean residual and distance, weights .3 and .7": with_distance(0.7),
}
"""The rows of the table in docs/verdicts.md."""
