"""State what inspection asks of whatever runs a trained network; NumPy arrays go in and come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssimae.images.depth import Image
from ssimae.models.reach import STEP


@dataclass(frozen=True, kw_only=True)
class _Runs(ABC):
    name: str
    """What runs the network, and on which processor; thresholds record it."""
    precision: str
    """Arithmetic of the forward pass: float32 or bfloat16."""
    has_head: bool
    """Whether it judges pixels, too."""

    @abstractmethod
    def steady(self) -> AbstractContextManager[None]:
        """Return the context in which an image is inspected, so that the same image gives the same numbers."""


class Rebuilder(_Runs):
    """What rebuilds patches, and judges pixels where a head was trained."""

    @abstractmethod
    def rebuild(
        self, patches: NDArray[np.float32], *, first: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return the reconstruction of patches, and its variance where the network gives one.

        Parameters
        ----------
        patches : ndarray of shape (P, C, k, k), float32 in [0, 1]
            Overwritten by the caller afterwards.
        first : int
            Number of the first of these patches in its image.

        Returns
        -------
        reconstruction : ndarray of shape (P, C, k, k), float32
        variance : ndarray of shape (P, C, k, k), float32, or None
        """

    @abstractmethod
    def defects(
        self,
        image: NDArray[np.float32],
        reconstruction: NDArray[np.float32],
        residual: NDArray[np.float32],
        part: tuple[slice, slice],
    ) -> NDArray[np.float32]:
        """Return what the head says of each pixel of a part of an image.

        Parameters
        ----------
        image : ndarray of shape (h, w) or (h, w, C), float32 in [0, 1]
            Begins at a multiple of :data:`ssimae.models.reach.STEP` of the whole image.
        reconstruction : ndarray of the image's shape, float32
        residual : ndarray of shape (h, w), float32
        part : tuple of slice
            Rows and columns that are wanted.

        Returns
        -------
        ndarray of shape (1, h, w) or (2, h, w) of the part, float32
            How likely it is a defect, in [0, 1]; and how far from good surfaces the head's features are, at least 0,
            where it knows these.
        """


@dataclass(frozen=True, kw_only=True)
class ExportedRebuilder(Rebuilder):
    """A network and a head that were exported, as their engine runs them."""

    network: Any
    head: Any

    def steady(self) -> AbstractContextManager[None]:
        """Return a context that changes nothing: exported graphs compute the same each time."""
        return nullcontext()


class Scorer(_Runs):
    """What scores the pixels of an image without rebuilding it."""

    @abstractmethod
    def scores(self, image: Image) -> NDArray[np.float32]:
        """Return the score of every pixel of an image (h, w) or (h, w, C), float32 in [0, 1], as (h, w) float32.

        Raises
        ------
        ValueError
            If the image is smaller than a patch.
        """


Outputs = Callable[[NDArray[np.float32]], dict[str, NDArray[np.float32]]]
"""What runs a graph of one input."""

Engine = Rebuilder | Scorer
"""What runs the network of a system."""

EngineName = Literal["torch", "compile", "openvino"]
"""What may run the network of a run: torch, what ``torch.compile`` makes of it, or OpenVINO."""


def padded_planes(*images: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Return images (h, w) or (h, w, C) as batches (1, C, H, W) for an exported head.

    Their last rows and columns are repeated until both sides are multiples of :data:`ssimae.models.reach.STEP`.
    """
    batches = []
    for image in images:
        planes = np.moveaxis(image.reshape(*image.shape[:2], -1), 2, 0)[None]
        rows, columns = (-side % STEP for side in image.shape[:2])
        batches.append(np.pad(planes, ((0, 0), (0, 0), (0, rows), (0, columns)), mode="edge"))
    return tuple(np.ascontiguousarray(batch) for batch in batches)
