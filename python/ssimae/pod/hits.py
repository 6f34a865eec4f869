"""Hold the planted defects of a run: how large and how strong each is, and whether it was found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PlantedDefects:
    """Planted defects, one element each; all arrays are of shape (n,).

    Raises
    ------
    ValueError
        If the arrays differ in length, a size is not positive and finite, or a contrast lies outside [0, 1].
    """

    size_px: NDArray[np.float64]
    """Equivalent diameter in pixels of the original image: that of the disk of the same area."""
    contrast: NDArray[np.float64]
    """Mean absolute change of the gray value over the defect's mask, in [0, 1]."""
    kind: tuple[str, ...]
    """How it was made."""
    hit: NDArray[np.bool_]
    """Whether it was found."""

    def __post_init__(self) -> None:
        """Check the arrays."""
        check_sizes(self.size_px, self.hit)
        lengths = {len(self.size_px), len(self.contrast), len(self.kind)}
        if self.contrast.ndim != 1 or len(lengths) != 1:
            raise ValueError(
                "`size_px`, `contrast`, `kind` and `hit` must be of one length, got "
                f"{len(self.size_px)}, {self.contrast.size}, {len(self.kind)} and {len(self.hit)}"
            )
        if not ((self.contrast >= 0) & (self.contrast <= 1)).all():
            raise ValueError("`contrast` must lie in [0, 1]")


def check_sizes(size_px: NDArray[np.float64], hit: NDArray[np.bool_]) -> None:
    """Refuse sizes that are not positive and finite, and hits that are not one yes or no for each of them.

    Raises
    ------
    ValueError
        Saying which.
    """
    if size_px.ndim != 1 or size_px.shape != hit.shape:
        raise ValueError(
            f"`size_px` and `hit` must be of one shape (n,), got {list(size_px.shape)} and {list(hit.shape)}"
        )
    if hit.dtype != np.bool_:
        raise ValueError(f"`hit` must be of type bool, got {hit.dtype}")
    if not (np.isfinite(size_px) & (size_px > 0)).all():
        raise ValueError("`size_px` must be positive and finite")


def equivalent_diameter(area_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the diameter in pixels of disks of the given areas in pixels, of any shape."""
    return 2 * np.sqrt(area_px / np.pi)
