"""Say in words which share of good images may be flagged: it loads no SciPy."""

from __future__ import annotations

from ssimae.inspection.threshold import Thresholds


def rate_words(thresholds: Thresholds) -> str:
    """Return which share of good images may be flagged, and whether that was seen."""
    if thresholds.rule == "given":
        return "levels named by hand"
    if thresholds.rule == "fpr":
        return "shares of pixels"
    if thresholds.false_calls is None:
        return f"about 1 in {thresholds.images + 1}"
    return f"{one_in(thresholds.false_calls)}, {'extrapolated' if thresholds.extrapolated else 'seen'}"


def allowed_words(thresholds: Thresholds) -> str:
    """Return which share was allowed where a rarer one was taken, to follow :func:`rate_words`; else nothing."""
    return "" if thresholds.allowed is None else f" ({one_in(thresholds.allowed)} was allowed)"


def one_in(share: float) -> str:
    """Return a share as one in so many."""
    return f"1 in {float(f'{1 / share:.3g}'):g}"
