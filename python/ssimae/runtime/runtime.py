"""Inspect images with an exported model, without torch: ONNX Runtime, NumPy, Pillow and tifffile will do."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.export.folder import load_exported
from ssimae.images.depth import Image
from ssimae.images.given import take_image
from ssimae.inspection.inspector import Inspector
from ssimae.inspection.threshold import Thresholds
from ssimae.prediction.prediction import Prediction, prediction_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runtime:
    """An exported model that inspects images as ``ssimae predict`` does.

    Examples
    --------
    >>> runtime = Runtime.load("exported/")  # doctest: +SKIP
    >>> runtime.inspect("part.png").verdict  # doctest: +SKIP
    'good'
    """

    inspector: Inspector
    thresholds: Thresholds
    alarm: str | None
    """That the training of the network collapsed, so that no verdict means anything; None where it learned."""

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Self:
        """Return the runtime of a folder that ``ssimae export`` wrote, or of a graph in it.

        Parameters
        ----------
        path : path
        threads : int, optional
            Threads of the network; by default one for each core.

        Raises
        ------
        OSError
            If a file is missing or cannot be read.
        ValueError
            If a file is of another version or damaged, or what runs it is not installed.
        """
        model = load_exported(Path(path))
        if model.alarm is not None:
            logger.warning("%s: %s", path, model.alarm)
        return cls(model.inspector(threads=threads), model.thresholds, model.alarm)

    @property
    def settings(self) -> Settings:
        """Settings of the model."""
        return self.inspector.settings

    def inspect(self, image: NDArray[Any] | str | Path, *, ignore: NDArray[np.bool_] | None = None) -> Prediction:
        """Return score, verdict, reason, maps, segmentation and regions of one image.

        Parameters
        ----------
        image : ndarray of shape (h, w) or (h, w, 3), or path
            Integers are scaled by their type's range; floats have to lie in [0, 1], or in 0..`data_range`.
        ignore : ndarray of shape (h, w), bool, optional
            True for pixels that are not inspected.

        Raises
        ------
        OSError
            If a file cannot be read.
        ValueError
            If the image is smaller than a patch, not finite, or has other channels than the model, or the mask does not
            fit it or leaves nothing of it.
        """
        settings = self.settings
        taken = take_image(image, "image", channels=settings.channels, data_range=settings.data_range)
        if taken.made_gray:
            logger.warning("%s: in colour, and inspected in gray", image)
        if ignore is None:
            return self._judged(taken.pixels, None)
        ignored = np.asarray(ignore) != 0
        if ignored.shape != taken.pixels.shape[:2] or ignored.all():
            raise ValueError(
                f"`ignore` must have the shape of its image {taken.pixels.shape[:2]} and leave something of it, "
                f"got {ignored.shape}"
            )
        return self._judged(taken.pixels, ignored if ignored.any() else None)

    def _judged(self, image: Image, ignored: NDArray[np.bool_] | None) -> Prediction:
        return prediction_of(image, self.inspector.inspect(image, ignored), self.thresholds)
