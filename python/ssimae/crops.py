"""Random training patches: where they lie, in what order they come, and how they reach a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssimae.config import Settings
from ssimae.tiling import gather_crops

_POSITIONS, _ORDER = 1, 2  # streams of random numbers under one seed


class CropSampler:
    """Batches of random crops of defect-free images.

    Everything about a batch follows from the seed, the epoch and its index: a resumed run sees the same batches.

    Parameters
    ----------
    images : sequence of ndarray of shape (h, w) or (h, w, C), float32 in [0, 1]
        Sizes may differ; every position of every image is equally likely.
    settings : Settings
        Its `patches`, `batch_size`, `patch_size`, `channels`, `crops` and `seed` count.

    Raises
    ------
    ValueError
        If an image is smaller than a patch.
    """

    def __init__(self, images: Sequence[NDArray[np.float32]], settings: Settings) -> None:
        side = settings.patch_size
        for index, image in enumerate(images):
            if min(image.shape[:2]) < side:
                raise ValueError(
                    f"training image {index} is {image.shape[1]} x {image.shape[0]}, smaller than a patch of {side}"
                )
        self._images = [np.ascontiguousarray(image) for image in images]
        self._settings = settings
        self._positions = np.array([[image.shape[0] - side + 1, image.shape[1] - side + 1] for image in images])
        self._batch = np.empty((settings.batch_size, settings.channels, side, side), dtype=np.float32)
        self._epoch = -1
        self._origins = np.empty((0, 3), dtype=np.int64)

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
            self._origins, self._epoch = self._draw(epoch), epoch
        origins = self._origins[index * self._settings.batch_size :][: self._settings.batch_size]
        out = self._batch[: len(origins)]
        gather_crops(self._images, origins, out)
        return torch.from_numpy(out)

    def _draw(self, epoch: int) -> NDArray[np.int64]:
        """Return the origins of an epoch as rows of (image, row, column)."""
        if self._settings.crops == "fresh":
            return self._random_origins(epoch)
        order = np.random.default_rng([self._settings.seed, _ORDER, epoch]).permutation(self._settings.patches)
        return self._random_origins(0)[order]

    def _random_origins(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._settings.seed, _POSITIONS, epoch])
        ends = np.cumsum(self._positions.prod(axis=1))
        flat = rng.integers(0, ends[-1], self._settings.patches)
        image = np.searchsorted(ends, flat, side="right")
        within = flat - np.concatenate([[0], ends[:-1]])[image]
        row, column = np.divmod(within, self._positions[image, 1])
        return np.stack([image, row, column], axis=1).astype(np.int64)
