"""Let fewer good images be flagged than may be, where that costs little of what is found."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from ssimae.inspection.threshold import Thresholds, thresholds_of_levels
from ssimae.levels.false_calls import tail_of_blocks
from ssimae.tuning.held_out import JudgedMaps, found_defects

_RARER = 1.0, 1.5, 2.0, 3.0, 5.0
"""How many times rarer a good image may be flagged than was allowed: with 1/20, down to 1 in 100."""

_WORTH = 0.05
"""Share of the planted defects that the allowed share of good images is worth. With 1/20 both weigh the same: then what
is largest is Youden's index, the share of defects found less that of good images flagged."""


def with_rarer_calls(allowed: Thresholds, judged: JudgedMaps) -> Thresholds:
    """Return thresholds of the share of good images that is worth being flagged, at most the one that was allowed.

    Parameters
    ----------
    allowed : Thresholds
        By the rule ``area``, with `false_calls`.
    judged : JudgedMaps
        The maps that they were set on, and those of at least one planted defect.

    References
    ----------
    Youden, W. J.: Index for rating diagnostic tests. Cancer 3, 1950.

    Notes
    -----
    Where defects stand far above good surfaces, a level between both finds as many and calls fewer good images. Where
    they do not, every higher level loses more than it saves, and the allowed share stays.
    """
    assert allowed.false_calls is not None
    share = float(np.mean(judged.shares))
    scale = cache(lambda: tail_of_blocks(judged.good, allowed.rules))
    best, most = allowed, -np.inf
    for times in _RARER:
        rate = allowed.false_calls / times
        review, defective, extrapolated = thresholds_of_levels(allowed.good_levels, rate, share=share, scale=scale)
        rarer = replace(
            allowed, review=review, defective=defective, false_calls=rate, extrapolated=extrapolated,
            allowed=None if times == 1 else allowed.false_calls,
        )  # fmt: skip
        found = found_defects(judged.planted, judged.labels, judged.defects, rarer)
        value = float(np.mean(found.hit)) - _WORTH / times
        if value > most:
            best, most = rarer, value
    return best
