"""Scale gradients in place without synchronising with the host."""

from __future__ import annotations

import torch
from torch import Tensor

from .support import compute_dtype, jit, tl, triton, triton_dtype

_BLOCK = 1024
_PROGRAMS_A_PLANE = 64
"""Where factors are 1, as they mostly are, further programs would only cost time."""


@jit
def _scale_kernel(
    planes_ptr: tl.tensor,  # (planes, size)
    factors_ptr: tl.tensor,  # (planes,), float64
    size: tl.tensor,
    PROGRAMS: tl.constexpr,
    BLOCK: tl.constexpr,
    ACC: tl.constexpr,
) -> None:
    plane = (tl.program_id(0) // PROGRAMS).to(tl.int64)
    factor = tl.load(factors_ptr + plane).to(ACC)
    if factor != 1.0:
        first_ptr = planes_ptr + plane * size
        # Counted from 0 in int64: a plane may hold more than 2^31 pixels.
        start = (tl.program_id(0) % PROGRAMS).to(tl.int64) * BLOCK
        while start < size:
            offsets = start + tl.arange(0, BLOCK)
            values = tl.load(first_ptr + offsets, mask=offsets < size).to(ACC) * factor
            tl.store(first_ptr + offsets, values.to(planes_ptr.dtype.element_ty), mask=offsets < size)
            start += PROGRAMS * BLOCK


def scale_planes(planes: Tensor, factors: Tensor) -> Tensor:
    """Multiply each plane with a factor, in place; planes of factor 1 are not touched.

    Parameters
    ----------
    planes : Tensor of shape (N, C, H, W), floating, contiguous
    factors : Tensor of shape (N, C), float64, any strides

    Returns
    -------
    Tensor
        `planes`.

    Notes
    -----
    The gradient of a loss by itself is 1, so mostly there is nothing to do, and the host need not wait to learn that.
    """
    size = planes.shape[2] * planes.shape[3]
    programs = min(_PROGRAMS_A_PLANE, triton.cdiv(size, _BLOCK))
    with torch.cuda.device_of(planes):  # type: ignore[no-untyped-call]
        _scale_kernel[(planes.shape[0] * planes.shape[1] * programs,)](
            planes, factors.contiguous(), size, PROGRAMS=programs, BLOCK=_BLOCK, ACC=triton_dtype(compute_dtype(planes))
        )
    return planes
