"""Estimate the probability of detection over size, and the sizes a50, a90 and a90/95, from hits and misses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, expit

from ssimae.pod.hits import check_sizes
from ssimae.pod.likelihood import Fit, fit_logistic
from ssimae.reading import Count, Positive, as_kind

FEWEST = 20
"""Defects that a curve needs. MIL-HDBK-1823A asks for 60; with fewer the bounds lie further out by themselves."""

SURE_ROW = 29
"""Hits in a row, none missed, that show a probability of 90 % with 95 % confidence: .9^29 < .05."""

_POINTS = 101
"""Sizes that a curve is told at."""

Figure = Literal["a50", "a90", "a90_95"]
"""Names of the sizes that stand for a curve."""


@dataclass(frozen=True)
class PodCurve:
    """The probability of detection (POD) over size, and what it rests on."""

    planted: Count
    found: Count
    smallest_px: Positive | None
    """Smallest planted defect, in pixels; None where there is none."""
    largest_px: Positive | None
    a50: Positive | None
    """Size in pixels that is found with 50 % probability; None where the data do not reach it."""
    a90: Positive | None
    """The same with 90 %."""
    a90_95: Positive | None
    """Size in pixels that is found with 90 % probability at 95 % confidence."""
    missing: Mapping[Figure, str]
    """Why each of these sizes is None, in a whole sentence."""
    penalised: bool
    """Whether hits and misses do not overlap, so that the curve is Firth's."""
    intercept: float | None
    """Of logit POD over ln(size in pixels); None without a curve."""
    slope: float | None
    sizes_px: tuple[Positive, ...]
    """Sizes that the curve is told at, evenly spaced in their logarithm; empty without a curve."""
    pod: tuple[float, ...]
    """The probability at each of them."""
    lower: tuple[float, ...]
    """Its lower bound at each of them, with 95 % confidence."""

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PodCurve:
        """Return the curve that :meth:`to_dict` gave, also after JSON.

        Raises
        ------
        ValueError
            If something is absent, of another kind, or does not fit the rest.
        """
        curve = as_kind(dict(values), cls)
        if not len(curve.sizes_px) == len(curve.pod) == len(curve.lower):
            raise ValueError("`sizes_px`, `pod` and `lower` must be of one length")
        if unexplained := [
            name for name in get_args(Figure) if getattr(curve, name) is None and name not in curve.missing
        ]:
            raise ValueError(f"`missing` must say why `{unexplained[0]}` is null")
        return curve


def fit_pod(size_px: NDArray[np.float64], hit: NDArray[np.bool_]) -> PodCurve:
    """Return the probability of detection of defects by their size.

    Parameters
    ----------
    size_px : ndarray of shape (n,), float64
        Sizes in pixels.
    hit : ndarray of shape (n,), bool
        Whether each was found.

    Raises
    ------
    ValueError
        If the shapes differ, a size is not positive and finite, or `hit` is not of type bool.

    Notes
    -----
    Logistic regression on log size; the lower bound holds at any one size and comes from the likelihood ratio
    (MIL-HDBK-1823A, hit/miss data). a90/95 is where it crosses 90 %. Beyond the sizes that were planted nothing is
    told. Two cases are outside that method:

    - Where no miss is larger than any hit, the likelihood has no maximum, and its ratio bounds too little: in
      simulations a90/95 lay below the true a90 far more often than in 5 % of the sets. Firth's penalty is added then;
      with it, it lay below in fewer.
    - Where all were found there is no curve. As the probability does not fall with size, the smallest 29 hits in a
      row then show 90 % with 95 % confidence at the size of the largest of them.
    """
    check_sizes(size_px, hit)
    planted, found = len(hit), int(np.count_nonzero(hit))
    if planted == 0:
        return _no_curve(size_px, hit, "No such defect was planted.")
    if found == planted:
        return _all_found(size_px, hit)
    if planted < FEWEST:
        return _no_curve(size_px, hit, f"Only {planted} were planted, and a curve needs at least {FEWEST}.")
    if found == 0:
        return _no_curve(size_px, hit, f"None of {planted} was found, up to the largest, {size_px.max():.3g} px.")
    smallest, largest = float(size_px.min()), float(size_px.max())
    if smallest == largest:
        return _no_curve(size_px, hit, "All are of one size, so that nothing is known of others.")
    separated = size_px[~hit].max() <= size_px[hit].min()
    penalised = bool(separated or size_px[hit].max() <= size_px[~hit].min())
    fit = fit_logistic(np.log(size_px), hit, penalised=penalised)
    if fit.slope <= 0:
        sure = math.floor(100 * betaincinv(found, planted - found + 1, 0.05))  # Clopper and Pearson 1934
        return _no_curve(
            size_px,
            hit,
            f"Larger ones were not found more often than smaller ones. Of all sizes together {found} of {planted} were "
            f"found, which shows at least {sure} % with 95 % confidence.",
        )
    return _curve(fit, size_px, hit, penalised)


