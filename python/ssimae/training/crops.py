"""Draw random training crops, in an order that follows from the seed, and gather them into batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssimae.config.settings import Settings
from ssimae.images.depth import Image, Pixels
from ssimae.tiling import gather_crops

_POSITIONS, _ORDER, _ZOOM, _TURNS = 1, 2, 4, 5  # streams of random numbers under one seed; 3 chooses what is held out

LARGEST_IGNORED = 0.25
"""Share of a training crop that may be ignored pixels."""


class CropSampler:
    """Batches of random crops of defect-free images.

    Everything about a batch follows from the seed, the epoch and its index: a resumed run sees the same batches.

    Parameters
    ----------
    images : sequence of ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
        Those of 8 and 16 bits stay so in memory, and become float32 crop by crop, unless white is not the highest value
        of their type. Sizes may differ; every position of every image is equally likely.
    settings : Settings
        Its `patches`, `batch_size`, `patch_size`, `channels`, `crops`, `zoom`, `turns` and `seed`
        count.
    ignored : sequence of (ndarray of shape (h, w), bool, or None), optional
        Pixels of each image that are not inspected; crops of which they are more than a quarter are not drawn.
    side : int, optional
        Side of the crops in pixels, where it is not `patch_size`.

    Raises
    ------
    ValueError
        If an image is smaller than a patch, or what is ignored leaves no room for one.
    """

    def __init__(
        self,
        images: Sequence[Image],
        settings: Settings,
        ignored: Sequence[NDArray[np.bool_] | None] | None = None,
        *,
        side: int | None = None,
    ) -> None:
        side = settings.patch_size if side is None else side
        self._side = side
        for index, image in enumerate(images):
            if min(image.shape[:2]) < side:
                raise ValueError(
                    f"training image {index} is {image.shape[1]} x {image.shape[0]}, smaller than a patch of {side}"
                )
        self._images = [_source(image) for image in images]
        self._settings = settings
        self._room = np.array([[image.shape[0] - side, image.shape[1] - side] for image in images])
        self._sums = [None if mask is None else _sums(mask) for mask in ignored or [None] * len(images)]
        self._allowed = [None if sums is None else _allowed(sums, side) for sums in self._sums]
        self._counts = np.array(
            [
                (rows + 1) * (columns + 1) if allowed is None else len(allowed)
                for (rows, columns), allowed in zip(self._room, self._allowed, strict=True)
            ]
        )
        if not self._counts.sum():
            raise ValueError(f"what is ignored leaves no room for a training patch of {side} x {side}")
        self._batch = np.empty((settings.batch_size, settings.channels, side, side), dtype=np.float32)
        self._epoch = -1
        self._boxes, self._turns = np.empty((0, 5)), np.empty(0, np.uint8)

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch; the last may be short."""
        return -(-self._settings.patches // self._settings.batch_size)

    def patches_seen(self, steps: int) -> int:
        """Return the number of patches in the first `steps` batches."""
        epochs, batches = divmod(steps, self.steps_per_epoch)
        return epochs * self._settings.patches + min(batches * self._settings.batch_size, self._settings.patches)

    def batch(self, step: int) -> Tensor:
        """Return batch number `step` since the start of the training, (N, C, h, w) float32.

        The tensor is overwritten by the next call.
        """
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._boxes, self._turns, self._epoch = self._draw(epoch), self._random_turns(epoch), epoch
        part = slice(index * self._settings.batch_size, (index + 1) * self._settings.batch_size)
        boxes = self._boxes[part]
        out = self._batch[: len(boxes)]
        gather_crops(self._images, boxes, out, turns=self._turns[part])
        return torch.from_numpy(out)

    def _draw(self, epoch: int) -> NDArray[np.float64]:
        """Return the crops of an epoch as rows of (image, row, column, height, width)."""
        if self._settings.crops == "fresh":
            origins = self._random_origins(epoch)
        else:
            order = np.random.default_rng([self._settings.seed, _ORDER, epoch]).permutation(self._settings.patches)
            origins = self._random_origins(0)[order]
        return self._zoomed(origins, epoch)

    def _random_origins(self, epoch: int) -> NDArray[np.int64]:
        """Return random positions of whole patches as rows of (image, row, column)."""
        rng = np.random.default_rng([self._settings.seed, _POSITIONS, epoch])
        ends = np.cumsum(self._counts)
        flat = rng.integers(0, ends[-1], self._settings.patches)
        image = np.searchsorted(ends, flat, side="right")
        within = flat - np.concatenate([[0], ends[:-1]])[image]
        for index, allowed in enumerate(self._allowed):
            if allowed is not None:
                within[image == index] = allowed[within[image == index]]
        row, column = np.divmod(within, self._room[image, 1] + 1)
        return np.stack([image, row, column], axis=1).astype(np.int64)

    def _random_turns(self, epoch: int) -> NDArray[np.uint8]:
        """Return how the crops of an epoch are laid, as `gather_crops` counts it."""
        choices = {"none": [0], "flips": [0, 2, 4, 6], "all": range(8)}[self._settings.turns]
        rng = np.random.default_rng([self._settings.seed, _TURNS, epoch])
        return rng.choice(np.array(choices, np.uint8), self._settings.patches)

    def _zoomed(self, origins: NDArray[np.int64], epoch: int) -> NDArray[np.float64]:
        """Return crops whose height and width differ from a patch's by random factors up to 1 + `zoom`.

        A crop keeps its position relative to the room it has. One that would hold too many ignored pixels stays as it
        is.
        """
        side = self._side
        image, positions = origins[:, 0], origins[:, 1:]
        plain = np.concatenate([origins, np.full(positions.shape, side)], axis=1).astype(np.float64)
        if self._settings.zoom == 0:
            return plain
        rng = np.random.default_rng([self._settings.seed, _ZOOM, epoch])
        limit = np.log1p(self._settings.zoom)
        factors = np.exp(rng.uniform(-limit, limit, positions.shape))
        room = self._room[image]
        # In steps of 1/256, so that a position at the border plus its extent is the border to the last bit.
        extents = np.minimum(np.round(side * factors * 256) / 256, room + side)
        starts = (positions + rng.random(positions.shape)) / (room + 1) * (room + side - extents)
        boxes = np.concatenate([image[:, None], starts, extents], axis=1)
        for index, sums in enumerate(self._sums):
            if sums is not None:
                chosen = image == index
                boxes[chosen] = np.where(_fits(sums, boxes[chosen])[:, None], boxes[chosen], plain[chosen])
        return boxes


def _source(image: Image) -> NDArray[Any]:
    """Return the pixels that crops of an image are gathered from, contiguous."""
    if isinstance(image, Pixels) and image.white == np.iinfo(image.samples.dtype).max:
        return np.ascontiguousarray(image.samples)
    return np.ascontiguousarray(image[:])


def _sums(ignored: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the summed-area table of a mask: entry (r, c) counts what lies above row r and left of column c."""
    sums = np.zeros((ignored.shape[0] + 1, ignored.shape[1] + 1), dtype=np.int64)
    sums[1:, 1:] = ignored.cumsum(axis=0).cumsum(axis=1)
    return sums


def _allowed(sums: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Return the positions, counted row by row, of the patches that ignored pixels fill to a quarter at most."""
    filled = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.flatnonzero(filled <= LARGEST_IGNORED * side**2)


def _fits(sums: NDArray[np.int64], boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which boxes ignored pixels fill to a quarter at most, pixels that are cut by the border counted whole."""
    top, left = np.floor(boxes[:, 1]).astype(int), np.floor(boxes[:, 2]).astype(int)
    bottom, right = (np.ceil(boxes[:, axis] + boxes[:, axis + 2]).astype(int) for axis in (1, 2))
    filled = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    fits: NDArray[np.bool_] = filled <= LARGEST_IGNORED * boxes[:, 3] * boxes[:, 4]
    return fits
