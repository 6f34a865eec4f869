"""The public functions of SSIM and the loss 1 - SSIM: they check, choose an implementation, and reduce."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ssimae.similarity import operators
from ssimae.similarity.reference import loss_map
from ssimae.similarity.window import Border, Window, WindowKind, make_window

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

    Examples
    --------
    >>> import ssimae, torch
    >>> x = torch.rand(1, 1, 32, 32)
    >>> float(ssimae.ssim(x, x, data_range=1.0))
    1.0
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
    x, y : Tensor of shape (N, C, H, W), floating or uint8
        Images, usually in [0, `data_range`]. A uint8 pixel stands for its value times `data_range` / 255. Computed in
        float64 where one of them is, else in float32.
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
        Each image must keep a pixel in the map; on a GPU, where that is not looked at, the mean is NaN if none does.
    mask_mode : {"weight", "window"}
        `weight`: the mask weighs the pixels of the map. `window`: besides, pixels of weight 0 enter no window.
    reduction : {"mean", "none", "image"}
        The mean as a scalar, the map (N, C, h, w), or the mean of each image, (N,).
    backend : {"auto", "torch", "rust", "triton"}
        `auto` takes Rust on the CPU, Triton on a GPU, and plain torch for the gradient of a mask inside the windows.
        Only plain torch has second derivatives; the others refuse them.
    l1_weight, l2_weight : float
        Weights of ``|x - y|`` and ``(x - y)^2``, added to each pixel of the map.

    Returns
    -------
    Tensor, float32 or float64
        Scalar, (N,) or (N, C, h, w); exactly 0 for identical images, up to 2 for opposite ones. With reduction
        `none`, masked pixels are 0.

    Raises
    ------
    TypeError
        If an input is no floating or uint8 tensor.
    ValueError
        If shapes or devices differ, a shape is empty, a parameter breaks its rule, the mask leaves nothing, or a
        backend asked for by name cannot serve; the message says why.

    Notes
    -----
    Other packages mean other things by SSIM. These settings give their numbers, to rounding; options not
    named keep the defaults of either side. K is the window's side, L the data range. Tested in float32 and
    float64, with the gradients of those that have them; TensorFlow's row alone is read from its source.

    ==========================================  ===========================================================
    their call                                  settings here
    ==========================================  ===========================================================
    scikit-image ``structural_similarity``      ``window="uniform", window_size=7, border="valid", c2=S``
    ... ``win_size=K``                          the same with ``window_size=K``
    ... ``gaussian_weights=True, sigma=s``      ``sigma=s, window_size=W, border="valid", c2=S``
    ... ``use_sample_covariance=False``         the same without ``c2``
    ... ``full=True``, its map                  the same with ``border="symmetric", reduction="none"``
    ... ``gradient=True``                       the gradient by y with ``border="symmetric"``; right only
                                                if ``use_sample_covariance=False``
    ... ``channel_axis=``                       channels are C
    pytorch-msssim ``ssim``                     ``border="valid"``; ``win_size, win_sigma, K`` are
                                                ``window_size, sigma, (k1, k2)``; its L is 255 by default
    ... ``size_average=False``                  ``reduction="image"``
    torchmetrics (functional), ``sigma=s``      ``sigma=s, window_size=W``; its ``kernel_size`` is ignored
    ... ``gaussian_kernel=False``               ``window="uniform", window_size=kernel_size``
    ... ``reduction="none"``                    ``reduction="image"``
    ... ``return_full_image=True``, its map     ``reduction="none"``
    kornia ``metrics.ssim(.., K, eps=0.0)``     ``window_size=K, reduction="none"``; its sigma is 1.5
    ... ``padding="valid"``                     the same with ``border="valid"``
    kornia ``losses.ssim_loss(.., eps=0.0)``    half of ``ssim_loss(window_size=K)``
    piq ``ssim(downsample=False)``              ``border="valid"``
    piq ``ssim``                                the same, of both images after
                                                ``avg_pool2d(., max(1, round(min(H, W) / 256)))``
    frame-analytics ``ssim``                    ``border="valid"``
    ... ``reduction="none"``                    ``border="valid", reduction="image"``
    ... ``return_map=True``                     ``border="valid", reduction="none"``
    TensorFlow ``tf.image.ssim``                ``border="valid", reduction="image"``
    ==========================================  ===========================================================

    W = 2 int(3.5 s + 0.5) + 1. S = (k2 L)^2 (1 - 1 / K^2), K = W if Gaussian: covariances over K^2 - 1
    instead of K^2 are a smaller C2. kornia's default ``eps=1e-12`` lowers black pixels by 1e-5 at L = 1.
    pytorch-msssim has a float32 window: in float64 it agrees to 1e-6, and exactly if given ours as ``win``.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli 2004. Bergmann et al. 2019, sec. 3.1 (the loss) and eq. 4-7.

    Examples
    --------
    >>> import ssimae, torch
    >>> x = torch.zeros(1, 1, 32, 32, requires_grad=True)
    >>> loss = ssimae.ssim_loss(x, torch.ones(1, 1, 32, 32), data_range=1.0)
    >>> loss.backward()
    >>> round(loss.item(), 4), x.grad.shape
    (0.9999, torch.Size([1, 1, 32, 32]))
    """
    for name, value, allowed in (
        ("reduction", reduction, ("mean", "none", "image")),
        ("mask_mode", mask_mode, ("weight", "window")),
        ("backend", backend, ("auto", "torch", "rust", "triton")),
    ):
        if value not in allowed:
            raise ValueError(f"`{name}` must be one of {', '.join(allowed)}, got {value!r}")
    form = make_window(
        data_range=data_range, window_size=window_size, window=window, sigma=sigma, k1=k1, k2=k2, c1=c1, c2=c2,
        border=border,
    )  # fmt: skip
    _check(x, y, window_size)
    dtype = torch.float64 if torch.float64 in (x.dtype, y.dtype) else torch.float32
    weights = None if mask is None else _as_weights(mask, x.shape, form, device=x.device, dtype=dtype)
    inside = weights if mask_mode == "window" else None
    cropped = None if weights is None else _crop(weights, form)
    chosen = _choose(backend, x, y, inside)
    if chosen != "triton":
        x, y = (_as_numbers(part, dtype, data_range) for part in (x, y))
    if chosen == "torch":
        losses = loss_map(x, y, form, inside)
        if l1_weight or l2_weight:
            d = _crop(x - y, form)
            losses = losses + l1_weight * d.abs() + l2_weight * d.square()
        return _reduce(losses, cropped, reduction)
    options: dict[str, Any] = {"mask": _stack(inside), "l1": l1_weight, "l2": l2_weight}
    if reduction == "none" or (cropped is not None and cropped.requires_grad):
        return _reduce(operators.loss_map(x, y, form, **options), cropped, reduction)
    height, width = (side - 2 * _lost(form) for side in x.shape[2:])
    of_one = x.shape[1] * height * width
    if cropped is None:
        scale = 1 / (of_one if reduction == "image" else of_one * x.shape[0])
        sums = operators.loss_sums(x, y, form, scale=scale, **options)
    else:
        shares = cropped / _total(cropped, x.shape, reduction)
        sums = operators.loss_sums(x, y, form, weights=_stack(shares), **options)
    return (sums.sum(dim=1) if reduction == "image" else sums.sum()).to(dtype)


