"""What SSIM means here: the specification in plain torch, readable, differentiable twice, never optimised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ssimae.config.settings import MAX_WINDOW_SIZE

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


def loss_map(x: Tensor, y: Tensor, window: Window, mask: Tensor | None = None) -> Tensor:
    """Return the map of 1 - SSIM.

    Parameters
    ----------
    x, y : Tensor of shape (N, C, H, W), float32 or float64
    window : Window
    mask : Tensor broadcastable to x, same dtype, or None
        Weights of the pixels inside each window: pixels of weight 0 enter no window, and the map is 0 where a window
        holds none.

    Returns
    -------
    Tensor of shape (N, C, h, w), same dtype, in [0, 2]
        h, w are H, W, or H - K + 1, W - K + 1 for the border `valid`.

    Notes
    -----
    With d = x - y and x' = x - s, 1 - SSIM = l + q - l q for l = du^2 / B1, q = Dv / B2: each factor's complement is
    computed on its own, so that nothing near 1 is subtracted from 1. Variances are of the population.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to Structural Similarity. 2004.
    """
    if mask is None:

        def blurred(plane: Tensor, outside: float) -> Tensor:
            return blur(plane, window, outside)

    else:
        weights = mask.expand_as(x)
        total = blur(weights, window, 1.0)
        seen = total > 0

        def blurred(plane: Tensor, outside: float) -> Tensor:
            return blur(plane * weights, window, outside) / torch.where(seen, total, 1.0)

    shift = window.shift
    d, xs = x - y, x - shift
    ux, du = blurred(xs, -shift), blurred(d, 0.0)
    uy = ux - du
    dv = blurred(d * d, 0.0) - du * du
    sxy = blurred(xs * (xs - d), shift * shift) - ux * uy
    a1 = 2 * (ux + shift) * (uy + shift) + window.c1
    a2 = 2 * sxy + window.c2
    luminance = du * du / (a1 + du * du)
    structure = dv / (a2 + dv)
    loss = luminance + structure - luminance * structure
    return loss if mask is None else torch.where(seen, loss, 0.0)


def blur(plane: Tensor, window: Window, outside: float) -> Tensor:
    """Return a plane (N, C, H, W) weighted by the window round each pixel; `outside` continues it for border `zero`."""
    for axis in (2, 3):
        padded = pad(plane, axis, window, outside)
        side = padded.shape[axis] - 2 * window.radius
        parts = (weight * padded.narrow(axis, tap, side) for tap, weight in enumerate(window.taps))
        plane = sum(parts, start=torch.zeros((), dtype=plane.dtype, device=plane.device))
    return plane


def pad(plane: Tensor, axis: int, window: Window, outside: float) -> Tensor:
    """Return a plane continued by the window's radius on both sides of one axis, as its border says."""
    radius, side = window.radius, plane.shape[axis]
    if window.border == "valid" or radius == 0:
        return plane
    if window.border == "zero":
        before = torch.full_like(plane.narrow(axis, 0, radius), outside)
        return torch.cat([before, plane, before], axis)
    skipped = 1 if window.border == "reflect" else 0
    before = plane.narrow(axis, skipped, radius).flip(axis)
    after = plane.narrow(axis, side - radius - skipped, radius).flip(axis)
    return torch.cat([before, plane, after], axis)
