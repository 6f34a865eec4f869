"""Fit a logistic curve to hits and misses, and trace the edge of the curves that the data leave likely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

BOUND_DROP = 2.705543454095404 / 2
"""How far the log-likelihood of a likely curve may lie below the best: half the 90 % quantile of chi-square with one
degree of freedom. At any one size, the lowest of these curves is then a lower bound with 95 % confidence."""

_DIRECTIONS = 360
"""Directions from the best curve in which the edge is traced; the error of a bound falls with their square."""


@dataclass(frozen=True)
class Fit:
    """Curves logit POD = intercept + slope ln(size): the best one, and the edge of the likely ones."""

    intercept: float
    slope: float
    edge_intercepts: NDArray[np.float64]
    """Intercepts of the curves on the edge, of shape (m,)."""
    edge_slopes: NDArray[np.float64]
    """Slopes of the same curves, of shape (m,)."""

    def logit(self, log_sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return logit POD of the best curve at logarithms of sizes, of any shape."""
        return self.intercept + self.slope * log_sizes

    def lower_logit(self, log_sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the lower bound of logit POD at logarithms of sizes, of shape (k,)."""
        return np.asarray((self.edge_intercepts + self.edge_slopes * log_sizes[:, None]).min(axis=1))

    def log_size(self, logit: float) -> float:
        """Return the logarithm of the size at which the best curve, a rising one, has this logit POD."""
        return (logit - self.intercept) / self.slope

    def upper_log_size(self, logit: float) -> float | None:
        """Return the largest log size at which a likely curve has this logit POD; None where some do not rise."""
        if (self.edge_slopes <= 0).any():
            return None
        return float(((logit - self.edge_intercepts) / self.edge_slopes).max())


def fit_logistic(log_sizes: NDArray[np.float64], hit: NDArray[np.bool_], *, penalised: bool) -> Fit:
    """Return the fit of hits and misses.

    Parameters
    ----------
    log_sizes : ndarray of shape (n,), float64
        Natural logarithms of the sizes, at least two different ones.
    hit : ndarray of shape (n,), bool
        Whether each was found; some were and some were not.
    penalised : bool
        Whether Firth's penalty, half the log determinant of the information, is added to the log-likelihood. It must be
        where sizes of hits and misses do not overlap: the likelihood alone then rises with the slope for ever.

    References
    ----------
    MIL-HDBK-1823A (2009): logistic regression on log size, bounds from the likelihood ratio. Cheng and Iles,
    Technometrics 25 (1983), 77-86: the bounds of a curve as the envelope of the likely ones. Firth, Biometrika 80
    (1993), 27-38, and Heinze and Schemper, Statistics in Medicine 21 (2002), 2409-2419: the penalty, for data that a
    step separates.
    """
    centre, spread = float(log_sizes.mean()), float(log_sizes.std())
    x = (log_sizes - centre) / spread
    likelihood = _Likelihood(x, hit, penalised)
    best = likelihood.maximum()
    # Seen from the best curve, in units of its standard errors, the edge is nearly a circle.
    unit = np.linalg.inv(np.linalg.cholesky(likelihood.information(best))).T
    angles = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ unit.T
    level = float(likelihood.values(best[None])[0]) - BOUND_DROP
    inside, outside = np.zeros(_DIRECTIONS), np.ones(_DIRECTIONS)
    while (likely := likelihood.values(best + outside[:, None] * directions) >= level).any():
        inside, outside = np.where(likely, outside, inside), np.where(likely, 2 * outside, outside)
    for _ in range(40):
        middle = (inside + outside) / 2
        likely = likelihood.values(best + middle[:, None] * directions) >= level
        inside, outside = np.where(likely, middle, inside), np.where(likely, outside, middle)
    # Back to ln(size), with the best curve as the last row.
    curves = np.concatenate([best + inside[:, None] * directions, best[None]])
    slopes = curves[:, 1] / spread
    intercepts = curves[:, 0] - slopes * centre
    return Fit(float(intercepts[-1]), float(slopes[-1]), intercepts[:-1], slopes[:-1])


class _Likelihood:
    """The log-likelihood of curves (intercept, slope), given hits and misses at standardised positions x."""

    def __init__(self, x: NDArray[np.float64], hit: NDArray[np.bool_], penalised: bool) -> None:
        self.design = np.stack([np.ones_like(x), x])
        self.hit = hit
        self.sign = np.where(hit, 1.0, -1.0)
        self.penalised = penalised

    def values(self, curves: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-likelihood of curves of shape (m, 2), with the penalty if there is one, of shape (m,)."""
        logits = curves @ self.design
        values = -np.logaddexp(0, -self.sign * logits).sum(axis=1)
        if self.penalised:
            weights = expit(logits) * expit(-logits)
            x = self.design[1]
            determinant = weights.sum(axis=1) * (weights @ x**2) - (weights @ x) ** 2
            # Of curves far too steep rounding leaves 0 or less; none of them is likely.
            values += 0.5 * np.log(np.maximum(determinant, np.finfo(np.float64).tiny))
        return np.asarray(values)

    def information(self, curve: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Fisher's information of a curve, of shape (2, 2)."""
        logits = curve @ self.design
        return np.asarray((self.design * expit(logits) * expit(-logits)) @ self.design.T)

    def maximum(self) -> NDArray[np.float64]:
        """Return the curve of the highest value, of shape (2,)."""
        found = minimize(self._loss, np.zeros(2), jac=self._loss_gradient, method="BFGS", tol=1e-8)
        return np.asarray(found.x, np.float64)

    def _loss(self, curve: NDArray[np.float64]) -> float:
        return -float(self.values(curve[None])[0])

    def _loss_gradient(self, curve: NDArray[np.float64]) -> NDArray[np.float64]:
        pod = expit(curve @ self.design)
        score = self.design @ (self.hit - pod)
        if self.penalised:
            inverse = np.linalg.inv(self.information(curve))
            leverage = pod * (1 - pod) * (self.design * (inverse @ self.design)).sum(axis=0)
            score += self.design @ (leverage * (0.5 - pod))
        return -np.asarray(score)
