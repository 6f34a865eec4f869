"""SSIM and the loss 1 - SSIM: the public functions, which check, choose an implementation, and reduce."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ssimae import operators
from ssimae.ssim import Border, Window, WindowKind, loss_map, make_window

Reduction = Literal["mean", "none", "image"]
MaskMode = Literal["weight", "window"]
Backend = Literal["auto", "torch", "rust", "triton"]


def ssim(
    x: Tensor,
    y: Tensor,
    *,
    data_range: float,
    window_size: int = 11,
    window: WindowKind = "gaussian",
    sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    c1: float | None = None,
    c2: float | None = None,
    border: Border = "reflect",
    mask: Tensor | None = None,
    mask_mode: MaskMode = "weight",
    reduction: Reduction = "mean",
    backend: Backend = "auto",
) -> Tensor:
    """Return the structural similarity of two batches of images: 1 - :func:`ssim_loss`, with the same parameters.

    Notes
    -----
    As a loss use :func:`ssim_loss`: near 1 this value has lost the digits that a gradient needs.
    """
    return 1 - ssim_loss(
        x, y, data_range=data_range, window_size=window_size, window=window, sigma=sigma, k1=k1, k2=k2, c1=c1, c2=c2,
        border=border, mask=mask, mask_mode=mask_mode, reduction=reduction, backend=backend,
    )  # fmt: skip


def ssim_loss(
    x: Tensor,
    y: Tensor,
    *,
    data_range: float,
    window_size: int = 11,
    window: WindowKind = "gaussian",
    sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    c1: float | None = None,
    c2: float | None = None,
    border: Border = "reflect",
    mask: Tensor | None = None,
    mask_mode: MaskMode = "weight",
    reduction: Reduction = "mean",
    backend: Backend = "auto",
    l1_weight: float = 0.0,
    l2_weight: float = 0.0,
) -> Tensor:
    """Return 1 - SSIM of two batches of images, computed without cancellation.

    Parameters
    ----------
    x, y : Tensor of shape (N, C, H, W), float32 or float64
        Images, usually in [0, `data_range`]; bfloat16 and float16 are computed in float32.
    data_range : float
        Difference between white and black, L; never guessed from the data.
    window_size : int
        Side K of the window in pixels, odd, at most 31 and at most H and W.
    window : {"gaussian", "uniform"}
    sigma : float
        Standard deviation of the Gaussian window in pixels.
    k1, k2 : float
        C1 = (k1 L)^2 and C2 = (k2 L)^2.
    c1, c2 : float or None
        C1 and C2 themselves, instead.
    border : {"reflect", "symmetric", "zero", "valid"}
        How windows go on past the rim: mirrored without or with the edge repeated, zeros, or not at all, which makes
        the map smaller by K - 1.
    mask : Tensor broadcastable to (N, C, H, W), bool or numbers of at least 0, or None
    mask_mode : {"weight", "window"}
        `weight`: the mask weighs the pixels of the map. `window`: besides, pixels of weight 0 enter no window.
    reduction : {"mean", "none", "image"}
        The mean as a scalar, the map (N, C, h, w), or the mean of each image, (N,).
    backend : {"auto", "torch", "rust", "triton"}
        `auto` takes Rust on the CPU, Triton on a GPU, and plain torch for what they cannot do. Plain torch alone has
        second derivatives, and windows with masks inside.
    l1_weight, l2_weight : float
        Weights of |x - y| and (x - y)^2 added to each pixel of the map.

    Returns
    -------
    Tensor
        Scalar, (N,) or (N, C, h, w); exactly 0 for identical images, up to 2 for opposite ones. With reduction
        `none`, masked pixels are 0.

    Raises
    ------
    TypeError
        If an input is no floating tensor, or they differ in type.
    ValueError
        If shapes differ or are empty, a parameter breaks its rule, the mask leaves nothing, or a backend asked for by
        name cannot serve; the message says why.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli 2004. Bergmann et al. 2019, sec. 3.1 (the loss) and eq. 4-7.
    """
    form = make_window(
        data_range=data_range, window_size=window_size, window=window, sigma=sigma, k1=k1, k2=k2, c1=c1, c2=c2,
        border=border,
    )  # fmt: skip
    x, y = _checked(x, y, window_size)
    for name, value, allowed in (
        ("reduction", reduction, ("mean", "none", "image")),
        ("mask_mode", mask_mode, ("weight", "window")),
        ("backend", backend, ("auto", "torch", "rust", "triton")),
    ):
        if value not in allowed:
            raise ValueError(f"`{name}` must be one of {', '.join(allowed)}, got {value!r}")
    weights = None if mask is None else _as_weights(mask, x)
    inside = weights if mask_mode == "window" else None
    chosen = _choose(backend, x, window_mask=inside is not None)
    cropped = None if weights is None else _crop(weights, form)
    if chosen == "rust" and reduction != "none" and (cropped is None or not cropped.requires_grad):
        sums = operators.loss_sums(x, y, form, weights=cropped, l1=l1_weight, l2=l2_weight)
        counts = _counts(sums, cropped, _map_size(x, form))
        means = sums.sum() / counts.sum() if reduction == "mean" else sums.sum(dim=1) / counts.sum(dim=1)
        return means.to(x.dtype)
    if chosen == "torch":
        losses = loss_map(x, y, form, inside)
        if l1_weight or l2_weight:
            d = _crop(x - y, form)
            losses = losses + l1_weight * d.abs() + l2_weight * d.square()
    else:
        losses = operators.loss_map(x, y, form, l1=l1_weight, l2=l2_weight)
    return _reduce(losses, cropped, reduction)


def _counts(sums: Tensor, weights: Tensor | None, size: tuple[int, int]) -> Tensor:
    """Return by what the sum of each plane is divided, (N, C) float64: its pixels, or their weights."""
    if weights is None:
        return torch.full_like(sums, float(size[0] * size[1]))
    return weights.sum(dim=(2, 3), dtype=torch.float64)


def _checked(x: Tensor, y: Tensor, window_size: int) -> tuple[Tensor, Tensor]:
    for name, tensor in (("x", x), ("y", y)):
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            found = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"`{name}` must be a floating torch tensor, got {found}")
        if tensor.ndim != 4 or 0 in tensor.shape:
            raise ValueError(f"`{name}` must have shape (N, C, H, W), none of them 0, got {tuple(tensor.shape)}")
    if x.shape != y.shape:
        raise ValueError(f"`x` and `y` must have the same shape, got {tuple(x.shape)} and {tuple(y.shape)}")
    if x.dtype != y.dtype or x.device != y.device:
        raise TypeError(f"`x` and `y` must be alike, got {x.dtype} on {x.device} and {y.dtype} on {y.device}")
    if window_size > min(x.shape[2:]):
        raise ValueError(f"`window_size` {window_size} is larger than the image of {x.shape[2]} x {x.shape[3]}")
    return (x.float(), y.float()) if x.dtype in (torch.bfloat16, torch.float16) else (x, y)


def _as_weights(mask: Tensor, x: Tensor) -> Tensor:
    try:
        weights = mask.to(device=x.device, dtype=x.dtype).expand(x.shape)
    except RuntimeError as error:
        raise ValueError(f"`mask` must broadcast to {tuple(x.shape)}, got {tuple(mask.shape)}") from error
    if bool((weights < 0).any()) or not bool(weights.sum(dim=(1, 2, 3)).gt(0).all()):
        raise ValueError("`mask` must be at least 0 everywhere, and leave pixels in every image")
    return weights


def _choose(backend: Backend, x: Tensor, *, window_mask: bool) -> str:
    if backend == "torch":
        return "torch"
    if backend == "auto":
        fast = "rust" if x.device.type == "cpu" else "triton"
        return "torch" if operators.decline(fast, x, window_mask=window_mask) else fast
    reason = operators.decline(backend, x, window_mask=window_mask)
    if reason is not None:
        raise ValueError(f"`backend` {backend!r} cannot serve: {reason}")
    return backend


def _map_size(x: Tensor, form: Window) -> tuple[int, int]:
    lost = 2 * form.radius if form.border == "valid" else 0
    return x.shape[2] - lost, x.shape[3] - lost


def _crop(plane: Tensor, form: Window) -> Tensor:
    """Return the pixels of a plane (N, C, H, W) that the map has."""
    height, width = _map_size(plane, form)
    lost = form.radius if form.border == "valid" else 0
    return plane[:, :, lost : lost + height, lost : lost + width]


def _reduce(losses: Tensor, weights: Tensor | None, reduction: Reduction) -> Tensor:
    if weights is None:
        if reduction == "none":
            return losses
        return losses.mean() if reduction == "mean" else losses.mean(dim=(1, 2, 3))
    weighted = losses * weights
    if reduction == "none":
        return weighted
    if reduction == "mean":
        return weighted.sum() / weights.sum()
    return weighted.sum(dim=(1, 2, 3)) / weights.sum(dim=(1, 2, 3))
