"""Divide a residual by what good images show at a like place, so that 1 means "as usual" on every surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import Band, bands, in_bands, let_go, new_map
from ssimae.calibration.colour import SMALLEST_SHARE
from ssimae.calibration.expectation import Expectation, fit_expectation
from ssimae.calibration.gaussian import gaussian
from ssimae.calibration.places import CELL, N_BORDER, cell_means, from_cells

_MOST_CELLS = 60_000
"""Cells that an expectation is fitted to; more change nothing and cost time."""

_POSITION_WIDTHS = 8.0, 16.0, 32.0, 64.0, 128.0
"""Widths in pixels over which what a position shows may be averaged; leaving out one image at a time decides."""

_STREAM = 11  # of random numbers under the seed


@dataclass(frozen=True)
class Place:
    """A map of a good image, and what is known of its places.

    The cells outside `inspected` were trained on, or are ignored: they take no part.
    """

    values: NDArray[np.float32]
    """(h, w): residual, at least 0."""
    features: NDArray[np.float32]
    """(rows, columns, F) of :func:`.places.place_features`."""
    inspected: NDArray[np.bool_]
    """(rows, columns): cells that count."""


@dataclass(frozen=True)
class Calibration:
    """What good images show at a like place, for one kind of map."""

    offset: float
    """Added to values before their logarithm, in their unit."""
    expectation: Expectation
    position: NDArray[np.float32] | None
    """(rows, columns) of cells: log of what a position shows beyond the expectation; None where position does not
    count."""

    def log_ratio(self, values: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logarithm of the calibrated map, (h, w) float32; 0 is what good images show at such a place.

        Parameters
        ----------
        values : ndarray of shape (h, w), float32, at least 0
        features : ndarray of shape (rows, columns, F), float32
            Features of the places of the image.

        Notes
        -----
        A position that was learned on images of another size says nothing about this one, and is left out.
        """
        expected = np.empty(features.shape[:2], np.float32)
        for cells in bands(features.shape[0], features.shape[1] * CELL**2):
            expected[cells.rows] = self.expectation(features[cells.rows])
            let_go(features)
        if self.position is not None and self.position.shape == expected.shape:
            expected = expected + self.position

        def ratio(band: Band) -> NDArray[np.float32]:
            logs = values[band.rows] + np.float32(self.offset)
            np.log(logs, out=logs)
            logs -= from_cells(expected, band.rows, values.shape[1])
            return logs

        return in_bands(ratio, new_map(values.shape), values, step=CELL)

    def to_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return all numbers as arrays by name."""
        tensors = {"offset": np.array([self.offset], np.float32), **self.expectation.to_tensors()}
        return tensors if self.position is None else {**tensors, "position": self.position}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Self:
        """Return the calibration of the arrays of :meth:`to_tensors`.

        Raises
        ------
        ValueError
            If an array is missing, or they do not fit each other.
        """
        offset = tensors.get("offset", np.zeros(0, np.float32))
        if offset.shape != (1,) or not 0 < offset[0] < np.inf:
            raise ValueError("calibration: no positive offset")
        position = tensors.get("position")
        if position is not None and (position.ndim != 2 or not np.isfinite(position).all()):
            raise ValueError("calibration: positions that are no map of finite numbers")
        rest = {name: array for name, array in tensors.items() if name not in ("offset", "position")}
        return cls(float(offset[0]), Expectation.from_tensors(rest), position)


def describe_place(
    values: NDArray[np.float32],
    features: NDArray[np.float32],
    *,
    region: tuple[slice, slice],
    ignored: NDArray[np.bool_] | None,
) -> Place:
    """Return a map of a good image with the features of its places; only cells that lie in `region` count.

    A cell of which a pixel was trained on, or is ignored, takes no part.
    """
    outside = np.ones(values.shape, np.float32)
    outside[region] = 0
    if ignored is not None:
        outside[ignored] = 1
    return Place(values, features, cell_means(outside) == 0)


def fit_calibration(places: Sequence[Place], *, surface: bool, seed: int) -> Calibration:
    """Return what good images show at places that look alike.

    Parameters
    ----------
    places : sequence of Place
        Of images that were not trained on, at least one.
    surface : bool
        Whether a like place is one whose surface looks alike, and not only one as far from the border.
    seed : int

    Notes
    -----
    The expectation is of the logarithm: a few bright spots of a good image shall not pass for what is usual.

    Raises
    ------
    ValueError
        If no cell counts.
    """
    inspected = [place for place in places if place.inspected.any()]
    if not inspected:
        raise ValueError(f"calibration: no square of {CELL} x {CELL} pixels of the held-out good images is inspected")
    levels = np.concatenate([cell_means(place.values)[place.inspected] for place in inspected])
    offset = max(SMALLEST_SHARE * float(levels.mean()), 1e-6)
    features = np.concatenate([place.features[place.inspected] for place in inspected])
    values = np.concatenate([_log_cells(place, offset)[place.inspected] for place in inspected])
    if len(values) > _MOST_CELLS:
        chosen = np.sort(np.random.default_rng([seed, _STREAM]).permutation(len(values))[:_MOST_CELLS])
        features, values = features[chosen], values[chosen]
    n_features = features.shape[1] if surface else N_BORDER
    return Calibration(offset, fit_expectation(features, values, n_features=n_features, seed=seed), None)


def with_position(calibration: Calibration, places: Sequence[Place]) -> Calibration:
    """Return a calibration that also knows what each position shows beyond what it expects.

    Parameters
    ----------
    calibration : Calibration
    places : sequence of Place
        Those that it was fitted to; all of one size.

    Notes
    -----
    What a position shows is averaged over the width that predicts images left out best, and drawn towards nothing
    where images are few.
    """
    excess = np.stack(
        [_log_cells(place, calibration.offset) - calibration.expectation(place.features) for place in places]
    )
    weights = np.stack([place.inspected for place in places]).astype(np.float32)
    return replace(calibration, position=_position(excess * weights, weights))


def _log_cells(place: Place, offset: float) -> NDArray[np.float32]:
    return cell_means(np.log(place.values + np.float32(offset)))


def shares_geometry(places: Sequence[Place]) -> bool:
    """Return whether a position can mean the same in all images: three or more, all of one size."""
    return len(places) > 2 and len({place.inspected.shape for place in places}) == 1


def _position(excess: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what each position shows beyond the expectation, averaged over the width that predicts others best."""
    best, least = np.zeros(excess.shape[1:], np.float32), np.inf
    total, total_weight = excess.sum(axis=0), weights.sum(axis=0)
    for width in _POSITION_WIDTHS:
        sigma = width / CELL
        blur = [(gaussian(part, sigma), gaussian(weight, sigma)) for part, weight in zip(excess, weights, strict=True)]
        whole, whole_weight = gaussian(total, sigma), gaussian(total_weight, sigma)
        error = 0.0
        for part, weight, (own, own_weight) in zip(excess, weights, blur, strict=True):
            predicted = (whole - own) / (whole_weight - own_weight + 1)
            error += float((((part - predicted) ** 2) * weight).sum())
        if error < least:
            best, least = whole / (whole_weight + 1), error
    return best.astype(np.float32)
