"""Hold an image in the depth that it is stored in: a quarter or half of what it takes as float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pixels:
    """An image of shape (h, w) or (h, w, 3) whose parts come as float32 in [0, 1].

    It is indexed as an array is: ``pixels[2:4]`` are two rows.
    """

    samples: NDArray[Any]
    """(h, w) or (h, w, 3), uint8 or uint16."""
    white: float
    """Sample that becomes 1."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and, of a colour image, channels."""
        return self.samples.shape

    @property
    def ndim(self) -> int:
        """2 for gray, 3 for colour."""
        return self.samples.ndim

    def __getitem__(self, part: Any) -> NDArray[np.float32]:
        samples = self.samples[part]
        values = np.empty(samples.shape, np.float32)
        np.divide(samples, self.white, out=values, casting="same_kind")
        return values


Image = NDArray[np.float32] | Pixels
"""An image of shape (h, w) or (h, w, C): float32 in [0, 1], or in the depth that it is stored in."""


def view(image: Image, part: Any) -> Image:
    """Return a part of an image, or the image mirrored, without copying it."""
    return Pixels(image.samples[part], image.white) if isinstance(image, Pixels) else image[part]
