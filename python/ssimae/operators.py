"""The fast SSIM as registered torch operators: Rust on the CPU, Triton on the GPU, behind one name each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ssimae import _rust, kernels
from ssimae.ssim import Window


def loss_sums(x: Tensor, y: Tensor, window: Window, *, weights: Tensor | None, l1: float, l2: float) -> Tensor:
    """Return the sums over each plane of 1 - SSIM plus an extra term, (N, C) float64, from Rust.

    Gradients come from the same sweep.

    Parameters
    ----------
    x, y : Tensor of shape (N, C, H, W), float32 or float64, on the CPU
    window : Window
    weights : Tensor of the map's shape (N, C, h, w), of the same type, or None
        Weight of each pixel of the map; no gradient is computed for it.
    l1, l2 : float
        Weights of |x - y| and (x - y)^2.

    Notes
    -----
    Differentiable once: a second derivative is refused.
    """
    wanted = torch.is_grad_enabled()
    wanted_of = (wanted and x.requires_grad, wanted and y.requires_grad)
    sums: Tensor = _loss_sums(x, y, weights, *_options(window), l1, l2, *wanted_of)[0]
    return sums


def loss_map(x: Tensor, y: Tensor, window: Window, *, l1: float, l2: float) -> Tensor:
    """Return the map of 1 - SSIM plus an extra term, (N, C, h, w): Rust for tensors on the CPU, Triton elsewhere.

    Differentiable once, as :func:`loss_sums` is.
    """
    on_cpu = x.device.type == "cpu"
    result: Tensor = _loss_map(x, y, *_options(window), *((l1, l2) if on_cpu else (0.0, 0.0)))
    if on_cpu or not (l1 or l2):
        return result
    lost = (x.shape[2] - result.shape[2]) // 2
    d = (x - y)[:, :, lost : lost + result.shape[2], lost : lost + result.shape[3]]
    return result + l1 * d.abs() + l2 * d.square()


def _options(window: Window) -> tuple[list[float], float, float, float, str]:
    return list(window.taps), window.c1, window.c2, window.shift, window.border


def _map_shape(x: Tensor, taps: Sequence[float], border: str) -> tuple[int, int, int, int]:
    lost = len(taps) - 1 if border == "valid" else 0
    return x.shape[0], x.shape[1], x.shape[2] - lost, x.shape[3] - lost


def _array(tensor: Tensor) -> NDArray[Any]:
    """Return a contiguous tensor's memory as an array."""
    array: NDArray[Any] = tensor.detach().numpy()
    return array


def _optional(tensor: Tensor | None) -> NDArray[Any] | None:
    """Return an array, or None for what is not there or, being empty, not asked for."""
    return None if tensor is None or tensor.numel() == 0 else _array(tensor)


def _empty_gradients(x: Tensor, grad_of_x: bool, grad_of_y: bool) -> tuple[Tensor, Tensor]:
    """Return room for the gradients that are wanted; empty tensors for the others."""
    shapes = (x.shape if wanted else (0,) for wanted in (grad_of_x, grad_of_y))
    grad_x, grad_y = (x.new_empty(shape) for shape in shapes)
    return grad_x, grad_y


@torch.library.custom_op("ssimae::loss_sums", mutates_args=(), device_types="cpu")
def _loss_sums(
    x: Tensor,
    y: Tensor,
    weights: Tensor | None,
    taps: Sequence[float],
    c1: float,
    c2: float,
    shift: float,
    border: str,
    l1: float,
    l2: float,
    grad_of_x: bool,
    grad_of_y: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    x, y = x.contiguous(), y.contiguous()
    weights = None if weights is None else weights.contiguous()
    grads = _empty_gradients(x, grad_of_x, grad_of_y)
    window = (taps, c1, c2, shift, border)
    sums = _rust.ssim_loss_sums(_array(x), _array(y), window, (l1, l2), _optional(weights), *map(_optional, grads))
    return torch.from_numpy(sums).view(x.shape[:2]), *grads


@_loss_sums.register_fake
def _(x: Tensor, y: Tensor, weights: Tensor | None, *options: Any) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape[:2], dtype=torch.float64), *_empty_gradients(x, *options[-2:])


