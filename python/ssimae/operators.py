"""The fast SSIM as registered torch operators: Rust on the CPU, Triton on the GPU, behind one name each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssimae import _rust, kernels
from ssimae.ssim import Window

_Options = tuple[Sequence[float], float, float, float, str]


def loss_sums(x: Tensor, y: Tensor, window: Window) -> Tensor:
    """Return the sums of 1 - SSIM over each plane, (N, C) float64, from Rust; gradients come from the same sweep.

    Parameters
    ----------
    x, y : Tensor of shape (N, C, H, W), float32, on the CPU
    window : Window

    Notes
    -----
    Differentiable once: a second derivative is refused.
    """
    wanted = torch.is_grad_enabled()
    sums: Tensor = _loss_sums(x, y, *_options(window), wanted and x.requires_grad, wanted and y.requires_grad)[0]
    return sums


def loss_map(x: Tensor, y: Tensor, window: Window) -> Tensor:
    """Return the map of 1 - SSIM, (N, C, h, w) float32: Rust for tensors on the CPU, Triton elsewhere.

    Differentiable once, as :func:`loss_sums` is.
    """
    result: Tensor = _loss_map(x, y, *_options(window))
    return result


def _options(window: Window) -> tuple[list[float], float, float, float, str]:
    return list(window.taps), window.c1, window.c2, window.shift, window.border


def _map_shape(x: Tensor, taps: Sequence[float], border: str) -> tuple[int, int, int, int]:
    lost = len(taps) - 1 if border == "valid" else 0
    return x.shape[0], x.shape[1], x.shape[2] - lost, x.shape[3] - lost


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array


@torch.library.custom_op("ssimae::loss_sums", mutates_args=(), device_types="cpu")
def _loss_sums(
    x: Tensor,
    y: Tensor,
    taps: Sequence[float],
    c1: float,
    c2: float,
    shift: float,
    border: str,
    grad_of_x: bool,
    grad_of_y: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    x, y = x.contiguous(), y.contiguous()
    grad_x = torch.empty_like(x if grad_of_x else x[:0], memory_format=torch.contiguous_format)
    grad_y = torch.empty_like(y if grad_of_y else y[:0], memory_format=torch.contiguous_format)
    sums = _rust.ssim_loss_sums(
        _array(x),
        _array(y),
        (taps, c1, c2, shift, border),
        None,
        _array(grad_x) if grad_of_x else None,
        _array(grad_y) if grad_of_y else None,
    )
    return torch.from_numpy(sums).view(x.shape[:2]), grad_x, grad_y


@_loss_sums.register_fake
def _(x: Tensor, y: Tensor, *options: Any) -> tuple[Tensor, Tensor, Tensor]:
    grad_of_x, grad_of_y = options[-2:]
    grad_x = torch.empty_like(x if grad_of_x else x[:0], memory_format=torch.contiguous_format)
    grad_y = torch.empty_like(y if grad_of_y else y[:0], memory_format=torch.contiguous_format)
    return x.new_empty(x.shape[:2], dtype=torch.float64), grad_x, grad_y


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
    return *grads, *(None,) * 7


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
def _loss_map(x: Tensor, y: Tensor, taps: Sequence[float], c1: float, c2: float, shift: float, border: str) -> Tensor:
    options = (taps, c1, c2, shift, border)
    if x.device.type != "cpu":
        result: Tensor = kernels.ssim_loss_map(x, y, tuple(taps), c1, c2, shift, border)
        return result
    x, y = x.contiguous(), y.contiguous()
    out = torch.empty(_map_shape(x, taps, border), dtype=x.dtype)
    _rust.ssim_loss_map(_array(x), _array(y), options, _array(out))
    return out


@_loss_map.register_fake
def _(x: Tensor, y: Tensor, taps: Sequence[float], c1: float, c2: float, shift: float, border: str) -> Tensor:
    return x.new_empty(_map_shape(x, taps, border), dtype=torch.float32)


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
    grad_of_x: bool,
    grad_of_y: bool,
) -> tuple[Tensor, Tensor]:
    empty = x.new_empty(0)
    if x.device.type != "cpu":
        found = kernels.ssim_loss_map_backward(grad, x, y, tuple(taps), c1, c2, shift, border, grad_of_x, grad_of_y)
        grad_x, grad_y = (empty.clone() if part is None else part for part in found)
        return grad_x, grad_y
    x, y = x.contiguous(), y.contiguous()
    grad_x = torch.empty_like(x) if grad_of_x else empty
    grad_y = torch.empty_like(y) if grad_of_y else empty.clone()
    _rust.ssim_loss_sums(
        _array(x),
        _array(y),
        (taps, c1, c2, shift, border),
        _array(grad.contiguous()),
        _array(grad_x) if grad_of_x else None,
        _array(grad_y) if grad_of_y else None,
    )
    return grad_x, grad_y


@_loss_map_backward.register_fake
def _(grad: Tensor, x: Tensor, y: Tensor, *options: Any) -> tuple[Tensor, Tensor]:
    grad_of_x, grad_of_y = options[-2:]
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format) if grad_of_x else x.new_empty(0)
    grad_y = torch.empty_like(y, memory_format=torch.contiguous_format) if grad_of_y else y.new_empty(0)
    return grad_x, grad_y


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.options = inputs[2:]


def _map_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    needed = ctx.needs_input_grad[:2]
    found = _loss_map_backward(grad, *ctx.saved_tensors, *ctx.options, *needed)
    grads = (part if wanted else None for part, wanted in zip(found, needed, strict=True))
    return *grads, *(None,) * 5


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
    return None if x.dtype == torch.float32 else f"it computes in float32, got {x.dtype}"


def _decline_triton(x: Tensor) -> str | None:
    return "it computes on a GPU, got a tensor on the CPU" if x.device.type == "cpu" else kernels.available(x)


_DECLINE: dict[str, Callable[[Tensor], str | None]] = {"rust": _decline_rust, "triton": _decline_triton}
