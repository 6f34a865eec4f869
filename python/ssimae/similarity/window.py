"""Define the window and constants of SSIM, checked once for every implementation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

MAX_WINDOW_SIZE = 31
"""Largest side of a window in pixels; kernels keep that many taps."""

Border = Literal["valid", "reflect", "symmetric", "zero"]
WindowKind = Literal["gaussian", "uniform"]

BORDERS = ("valid", "reflect", "symmetric", "zero")


@dataclass(frozen=True)
class Window:
    """Window and constants of SSIM, in the form that every implementation takes."""

    taps: tuple[float, ...]
    """Weights along one side: odd in number, symmetric, summing to 1. The window is their outer product."""
    c1: float
    c2: float
    shift: float
    """Constant subtracted from both images before moments are taken; half the data range."""
    border: Border

    @property
    def radius(self) -> int:
        """Pixels on either side of the middle tap."""
        return len(self.taps) // 2


def make_window(
    *,
    data_range: float,
    window_size: int,
    window: WindowKind,
    sigma: float,
    k1: float,
    k2: float,
    c1: float | None,
    c2: float | None,
    border: Border,
) -> Window:
    """Return the window and constants of the parameters of :func:`ssimae.ssim`.

    Raises
    ------
    ValueError
        For the first parameter that breaks its rule.
    """
    if not (data_range > 0 and math.isfinite(data_range)):
        raise ValueError(f"`data_range` must be positive and finite, got {data_range}")
    if not (1 <= window_size <= MAX_WINDOW_SIZE and window_size % 2 == 1):
        raise ValueError(f"`window_size` must be odd and in 1..{MAX_WINDOW_SIZE}, got {window_size}")
    if window not in ("gaussian", "uniform"):
        raise ValueError(f"`window` must be gaussian or uniform, got {window!r}")
    if not (sigma > 0 and math.isfinite(sigma)):
        raise ValueError(f"`sigma` must be positive and finite, got {sigma}")
    if border not in BORDERS:
        raise ValueError(f"`border` must be one of {', '.join(BORDERS)}, got {border!r}")
    constants = {"k1": k1, "k2": k2, "c1": c1, "c2": c2}
    for name, value in constants.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise ValueError(f"`{name}` must be positive and finite, got {value}")
    if window == "uniform":
        weights = [1.0] * window_size
    else:
        weights = [math.exp(-((tap - window_size // 2) ** 2) / (2 * sigma**2)) for tap in range(window_size)]
    total = math.fsum(weights)
    return Window(
        taps=tuple(weight / total for weight in weights),
        c1=(k1 * data_range) ** 2 if c1 is None else c1,
        c2=(k2 * data_range) ** 2 if c2 is None else c2,
        shift=data_range / 2,
        border=border,
    )
