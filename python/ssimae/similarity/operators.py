"""Register the fast SSIM as torch operators: Rust on the CPU, Triton on the GPU, behind one name each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor

from ssimae.hardware import let_forks_compute
from ssimae.kernels.loss_map.launch import ssim_loss_map, ssim_loss_map_backward
from ssimae.kernels.loss_sums.launch import ssim_loss_sums
from ssimae.kernels.scale import scale_planes
from ssimae.kernels.support import INTERPRETED, available, compute_dtype
from ssimae.similarity.window import Border, Window

try:
    from ssimae import _rust
except ImportError:  # Kernels and specification work without it, on a machine where nothing was built.
    _rust = None  # type: ignore[assignment]


def loss_sums(
    x: Tensor,
    y: Tensor,
    window: Window,
    *,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    scale: float = 1.0,
) -> Tensor:
    """Return the sums over each plane of 1 - SSIM plus an extra term, (N, C) float64.

    Gradients come from the same sweep (Rust) or launch (Triton).

    Parameters
    ----------
    x, y : Tensor of shape (N, C, H, W)
        float32 or float64, alike, on the CPU; on a GPU what :func:`ssimae.kernels.support.available` allows.
    window : Window
    mask : Tensor of shape (1, H, W) or (N C, H, W), in the type that is computed in, or None
        Weights of the pixels inside windows; no gradient is computed for it.
    weights : Tensor of the map's shape (1, h, w) or (N C, h, w), of the same type, or None
        Weight of each pixel of the map; no gradient is computed for it.
    l1, l2 : float
        Weights of |x - y| and (x - y)^2.
    scale : float
        What sums and gradients are multiplied with.

    Notes
    -----
    Differentiable once: a second derivative is refused.
    """
    wanted = torch.is_grad_enabled()
    wanted_of = (wanted and x.requires_grad, wanted and y.requires_grad)
    sums: Tensor = _loss_sums(x, y, mask, weights, *_options(window, l1, l2), scale, *wanted_of)[0]
    return sums


def loss_map(
    x: Tensor, y: Tensor, window: Window, *, mask: Tensor | None = None, l1: float = 0.0, l2: float = 0.0
) -> Tensor:
    """Return the map of 1 - SSIM plus an extra term, (N, C, h, w), in the type that is computed in.

    Parameters and derivatives are those of :func:`loss_sums`.
    """
    result: Tensor = _loss_map(x, y, mask, *_options(window, l1, l2))
    return result


def _options(window: Window, l1: float, l2: float) -> tuple[list[float], float, float, float, str, float, float]:
    return list(window.taps), window.c1, window.c2, window.shift, window.border, l1, l2


def _window(taps: Sequence[float], c1: float, c2: float, shift: float, border: str) -> Window:
    return Window(tuple(taps), c1, c2, shift, cast(Border, border))


def _map_shape(x: Tensor, taps: Sequence[float], border: str) -> tuple[int, int, int, int]:
    lost = len(taps) - 1 if border == "valid" else 0
    return x.shape[0], x.shape[1], x.shape[2] - lost, x.shape[3] - lost


def _array(tensor: Tensor | None) -> NDArray[Any] | None:
    """Return the memory of a tensor as an array; None for what is not there or, being empty, not asked for."""
    if tensor is None or tensor.numel() == 0:
        return None
    array: NDArray[Any] = tensor.detach().contiguous().numpy()
    return array


def _empty_gradients(x: Tensor, y: Tensor, grad_of_x: bool, grad_of_y: bool) -> tuple[Tensor, Tensor]:
    """Return room for the gradients that are wanted; empty tensors for the others."""
    pairs = ((x, grad_of_x), (y, grad_of_y))
    grad_x, grad_y = (part.new_empty(part.shape if wanted else (0,)) for part, wanted in pairs)
    return grad_x, grad_y


def _or_empty(found: Sequence[Tensor | None], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    empty = _empty_gradients(x, y, False, False)
    grad_x, grad_y = (other if part is None else part for part, other in zip(found, empty, strict=True))
    return grad_x, grad_y


@torch.library.custom_op("ssimae::loss_sums", mutates_args=())
def _loss_sums(
    x: Tensor,
    y: Tensor,
    mask: Tensor | None,
    weights: Tensor | None,
    taps: Sequence[float],
    c1: float,
    c2: float,
    shift: float,
    border: str,
    l1: float,
    l2: float,
    scale: float,
    grad_of_x: bool,
    grad_of_y: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    if runs_kernels(x):
        sums, *found = ssim_loss_sums(
            x, y, tuple(taps), c1, c2, shift, border, grad_of_x, grad_of_y,
            scale=scale, weights=weights, mask=mask, l1=l1, l2=l2,
        )  # fmt: skip
        return sums, *_or_empty(found, x, y)
    let_forks_compute()
    x, y = x.contiguous(), y.contiguous()
    grad_x, grad_y = _empty_gradients(x, y, grad_of_x, grad_of_y)
    array = _rust.ssim_loss_sums(
        x.detach().numpy(), y.detach().numpy(), window=_window(taps, c1, c2, shift, border), l1=l1, l2=l2, scale=scale,
        mask=_array(mask), weights=_array(weights), grad_x=_array(grad_x), grad_y=_array(grad_y),
    )  # fmt: skip
    return torch.from_numpy(array).view(x.shape[:2]), grad_x, grad_y


@_loss_sums.register_fake
def _(x: Tensor, y: Tensor, *options: Any) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape[:2], dtype=torch.float64), *_empty_gradients(x, y, *options[-2:])


def _keep_gradients(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    _, grad_x, grad_y = output
    ctx.mark_non_differentiable(grad_x, grad_y)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(grad_x, grad_y, *inputs[:4])
    ctx.options = inputs[4:-2]
    ctx.given_away = False


def _scale_gradients(ctx: Any, grad_sums: Tensor | None, *_: Any) -> tuple[Any, ...]:
    if grad_sums is None:
        return (None,) * 14
    *grads, x, y, mask, weights = ctx.saved_tensors
    needed = ctx.needs_input_grad[:2]
    traced = type(grad_sums) is not Tensor  # It has no values then.
    if not (traced or torch.is_grad_enabled()):
        # The gradients become the caller's, who may change them; if they are asked for again, they are computed again.
        if ctx.given_away:
            grads = _loss_sums(x, y, mask, weights, *ctx.options, *needed)[1:]
        ctx.given_away = True

    def scaled(grad: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            once: Tensor = _Once.apply(grad_sums, grad, x, y)
            return once
        # `data` has no version counter that would forbid a change.
        return _scaled(grad, grad_sums) if traced else _scale(grad.data, grad_sums)

    return *(scaled(grad) if wanted else None for grad, wanted in zip(grads, needed, strict=True)), *(None,) * 12


def _scaled(grad: Tensor, factors: Tensor) -> Tensor:
    return factors.to(grad.dtype)[:, :, None, None] * grad


def _scale(grad: Tensor, factors: Tensor) -> Tensor:
    """Multiply each plane of a gradient with a factor, without passing over it where all are 1, as they mostly are."""
    if runs_kernels(grad):
        return scale_planes(grad, factors)
    return grad if bool((factors == 1).all()) else grad.mul_(factors.to(grad.dtype)[:, :, None, None])


class _Once(torch.autograd.Function):
    """Scales a gradient that was computed ahead; refuses to be differentiated by what that gradient depends on."""

    @staticmethod
    def forward(ctx: Any, grad_sums: Tensor, grad: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return _scaled(grad, grad_sums)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(_TWICE)


_TWICE = "this SSIM backend is differentiable once; for second derivatives use backend='torch'"

_loss_sums.register_autograd(_scale_gradients, setup_context=_keep_gradients)


@torch.library.custom_op("ssimae::loss_map", mutates_args=())
def _loss_map(
    x: Tensor,
    y: Tensor,
    mask: Tensor | None,
    taps: Sequence[float],
    c1: float,
    c2: float,
    shift: float,
    border: str,
    l1: float,
    l2: float,
) -> Tensor:
    if runs_kernels(x):
        result: Tensor = ssim_loss_map(x, y, tuple(taps), c1, c2, shift, border, mask=mask, l1=l1, l2=l2)
        return result
    let_forks_compute()
    x, y = x.contiguous(), y.contiguous()
    out = torch.empty(_map_shape(x, taps, border), dtype=x.dtype)
    _rust.ssim_loss_map(
        x.detach().numpy(), y.detach().numpy(), out.numpy(),
        window=_window(taps, c1, c2, shift, border), mask=_array(mask), l1=l1, l2=l2,
    )  # fmt: skip
    return out


@_loss_map.register_fake
def _(x: Tensor, y: Tensor, mask: Tensor | None, taps: Sequence[float], *others: Any) -> Tensor:
    return x.new_empty(_map_shape(x, taps, others[3]), dtype=compute_dtype(x, y))


@torch.library.custom_op("ssimae::loss_map_backward", mutates_args=())
def _loss_map_backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    mask: Tensor | None,
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
    if runs_kernels(x):
        found = ssim_loss_map_backward(
            grad, x, y, tuple(taps), c1, c2, shift, border, grad_of_x, grad_of_y, mask=mask, l1=l1, l2=l2
        )
        return _or_empty(found, x, y)
    # The sums of the map times its gradient have the gradients that are asked for.
    found = _loss_sums(
        x, y, mask, grad.reshape(-1, *grad.shape[2:]), taps, c1, c2, shift, border, l1, l2, 1.0, grad_of_x, grad_of_y
    )
    return found[1], found[2]


@_loss_map_backward.register_fake
def _(grad: Tensor, x: Tensor, y: Tensor, *options: Any) -> tuple[Tensor, Tensor]:
    return _empty_gradients(x, y, *options[-2:])


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.options = inputs[3:]


def _map_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    needed = ctx.needs_input_grad[:2]
    found = _loss_map_backward(grad, *ctx.saved_tensors, *ctx.options, *needed)
    grads = (part if wanted else None for part, wanted in zip(found, needed, strict=True))
    return *grads, *(None,) * 8


def _refuse_twice(ctx: Any, *_: Any) -> tuple[Any, ...]:
    raise RuntimeError(_TWICE)


_loss_map.register_autograd(_map_gradients, setup_context=_keep_inputs)
_loss_map_backward.register_autograd(_refuse_twice)


def runs_kernels(x: Tensor) -> bool:
    """Return whether operators run Triton's kernels on a tensor, rather than Rust."""
    return x.device.type != "cpu" or INTERPRETED


def decline(backend: str, x: Tensor, y: Tensor) -> str | None:
    """Return why a backend (`rust` or `triton`) cannot serve these tensors, or None."""
    return _DECLINE[backend](x) or _DECLINE[backend](y)


def _decline_rust(x: Tensor) -> str | None:
    if _rust is None:
        return "the compiled library is not there; build it with `maturin develop --release`"
    if INTERPRETED:
        return "Triton's interpreter is on, and serves tensors on the CPU"
    return None if x.device.type == "cpu" else f"it computes on the CPU, got a tensor on {x.device}"


def _decline_triton(x: Tensor) -> str | None:
    return available(x) if runs_kernels(x) else "it computes on a GPU, got a tensor on the CPU"


_DECLINE: dict[str, Callable[[Tensor], str | None]] = {"rust": _decline_rust, "triton": _decline_triton}
