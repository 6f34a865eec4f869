"""Random training patches: where they lie, in what order they come, and how they reach a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssimae.config import Settings
from ssimae.tiling import gather_crops

_POSITIONS, _ORDER, _ZOOM = 1, 2, 4  # streams of random numbers under one seed; 3 chooses what is held out

LARGEST_IGNORED = 0.25
"""Share of a training crop that may be ignored pixels."""


class CropSampler:
    """Batches of random crops of defect-free images.

    Everything about a batch follows from the seed, the epoch and its index: a resumed run sees the same batches.

    Parameters
    ----------
    images : sequence of ndarray of shape (h, w) or (h, w, C), float32 in [0, 1]
        Sizes may differ; every position of every image is equally likely.
    settings : Settings
        Its `patches`, `batch_size`, `patch_size`, `channels`, `crops`, `zoom` and `seed` count.
    ignored : sequence of (ndarray of shape (h, w), bool, or None), optional
        Pixels of each image that are not inspected; crops of which they are more than a quarter are not drawn.

    Raises
    ------
    ValueError
        If an image is smaller than a patch, or what is ignored leaves no room for one.
    """

    def __init__(
        self,
        images: Sequence[NDArray[np.float32]],
        settings: Settings,
        ignored: Sequence[NDArray[np.bool_] | None] | None = None,
    ) -> None:
        side = settings.patch_size
        for index, image in enumerate(images):
            if min(image.shape[:2]) < side:
                raise ValueError(
                    f"training image {index} is {image.shape[1]} x {image.shape[0]}, smaller than a patch of {side}"
                )
        self._images = [np.ascontiguousarray(image) for image in images]
        self._settings = settings
        self._room = np.array([[image.shape[0] - side, image.shape[1] - side] for image in images])
        self._allowed = [None if mask is None else _allowed(mask, side) for mask in ignored or [None] * len(images)]
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
        self._boxes = np.empty((0, 5))

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
            self._boxes, self._epoch = self._draw(epoch), epoch
        boxes = self._boxes[index * self._settings.batch_size :][: self._settings.batch_size]
        out = self._batch[: len(boxes)]
        gather_crops(self._images, boxes, out)
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
        """Return places of whole patches as rows of (image, row, column)."""
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

    def _zoomed(self, origins: NDArray[np.int64], epoch: int) -> NDArray[np.float64]:
        """Return crops whose height and width differ from a patch's by random factors up to 1 + `zoom`.

        A crop keeps its place relative to the room it has, so all parts of an image stay equally likely.
        """
        side = self._settings.patch_size
        image, places = origins[:, :1], origins[:, 1:]
        room = self._room[origins[:, 0]]
        extents = np.full(places.shape, float(side))
        if self._settings.zoom > 0:
            rng = np.random.default_rng([self._settings.seed, _ZOOM, epoch])
            limit = np.log1p(self._settings.zoom)
            factors = np.exp(rng.uniform(-limit, limit, places.shape))
            # In steps of 1/256, so that a place at the border plus its extent is the border to the last bit.
            extents = np.minimum(np.round(side * factors * 256) / 256, room + side)
        # Where there is no room, the place is 0 whatever it is divided by.
        starts = places / np.maximum(room, 1) * (room + side - extents)
        whole = extents == side
        return np.concatenate([image, np.where(whole, places, starts), extents], axis=1)


def _allowed(ignored: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    """Return the places, row by row, of the patches that ignored pixels fill to a quarter at most."""
    sums = np.zeros((ignored.shape[0] + 1, ignored.shape[1] + 1), dtype=np.int64)
    sums[1:, 1:] = ignored.cumsum(axis=0).cumsum(axis=1)
    filled = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.flatnonzero(filled <= LARGEST_IGNORED * side**2)
