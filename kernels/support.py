"""Support all kernels: Triton if it is installed, the devices it serves, and the form of arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # Kernels then stay plain functions that nobody calls.
    triton = tl = None

__all__ = ["INTERPRETED", "as_planes", "available", "compute_dtype", "jit", "tl", "triton", "triton_dtype"]

_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.uint8)

INTERPRETED: bool = triton is not None and triton.knobs.runtime.interpret
"""Whether Triton's interpreter runs the kernels, on the CPU; for tests."""


def jit(function: Callable[..., Any], **options: Any) -> Any:
    """Return a function under `triton.jit`; the plain function where Triton is not installed."""
    return function if triton is None else triton.jit(function, **options)


def available(x: Tensor) -> str | None:
    """Return why the kernels cannot serve a tensor, in words, or None if they can.

    Notes
    -----
    They compute in float32. Under Triton's interpreter, which is for tests, they serve tensors on the CPU and float64.
    """
    if triton is None:
        return "triton is not installed"
    if INTERPRETED:
        return None if x.dtype in (*_DTYPES, torch.float64) else f"needs a floating or uint8 tensor, got {x.dtype}"
    if x.device.type != "cuda":
        return f"needs a CUDA or ROCm device, got {x.device.type}"
    if x.dtype not in _DTYPES:
        return f"needs float32, bfloat16, float16 or uint8, got {x.dtype}"
    capability = torch.cuda.get_device_capability(x.device)
    if torch.version.hip is None and capability < (8, 0):
        return f"needs compute capability 8.0 or higher, got {capability[0]}.{capability[1]}"
    return None


def compute_dtype(*images: Tensor) -> torch.dtype:
    """Return the type that images are computed in: float64 if one of them has it, as the interpreter allows."""
    return torch.float64 if any(image.dtype == torch.float64 for image in images) else torch.float32


def triton_dtype(dtype: torch.dtype) -> Any:
    """Return Triton's name of float32 or float64."""
    return tl.float64 if dtype == torch.float64 else tl.float32


def as_planes(images: Tensor) -> Tensor:
    """Return images (..., H, W) as a contiguous stack of planes (planes, H, W)."""
    return images.reshape(-1, *images.shape[-2:]).contiguous()
