"""The specification of SSIM in plain torch: readable, differentiable twice, and never optimised."""

from __future__ import annotations

import torch
from torch import Tensor

from ssimae.similarity.window import Window


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