def _keep_gradients(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    _, grad_x, grad_y = output
    ctx.mark_non_differentiable(grad_x, grad_y)
    ctx.save_for_backward(grad_x, grad_y, *inputs[:2])


def _scale_gradients(ctx: Any, grad_sums: Tensor, *_: Any) -> tuple[Any, ...]:
    *grads_ahead, x, y = ctx.saved_tensors
    grads = (
        _Once.apply(grad_sums, grad, x, y) if needed else None
        for grad, needed in zip(grads_ahead, ctx.needs_input_grad[:2], strict=True)
    )
    return *grads, *(None,) * 10


class _Once(torch.autograd.Function):
    """Scales a gradient that was computed ahead; refuses to be differentiated by what that gradient depends on."""

    @staticmethod
    def forward(ctx: Any, grad_sums: Tensor, grad: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return grad_sums.to(grad.dtype)[:, :, None, None] * grad

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(_TWICE)


_TWICE = "this SSIM backend is differentiable once; for second derivatives use backend='torch'"

_loss_sums.register_autograd(_scale_gradients, setup_context=_keep_gradients)


@torch.library.custom_op("ssimae::loss_map", mutates_args=())
def _loss_map(
    x: Tensor,
    y: Tensor,
    taps: Sequence[float],
    c1: float,
    c2: float,
    shift: float,
    border: str,
    l1: float,
    l2: float,
) -> Tensor:
    if x.device.type != "cpu":
        result: Tensor = kernels.ssim_loss_map(x, y, tuple(taps), c1, c2, shift, border)
        return result
    x, y = x.contiguous(), y.contiguous()
    out = torch.empty(_map_shape(x, taps, border), dtype=x.dtype)
    _rust.ssim_loss_map(_array(x), _array(y), (taps, c1, c2, shift, border), (l1, l2), _array(out))
    return out


@_loss_map.register_fake
def _(
    x: Tensor, y: Tensor, taps: Sequence[float], c1: float, c2: float, shift: float, border: str, *_: float
) -> Tensor:
    return x.new_empty(_map_shape(x, taps, border), dtype=x.dtype)


@torch.library.custom_op("ssimae::loss_map_backward", mutates_args=())
def _loss_map_backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    taps: Sequence[float],
    c1: float,
    c2: float,
    shift: float,
    border: str,
    l1: float,
    l2: float,
    grad_of_x: bool,
    grad_of_y: bool,
) -> tuple[Tensor, Tensor]:
    grads = _empty_gradients(x, grad_of_x, grad_of_y)
    if x.device.type != "cpu":
        found = kernels.ssim_loss_map_backward(grad, x, y, tuple(taps), c1, c2, shift, border, grad_of_x, grad_of_y)
        grad_x, grad_y = (empty if part is None else part for part, empty in zip(found, grads, strict=True))
        return grad_x, grad_y
    x, y, upstream = x.contiguous(), y.contiguous(), grad.contiguous()
    window = (taps, c1, c2, shift, border)
    _rust.ssim_loss_sums(_array(x), _array(y), window, (l1, l2), _optional(upstream), *map(_optional, grads))
    return grads


@_loss_map_backward.register_fake
def _(grad: Tensor, x: Tensor, y: Tensor, *options: Any) -> tuple[Tensor, Tensor]:
    return _empty_gradients(x, *options[-2:])


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.options = inputs[2:]


def _map_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    needed = ctx.needs_input_grad[:2]
    found = _loss_map_backward(grad, *ctx.saved_tensors, *ctx.options, *needed)
    grads = (part if wanted else None for part, wanted in zip(found, needed, strict=True))
    return *grads, *(None,) * 7


def _refuse_twice(ctx: Any, *_: Any) -> tuple[Any, ...]:
    raise RuntimeError(_TWICE)


_loss_map.register_autograd(_map_gradients, setup_context=_keep_inputs)
_loss_map_backward.register_autograd(_refuse_twice)


def decline(backend: str, x: Tensor, *, window_mask: bool) -> str | None:
    """Return why a backend (`rust` or `triton`) cannot serve these tensors, or None."""
    if window_mask:
        return "masks inside the windows are computed by backend 'torch' alone"
    return _DECLINE[backend](x)


def _decline_rust(x: Tensor) -> str | None:
    if x.device.type != "cpu":
        return f"it computes on the CPU, got a tensor on {x.device}"
    return None if x.dtype in (torch.float32, torch.float64) else f"it computes in float32 or float64, got {x.dtype}"


def _decline_triton(x: Tensor) -> str | None:
    return "it computes on a GPU, got a tensor on the CPU" if x.device.type == "cpu" else kernels.available(x)


_DECLINE: dict[str, Callable[[Tensor], str | None]] = {"rust": _decline_rust, "triton": _decline_triton}