def _check(x: Tensor, y: Tensor, window_size: int) -> None:
    for name, tensor in (("x", x), ("y", y)):
        if not isinstance(tensor, Tensor) or not (tensor.is_floating_point() or tensor.dtype == torch.uint8):
            found = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"`{name}` must be a floating or uint8 torch tensor, got {found}")
        if tensor.ndim != 4 or 0 in tensor.shape:
            raise ValueError(f"`{name}` must have shape (N, C, H, W), none of them 0, got {tuple(tensor.shape)}")
    if x.shape != y.shape:
        raise ValueError(f"`x` and `y` must have the same shape, got {tuple(x.shape)} and {tuple(y.shape)}")
    if x.device != y.device:
        raise ValueError(f"`x` and `y` must be on the same device, got {x.device} and {y.device}")
    if window_size > min(x.shape[2:]):
        raise ValueError(f"`window_size` {window_size} is larger than the image of {x.shape[2]} x {x.shape[3]}")


def _as_numbers(image: Tensor, dtype: torch.dtype, data_range: float) -> Tensor:
    return image.to(dtype) * (data_range / 255) if image.dtype == torch.uint8 else image.to(dtype)


def _as_weights(mask: Tensor, shape: torch.Size, form: Window, *, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the weights of pixels, (1, 1, H, W) where all planes share them, else (N, C, H, W)."""
    shared = mask.ndim <= 4 and all(side == 1 for side in mask.shape[:-2])
    try:
        weights = mask.to(device, dtype).expand((1, 1, *shape[2:]) if shared else shape)
    except RuntimeError as error:
        raise ValueError(f"`mask` must broadcast to {tuple(shape)}, got {tuple(mask.shape)}") from error
    # Looking at values would make a GPU wait, break captured graphs and compiled ones.
    if device.type == "cpu" and not torch.compiler.is_compiling():
        left = _crop(weights, form).sum(dim=(1, 2, 3))
        if bool((weights < 0).any()) or not bool(left.gt(0).all()):
            raise ValueError("`mask` must be at least 0 everywhere, and leave pixels in every image")
    return weights


def _choose(backend: Backend, x: Tensor, y: Tensor, inside: Tensor | None) -> str:
    if backend == "torch":
        return "torch"
    learnt = "the gradient of masks inside the windows is computed by backend 'torch' alone"
    asked = backend if backend != "auto" else "triton" if operators.runs_kernels(x) else "rust"
    needs_torch = inside is not None and inside.requires_grad
    reason = learnt if needs_torch else operators.decline(asked, x, y)
    if reason is None:
        return asked
    if backend == "auto":
        return "torch"
    raise ValueError(f"`backend` {backend!r} cannot serve: {reason}")


def _lost(form: Window) -> int:
    """Return how many pixels the map loses on each side of the image."""
    return form.radius if form.border == "valid" else 0


def _crop(plane: Tensor, form: Window) -> Tensor:
    """Return the pixels of a plane (..., H, W) that the map has."""
    lost = _lost(form)
    return plane[..., lost : plane.shape[-2] - lost, lost : plane.shape[-1] - lost]


def _stack(weights: Tensor | None) -> Tensor | None:
    """Return weights (1, 1, H, W) or (N, C, H, W) as a stack of planes, the form that kernels take."""
    return None if weights is None else weights.reshape(-1, *weights.shape[2:])


def _total(weights: Tensor, shape: torch.Size, reduction: Reduction) -> Tensor:
    """Return what all weights of a map sum to, as a scalar, or those of each image, (N or 1, 1, 1, 1)."""
    times = shape[1] // weights.shape[1]
    if reduction == "image":
        return times * weights.sum(dim=(1, 2, 3), keepdim=True)
    return times * (shape[0] // weights.shape[0]) * weights.sum()


def _reduce(losses: Tensor, weights: Tensor | None, reduction: Reduction) -> Tensor:
    weighted = losses if weights is None else losses * weights
    if reduction == "none":
        return weighted
    if weights is None:
        return losses.mean() if reduction == "mean" else losses.mean(dim=(1, 2, 3))
    total = _total(weights, losses.shape, reduction)
    return weighted.sum() / total if reduction == "mean" else weighted.sum(dim=(1, 2, 3)) / total.flatten()
