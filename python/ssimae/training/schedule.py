"""Compute the learning rate from the step, so that a resumed run needs nothing but its step."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["constant", "cooldown", "one-cycle"]

WARM_UP = 0.3
START_DIVISOR = 25.0
END_DIVISOR = 25.0 * 1e4

COOLDOWN = 0.2
"""Share of the steps over which the learning rate falls in the end."""


def learning_rate(step: int, *, steps: int, peak: float, schedule: Schedule) -> float:
    """Return the learning rate of one step.

    Parameters
    ----------
    step : int
        Index of the step, in 0..steps - 1.
    steps : int
        Steps of the whole training.
    peak : float
        Rate of the constant schedule, highest rate of the others.
    schedule : {"constant", "cooldown", "one-cycle"}
        Bergmann et al. 2019, sec. 4.2 keeps the rate constant.

    Notes
    -----
    Cooldown is constant but for the last fifth of the steps, over which the rate falls to 0 along a line: most of what
    a slow decay gains, at the highest rate nearly all the time.

    One-cycle rises from ``peak / 25`` over the first 30 % of the steps and falls to ``peak / 250000``, along cosines:
    the defaults of ``torch.optim.lr_scheduler.OneCycleLR``, without its momentum cycle.

    References
    ----------
    Smith, Topin: Super-Convergence. 2018. Hägele et al.: Scaling Laws and Compute-Optimal Training Beyond Fixed
    Training Durations. NeurIPS 2024.
    """
    if schedule == "constant":
        return peak
    if schedule == "cooldown":
        return peak * min(1.0, (steps - step) / max(1.0, COOLDOWN * steps))
    top = WARM_UP * steps - 1
    if step <= top:
        return _cosine(peak / START_DIVISOR, peak, step / top)
    return _cosine(peak, peak / END_DIVISOR, (step - top) / max(steps - 1 - top, 1e-9))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