def _curve(fit: Fit, size_px: NDArray[np.float64], hit: NDArray[np.bool_], penalised: bool) -> PodCurve:
    smallest, largest = float(size_px.min()), float(size_px.max())
    log_sizes = {
        "a50": fit.log_size(0.0),
        "a90": fit.log_size(math.log(9)),
        "a90_95": fit.upper_log_size(math.log(9)),
    }
    shares = {
        "a50": "50 % of the defects are found",
        "a90": "90 % of the defects are found",
        "a90_95": "90 % are found with 95 % confidence",
    }
    sizes: dict[str, float | None] = dict.fromkeys(log_sizes)
    missing: dict[Figure, str] = {}
    for name in get_args(Figure):
        log_size = log_sizes[name]
        if log_size is None:
            missing[name] = "It is not certain that larger ones are found more often than smaller ones."
        elif log_size > math.log(largest):
            missing[name] = f"The size from which {shares[name]} lies above the largest planted, {largest:.3g} px."
        elif log_size < math.log(smallest):
            missing[name] = f"The size from which {shares[name]} lies below the smallest planted, {smallest:.3g} px."
        else:
            sizes[name] = math.exp(log_size)
    grid = np.linspace(math.log(smallest), math.log(largest), _POINTS)
    return PodCurve(
        planted=len(hit),
        found=int(np.count_nonzero(hit)),
        smallest_px=smallest,
        largest_px=largest,
        a50=sizes["a50"],
        a90=sizes["a90"],
        a90_95=sizes["a90_95"],
        missing=missing,
        penalised=penalised,
        intercept=fit.intercept,
        slope=fit.slope,
        sizes_px=tuple(np.exp(grid).tolist()),
        pod=tuple(expit(fit.logit(grid)).tolist()),
        lower=tuple(expit(fit.lower_logit(grid)).tolist()),
    )


def _all_found(size_px: NDArray[np.float64], hit: NDArray[np.bool_]) -> PodCurve:
    planted = len(hit)
    reason = f"All {planted} were found, down to the smallest, {size_px.min():.3g} px."
    curve = _no_curve(size_px, hit, reason)
    if planted < SURE_ROW:
        missing = {**curve.missing, "a90_95": f"For 95 % confidence, at least {SURE_ROW} have to be found."}
        return dataclasses.replace(curve, missing=missing)
    missing = {name: text for name, text in curve.missing.items() if name != "a90_95"}
    return dataclasses.replace(curve, a90_95=float(np.sort(size_px)[SURE_ROW - 1]), missing=missing)


def _no_curve(size_px: NDArray[np.float64], hit: NDArray[np.bool_], reason: str) -> PodCurve:
    return PodCurve(
        planted=len(hit),
        found=int(np.count_nonzero(hit)),
        smallest_px=float(size_px.min()) if len(hit) else None,
        largest_px=float(size_px.max()) if len(hit) else None,
        a50=None,
        a90=None,
        a90_95=None,
        missing=dict.fromkeys(get_args(Figure), reason),
        penalised=False,
        intercept=None,
        slope=None,
        sizes_px=(),
        pod=(),
        lower=(),
    )
