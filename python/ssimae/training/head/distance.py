"""Learn how good surfaces look to a finished head: what its features are on them, and how they vary together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.engines.pytorch import TorchRebuilder, torch_engine
from ssimae.images.depth import Image, view
from ssimae.inspection.residual import raw_residual
from ssimae.models.build import AnyAutoencoder
from ssimae.models.head import FEATURES, Head

_STREAM = 15  # of random numbers under the seed

_PIXELS = 4_000_000
"""Pixels of good images that are looked at; twelve million gave the same."""

_SIDE = 512
"""Side of the windows that are cut from larger images."""

_RIM = 32
"""Pixels of a window's side that do not count where the image goes on: there the head sees a border that is none."""

_CELL = 4
"""Side in pixels of the squares that have features."""

_FEWEST = 10 * FEATURES
"""Squares that a covariance takes."""

_SHRINKAGE = 0.01
"""Of the mean variance, added to all: features that hardly vary would count for most."""

_Window = tuple[slice, slice]


def with_distance(
    head: Head,
    model: AnyAutoencoder,
    parts: Sequence[Image],
    settings: Settings,
    *,
    ignored: Sequence[NDArray[np.bool_] | None] | None,
    device: torch.device,
    precision: str,
) -> Head:
    """Return a trained head that knows how good surfaces look to it.

    Parameters and images are those of :func:`.train.train_head`. Whole images are rebuilt as at inspection, or windows
    of large ones, since single crops have borders on all sides. Where there is too little of them, the head is returned
    as it is.
    """
    as_inspected = dataclasses.replace(settings, scale=1.0)  # the parts are scaled already
    engine = torch_engine(model, as_inspected, head=head, device=device, precision=precision)
    assert isinstance(engine, TorchRebuilder)
    count, total, products = 0, np.zeros(FEATURES), np.zeros((FEATURES, FEATURES))
    for number, window in _windows([part.shape[:2] for part in parts], settings):
        image = view(parts[number], window)
        rebuilt, residual, _ = raw_residual(engine, image, as_inspected)
        assert rebuilt is not None
        seen = engine.features(np.asarray(image[:], np.float32), rebuilt, residual)
        counted = _counted(parts[number].shape[:2], window, None if ignored is None else ignored[number])
        values = seen[: counted.shape[0], : counted.shape[1]][counted].astype(np.float64)
        count += len(values)
        total += values.sum(axis=0)
        products += values.T @ values
    if count < _FEWEST:
        return head
    mean = total / count
    covariance = products / count - np.outer(mean, mean)
    covariance += np.eye(FEATURES) * (_SHRINKAGE * np.trace(covariance) / FEATURES + 1e-12)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    return head.knowing(*(torch.from_numpy(array.astype(np.float32)).to(device) for array in (mean, whitening)))


def _windows(shapes: Sequence[tuple[int, ...]], settings: Settings) -> Iterator[tuple[int, _Window]]:
    """Yield images by number and what of each is looked at, in a random order, until there are enough pixels."""
    rng = np.random.default_rng([settings.seed, _STREAM])
    side = max(_SIDE, settings.patch_size)
    pixels, first = 0, True
    while pixels < _PIXELS:
        before = pixels
        for number in rng.permutation(len(shapes)).tolist():
            height, width = shapes[number][:2]
            if not first and max(height, width) <= side:
                continue  # all of it has been seen
            down, across = (_cut(length, side, rng) for length in (height, width))
            yield number, (down, across)
            pixels += min(height, side) * min(width, side)
            if pixels >= _PIXELS:
                return
        first = False
        if pixels == before:
            return


def _cut(length: int, side: int, rng: np.random.Generator) -> slice:
    start = int(rng.integers(max(length - side, 0) + 1))
    return slice(start, start + min(side, length))


def _counted(shape: tuple[int, ...], window: _Window, ignored: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Return which squares of a window count: whole ones, with nothing ignored, that see no border but the image's."""
    free: NDArray[np.bool_] = np.ones(tuple(side.stop - side.start for side in window), bool)
    for lines, side, length in zip((free, free.T), window, shape, strict=True):
        if side.start > 0:
            lines[:_RIM] = False
        if side.stop < length:
            lines[-_RIM:] = False
    if ignored is not None:
        free &= ~ignored[window]
    rows, columns = (length // _CELL for length in free.shape)
    squares = free[: rows * _CELL, : columns * _CELL].reshape(rows, _CELL, columns, _CELL)
    whole: NDArray[np.bool_] = squares.min(axis=(1, 3))
    return whole
