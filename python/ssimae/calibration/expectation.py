"""Expect a value at a place from what the place looks like: a small network fitted by scikit-learn, kept as arrays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

HIDDEN = (32, 32)
_STEPS, _BATCH = 1500, 256
"""Steps of the fit: enough that the error on other images no longer falls."""


@dataclass(frozen=True)
class Expectation:
    """A value as a function of the features of a place.

    Kept as plain arrays: a file of them runs no code when it is read.
    """

    n_features: int
    """The first so many features of a place are used."""
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    """(F,): by which features are brought to one scale."""
    weights: tuple[NDArray[np.float32], ...]
    biases: tuple[NDArray[np.float32], ...]

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the expected value for features of shape (..., F), float32, without their last axis."""
        values = (features[..., : self.n_features] - self.mean) / self.spread
        # What no good image shows is not extrapolated: beyond four spreads nothing changes any more.
        values = np.clip(values, -4, 4)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ weight + bias, 0)
        expected: NDArray[np.float32] = (values @ self.weights[-1] + self.biases[-1])[..., 0]
        return expected

    def to_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays by name."""
        layers = zip(self.weights, self.biases, strict=True)
        return {
            "mean": self.mean,
            "spread": self.spread,
            **{
                f"{kind}{layer}": array
                for layer, (weight, bias) in enumerate(layers)
                for kind, array in (("weight", weight), ("bias", bias))
            },
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Self:
        """Return the expectation of the arrays of :meth:`to_tensors`.

        Raises
        ------
        ValueError
            If an array is missing, or they do not fit each other.
        """
        try:
            n_features = len(tensors["mean"])
            weights = tuple(tensors[f"weight{layer}"] for layer in range(len(HIDDEN) + 1))
            biases = tuple(tensors[f"bias{layer}"] for layer in range(len(HIDDEN) + 1))
            spread = tensors["spread"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"calibration lacks {error}") from error
        sides = (n_features, *HIDDEN, 1)
        fits = all(weight.shape == pair for weight, pair in zip(weights, pairwise(sides), strict=True))
        if not fits or any(bias.shape != (side,) for bias, side in zip(biases, sides[1:], strict=True)):
            raise ValueError("calibration: arrays that do not fit each other")
        if tensors["mean"].shape != (n_features,) or spread.shape != (n_features,) or not (spread > 0).all():
            raise ValueError("calibration: features without mean and positive spread")
        if not all(np.isfinite(array).all() for array in tensors.values()):
            raise ValueError("calibration: numbers that are not finite")
        return cls(n_features, tensors["mean"], spread, weights, biases)


def fit_expectation(
    features: NDArray[np.float32], values: NDArray[np.float32], *, n_features: int, seed: int
) -> Expectation:
    """Return the expectation fitted to values at places, by least squares.

    Parameters
    ----------
    features : ndarray of shape (n, F), float32
    values : ndarray of shape (n,), float32
    n_features : int
        Use the first so many features.
    seed : int
        Seed of the start and of the order.
    """
    # Only here: who inspects with what was fitted has no need of it.
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.neural_network import MLPRegressor  # noqa: PLC0415

    used = features[:, :n_features]
    mean, spread = used.mean(axis=0), used.std(axis=0) + np.float32(1e-3)
    level = float(values.mean())
    batch_size = min(_BATCH, len(values))
    regressor = MLPRegressor(
        hidden_layer_sizes=HIDDEN,
        batch_size=batch_size,
        max_iter=max(1, round(_STEPS * batch_size / len(values))),
        learning_rate_init=3e-3,
        random_state=seed,
        tol=0.0,
        n_iter_no_change=_STEPS,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of steps is fixed on purpose
        regressor.fit(np.clip((used - mean) / spread, -4, 4).astype(np.float64), values.astype(np.float64) - level)
    biases = [bias.astype(np.float32) for bias in regressor.intercepts_]
    biases[-1] = biases[-1] + np.float32(level)
    return Expectation(
        n_features, mean, spread, tuple(weight.astype(np.float32) for weight in regressor.coefs_), tuple(biases)
    )
