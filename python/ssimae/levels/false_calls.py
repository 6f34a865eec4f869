"""Find the level that a share of good images exceeds, from the levels of some of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssimae.levels.rules import RegionRules, region_level

FEWEST_FOR_TAIL = 20
"""Fewer images show too little of the tail of their levels: blocks of them are taken."""

_TAIL = 4
"""The tail of levels is the highest of so many at most."""

_EACH = 5
"""Levels of the tail for each false call."""

_BLOCK = 64
"""Least side of such a block in pixels."""


def false_call_level(levels: Sequence[float], false_calls: float, *, scale: float | None = None) -> tuple[float, bool]:
    """Return the level that a share of good images exceeds, and whether it lies beyond what was seen.

    Parameters
    ----------
    levels : sequence of float
        Level of each good image, at least one.
    false_calls : float in (0, 1)
    scale : float, optional
        Mean excess of the logarithm of a level in the tail; by default that of the levels' upper half over the middle.

    Returns
    -------
    level : float
    extrapolated : bool

    Notes
    -----
    Of n + 1 exchangeable images each is the highest with probability 1 / (n + 1): the k-th highest of n levels is
    exceeded by a new good image with probability k / (n + 1), whatever their distribution (conformal prediction; Vovk
    et al. 2005). So it is done of fewer than :data:`FEWEST_FOR_TAIL` levels, and for shares above a quarter.

    The k-th highest alone leaves most of what the levels say unused: of 48 the second highest stands for a share of
    1/20, it is exceeded by 1/25, and half of its thresholds lie at shares below 1/30 or above 1/20. So of more levels
    the logarithms of the highest, five for each false call and at most a quarter, are taken as exponential above the
    next one, which is a generalised Pareto tail of shape 0 (Coles 2001, sec. 4.2): so few levels do not carry a shape.
    The level is the predictive one of such a tail, exceeded by the share in the mean over what is known of its scale.

    A share below 1 / (n + 1) cannot be seen. Then the tail of the levels' upper half leads on from there.
    """
    ordered = np.sort(np.asarray(levels, np.float64))[::-1]
    logs = np.log(np.maximum(ordered, 1e-12))
    # Rounding shall not take the rank from a share such as 1 / (n + 1).
    rank = false_calls * (len(ordered) + 1) * (1 + 1e-9)
    fitted = len(ordered) >= FEWEST_FOR_TAIL
    if rank >= 1:
        if fitted and rank < len(logs) // _TAIL + 1:
            return float(np.float32(np.exp(_tail_level(logs, rank)))), False
        return float(ordered[int(rank) - 1]), False
    upper = len(logs) // 2
    if scale is None:
        scale = float(np.mean(logs[:upper]) - np.median(logs)) if upper else 0.0
    seen = float(np.exp(_tail_level(logs, 1.0))) if fitted else ordered[0]
    # As fine as maps are, which are compared with it.
    return float(np.float32(seen * (false_calls * (len(ordered) + 1)) ** -scale)), True


def _tail_level(logs: NDArray[np.float64], rank: float) -> float:
    """Return the logarithm of the level that so many of one more level than there are exceed, and never less for fewer.

    `logs` are in descending order; `rank` lies between 1 and what a quarter of them makes.
    """
    most = len(logs) // _TAIL
    first = int(np.clip(round(_EACH * rank), _EACH, most))
    level = -math.inf
    for count in range(first, most + 1):
        # A tail of more levels is for larger shares: of these the least.
        share = rank if count == first else (count - 0.5) / _EACH
        excess = float(np.mean(logs[:count]) - logs[count])
        level = max(level, float(logs[count]) + count * excess * (((count + 1) / share) ** (1 / count) - 1))
    return level


def tail_of_blocks(maps: Sequence[NDArray[np.float32]], rules: RegionRules) -> float:
    """Return the mean excess of the logarithm of the highest fifth of the levels of square blocks of maps.

    A few images show no tail, but each has many places: the highest of them are what an image's own level is the
    maximum of, and with an exponential tail the maximum has the same one.
    """
    side = max(_BLOCK, 2 * math.isqrt(rules.min_area) + 1)
    levels = []
    for map_ in maps:
        rows, columns = (max(1, length // side) for length in map_.shape)
        for row in np.array_split(map_, rows):
            levels += [region_level(np.ascontiguousarray(block), rules) for block in np.array_split(row, columns, 1)]
    logs = np.sort(np.log(np.maximum(levels, 1e-12)))[::-1]
    count = len(logs) // 5
    return float(np.mean(logs[:count]) - logs[count]) if count else 0.0
