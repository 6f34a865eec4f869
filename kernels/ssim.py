"""The map of 1 - SSIM and its gradient in Triton: separable passes over tiles, with scratch planes in between.

Forward: a vertical pass blurs the four products of the inputs, a horizontal pass blurs them again and takes the ratio.
Backward: the same two passes up to the weights of the gradient, then their adjoints, vertical and horizontal. Nothing
is kept from the forward pass; no atomics, so equal inputs give equal bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # The kernels below then stay plain functions that nobody calls.
    triton = tl = None

_BLOCK_H, _BLOCK_W, _NUM_WARPS = 16, 64, 8
_SCRATCH_PIXELS = 1 << 22
"""Pixels whose scratch planes exist at a time (several images, or one however large): bounds memory, suits the L2."""

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def _jit(function: Callable[..., Any]) -> Any:
    return function if triton is None else triton.jit(function)


@_jit
def _tile(height: tl.tensor, width: tl.tensor, BLOCK_H: tl.constexpr, BLOCK_W: tl.constexpr) -> Any:
    # All programs lie on grid axis 0, which alone reaches beyond 65535; neighbours share their halo in the L2.
    program = tl.program_id(0)
    across = tl.cdiv(width, BLOCK_W)
    down = tl.cdiv(height, BLOCK_H)
    rows = program // across % down * BLOCK_H + tl.arange(0, BLOCK_H)[:, None]
    cols = program % across * BLOCK_W + tl.arange(0, BLOCK_W)[None, :]
    # Positions along an axis stay int32, which saves registers; what a row or plane is multiplied with is int64.
    return (program // (across * down)).to(tl.int64), rows, cols


@_jit
def _source(index: tl.tensor, size: tl.tensor, BORDER: tl.constexpr) -> Any:
    # The pixel that the border puts at an index: -1 and size are the first ones outside.
    if BORDER == "reflect":
        index = tl.where(index < 0, -index, index)
        index = tl.where(index >= size, 2 * size - 2 - index, index)
    elif BORDER == "symmetric":
        index = tl.where(index < 0, -1 - index, index)
        index = tl.where(index >= size, 2 * size - 1 - index, index)
    return index


@_jit
def _blur_adjoint(
    line_ptr: tl.tensor,  # the pixel 0 of each line of the map, a line running along the blurred axis
    line_inside: tl.tensor,
    pixels: tl.tensor,  # indices into the image along that axis
    size: tl.tensor,
    map_size: tl.tensor,
    stride: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> Any:
    # A pixel gathers from every map pixel whose window reads it: as itself (image 0), as its mirror image below 0
    # (image -1) and as the one beyond the end (image 1). Only tiles near a mirror look for the latter two.
    mirrored: tl.constexpr = BORDER == "reflect" or BORDER == "symmetric"  # noqa: PLR1714 (Triton knows no `in`)
    skipped: tl.constexpr = 1 if BORDER == "reflect" else 0
    begin = 0
    end = 1
    if mirrored:
        begin = tl.where(tl.min(pixels) <= RADIUS, -1, 0)
        end = tl.where(tl.max(pixels) + RADIUS >= size - 1, 2, 1)
    total = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    for image in range(begin, end):
        where = pixels
        if BORDER == "valid":
            where = pixels - RADIUS
        exists = pixels < size
        if mirrored:
            above = 2 * size - 1 - skipped - pixels
            where = tl.where(image < 0, skipped - 1 - pixels, tl.where(image > 0, above, pixels))
            exists = exists & tl.where(image < 0, where < 0, tl.where(image > 0, where >= size, True))
        for tap in range(2 * RADIUS + 1):
            reader = where + (RADIUS - tap)
            inside = line_inside & exists & (reader >= 0) & (reader < map_size)
            weight = tl.load(taps_ptr + tap)
            total += weight * tl.load(line_ptr + reader.to(tl.int64) * stride, mask=inside, other=0.0)
    return total


@_jit
def _moments(
    blurred_ptr: tl.tensor,  # (planes, 4, map_height, width)
    plane: tl.tensor,
    rows: tl.tensor,
    cols: tl.tensor,
    width: tl.tensor,
    map_height: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    shift: tl.tensor,
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> Any:
    step = tl.cast(map_height, tl.int64) * width
    row_ptr = blurred_ptr + plane * 4 * step + rows.to(tl.int64) * width
    first = cols if BORDER == "valid" else cols - RADIUS
    ux = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    du = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    dd = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    xy = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    for tap in range(2 * RADIUS + 1):
        source = _source(first + tap, width, BORDER)
        inside = (rows < map_height) & (source >= 0) & (source < width)
        source_ptr = row_ptr + source
        weight = tl.load(taps_ptr + tap)
        # Border `zero`: a black pixel is -shift in x', 0 in d, shift^2 in x'y'.
        ux += weight * tl.load(source_ptr, mask=inside, other=-shift)
        du += weight * tl.load(source_ptr + step, mask=inside, other=0.0)
        dd += weight * tl.load(source_ptr + 2 * step, mask=inside, other=0.0)
        xy += weight * tl.load(source_ptr + 3 * step, mask=inside, other=shift * shift)
    return ux, du, dd - du * du, xy - ux * (ux - du)


@_jit
def _blur_products_kernel(
    x_ptr: tl.tensor,  # (planes, height, width)
    y_ptr: tl.tensor,  # (planes, height, width)
    blurred_ptr: tl.tensor,  # (planes, 4, map_height, width): x', d, d^2 and x'y', blurred vertically
    height: tl.tensor,
    width: tl.tensor,
    map_height: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    shift: tl.float64,
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    plane, rows, cols = _tile(map_height, width, BLOCK_H, BLOCK_W)
    shift = tl.full([1, 1], shift, ACC)
    first = rows if BORDER == "valid" else rows - RADIUS
    ux = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    du = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    dd = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    xy = tl.zeros([BLOCK_H, BLOCK_W], ACC)
    for tap in range(2 * RADIUS + 1):
        source = _source(first + tap, height, BORDER)
        inside = (source >= 0) & (source < height) & (cols < width)
        offsets = (plane * height + source) * width + cols
        x = tl.load(x_ptr + offsets, mask=inside, other=0.0).to(ACC)
        y = tl.load(y_ptr + offsets, mask=inside, other=0.0).to(ACC)
        # Differences before products: near-equal images lose nothing, and neither does a bright background.
        d = x - y
        x -= shift
        y -= shift
        weight = tl.load(taps_ptr + tap)
        ux += weight * x
        du += weight * d
        dd += weight * (d * d)
        xy += weight * (x * y)
    inside = (rows < map_height) & (cols < width)
    step = tl.cast(map_height, tl.int64) * width
    out_ptr = blurred_ptr + plane * 4 * step + rows.to(tl.int64) * width + cols
    tl.store(out_ptr, ux, mask=inside)
    tl.store(out_ptr + step, du, mask=inside)
    tl.store(out_ptr + 2 * step, dd, mask=inside)
    tl.store(out_ptr + 3 * step, xy, mask=inside)


@_jit
def _loss_kernel(
    blurred_ptr: tl.tensor,  # (planes, 4, map_height, width)
    loss_ptr: tl.tensor,  # (planes, map_height, map_width)
    width: tl.tensor,
    map_height: tl.tensor,
    map_width: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    shift: tl.float64,
    c1: tl.float64,
    c2: tl.float64,
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    plane, rows, cols = _tile(map_height, map_width, BLOCK_H, BLOCK_W)
    shift = tl.full([1, 1], shift, ACC)
    c1 = tl.full([1, 1], c1, ACC)
    c2 = tl.full([1, 1], c2, ACC)
    ux, du, dv, sxy = _moments(
        blurred_ptr, plane, rows, cols, width, map_height, taps_ptr, shift, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W
    )
    luminance = du * du / (2 * (ux + shift) * (ux - du + shift) + c1 + du * du)
    structure = dv / (2 * sxy + c2 + dv)
    loss = luminance + structure - luminance * structure
    offsets = (plane * map_height + rows) * map_width + cols
    tl.store(loss_ptr + offsets, loss, mask=(rows < map_height) & (cols < map_width))


@_jit
def _slopes_kernel(
    grad_ptr: tl.tensor,  # (planes, map_height, map_width)
    blurred_ptr: tl.tensor,  # (planes, 4, map_height, width)
    slopes_ptr: tl.tensor,  # (planes, 3 or 4, map_height, map_width): g e, g c, mean terms of x and, if BOTH, y
    width: tl.tensor,
    map_height: tl.tensor,
    map_width: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    shift: tl.float64,
    c1: tl.float64,
    c2: tl.float64,
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    BOTH: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    plane, rows, cols = _tile(map_height, map_width, BLOCK_H, BLOCK_W)
    shift = tl.full([1, 1], shift, ACC)
    c1 = tl.full([1, 1], c1, ACC)
    c2 = tl.full([1, 1], c2, ACC)
    ux, du, dv, sxy = _moments(
        blurred_ptr, plane, rows, cols, width, map_height, taps_ptr, shift, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W
    )
    inside = (rows < map_height) & (cols < map_width)
    offsets = (plane * map_height + rows) * map_width + cols
    # The formulas are those of SSIM; the loss is one minus it.
    g = -tl.load(grad_ptr + offsets, mask=inside, other=0.0).to(ACC)
    uy = ux - du
    a1 = 2 * (ux + shift) * (uy + shift) + c1
    b1 = a1 + du * du
    a2 = 2 * sxy + c2
    b2 = a2 + dv
    c = 2 * (a1 / b1) / b2
    e = c * (dv / b2)
    if RADIUS == 0:
        # A single pixel has no variance; the terms that would cancel leave their rounding otherwise.
        c = tl.zeros_like(c)
        e = tl.zeros_like(e)
    # Ratios one by one: b2 b1^2 would underflow for a small data range.
    k_du = 2 * (a2 / b2) * (du / b1)
    TERMS: tl.constexpr = 4 if BOTH else 3
    step = tl.cast(map_height, tl.int64) * map_width
    out_ptr = slopes_ptr + plane * TERMS * step + rows.to(tl.int64) * map_width + cols
    tl.store(out_ptr, g * e, mask=inside)
    tl.store(out_ptr + step, g * c, mask=inside)
    ax = k_du * (((uy + shift) * du - a1) / b1)
    tl.store(out_ptr + 2 * step, g * (ax - e * ux + c * du), mask=inside)
    if BOTH:
        ay = k_du * (((ux + shift) * du + a1) / b1)
        tl.store(out_ptr + 3 * step, g * (ay - e * uy - c * du), mask=inside)


@_jit
def _spread_kernel(
    slopes_ptr: tl.tensor,  # (planes, map_height, map_width)
    spread_ptr: tl.tensor,  # (planes, height, map_width): the adjoint of the vertical blur
    height: tl.tensor,
    map_height: tl.tensor,
    map_width: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    plane, rows, cols = _tile(height, map_width, BLOCK_H, BLOCK_W)
    inside = cols < map_width
    total = _blur_adjoint(
        slopes_ptr + plane * map_height * map_width + cols, inside, rows, height, map_height, map_width,
        taps_ptr, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W,
    )  # fmt: skip
    tl.store(spread_ptr + (plane * height + rows) * map_width + cols, total, mask=(rows < height) & inside)


@_jit
def _gradient_kernel(
    x_ptr: tl.tensor,  # (planes, height, width)
    y_ptr: tl.tensor,  # (planes, height, width)
    spread_ptr: tl.tensor,  # (planes, 3 or 4, height, map_width)
    grad_x_ptr: tl.tensor,  # (planes, height, width)
    grad_y_ptr: tl.tensor,  # (planes, height, width), untouched unless BOTH
    height: tl.tensor,
    width: tl.tensor,
    map_width: tl.tensor,
    taps_ptr: tl.tensor,  # (2 * RADIUS + 1,)
    shift: tl.float64,
    RADIUS: tl.constexpr,
    BORDER: tl.constexpr,
    BOTH: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    plane, rows, cols = _tile(height, width, BLOCK_H, BLOCK_W)
    shift = tl.full([1, 1], shift, ACC)
    inside = (rows < height) & (cols < width)
    offsets = (plane * height + rows) * width + cols
    x = tl.load(x_ptr + offsets, mask=inside, other=0.0).to(ACC)
    y = tl.load(y_ptr + offsets, mask=inside, other=0.0).to(ACC)
    TERMS: tl.constexpr = 4 if BOTH else 3
    step = tl.cast(height, tl.int64) * map_width
    row_ptr = spread_ptr + plane * TERMS * step + rows.to(tl.int64) * map_width
    row_inside = rows < height
    e = _blur_adjoint(
        row_ptr, row_inside, cols, width, map_width, 1,
        taps_ptr, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W,
    )  # fmt: skip
    c = _blur_adjoint(
        row_ptr + step, row_inside, cols, width, map_width, 1,
        taps_ptr, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W,
    )  # fmt: skip
    mean = _blur_adjoint(
        row_ptr + 2 * step, row_inside, cols, width, map_width, 1,
        taps_ptr, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W,
    )  # fmt: skip
    grad_x = (x - shift) * e - (x - y) * c + mean
    tl.store(grad_x_ptr + offsets, grad_x.to(grad_x_ptr.dtype.element_ty), mask=inside)
    if BOTH:
        mean = _blur_adjoint(
            row_ptr + 3 * step, row_inside, cols, width, map_width, 1,
            taps_ptr, RADIUS, BORDER, ACC, BLOCK_H, BLOCK_W,
        )  # fmt: skip
        grad_y = (y - shift) * e + (x - y) * c + mean
        tl.store(grad_y_ptr + offsets, grad_y.to(grad_y_ptr.dtype.element_ty), mask=inside)


def _launch(kernel: Any, planes: int, height: int, width: int, *arguments: Any, **constants: Any) -> None:
    grid = (planes * triton.cdiv(height, _BLOCK_H) * triton.cdiv(width, _BLOCK_W),)
    # Asked for by name, fused multiply-add draws no warning about its changing default (Triton 3.9).
    kernel[grid](
        *arguments, **constants, BLOCK_H=_BLOCK_H, BLOCK_W=_BLOCK_W, num_warps=_NUM_WARPS, enable_fp_fusion=True
    )


@functools.cache
def _weights_on_device(taps: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    # Kept for good, a few hundred bytes a window: captured CUDA graphs go on reading it, and none could copy it anew.
    return torch.tensor(taps, dtype=dtype, device=device)


def _accumulator(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _constants(x: Tensor, taps: tuple[float, ...], border: str) -> dict[str, Any]:
    accumulator = tl.float64 if x.dtype == torch.float64 else tl.float32
    return {"RADIUS": len(taps) // 2, "BORDER": border, "ACC": accumulator}


def _planes(x: Tensor) -> Tensor:
    return x.reshape(-1, *x.shape[2:]).contiguous()


def _chunks(planes: Tensor) -> Iterator[slice]:
    count = max(1, _SCRATCH_PIXELS // (planes.shape[1] * planes.shape[2]))
    return (slice(first, first + count) for first in range(0, planes.shape[0], count))


def _blur_products(x: Tensor, y: Tensor, map_height: int, weights: Tensor, shift: float, **constants: Any) -> Tensor:
    planes, height, width = x.shape
    blurred = torch.empty((planes, 4, map_height, width), dtype=weights.dtype, device=x.device)
    _launch(
        _blur_products_kernel, planes, map_height, width,
        x, y, blurred, height, width, map_height, weights, shift, **constants,
    )  # fmt: skip
    return blurred


def available(x: Tensor) -> str | None:
    """Return why the kernels cannot serve a tensor, in words, or None if they can.

    Notes
    -----
    They compute in float32. Under Triton's interpreter, which is for tests, they serve tensors on the CPU and float64.
    """
    if triton is None:
        return "triton is not installed"
    if triton.knobs.runtime.interpret:
        return None if x.dtype in (*_DTYPES, torch.float64) else f"needs a floating tensor, got {x.dtype}"
    if x.device.type != "cuda":
        return f"needs a CUDA or ROCm device, got {x.device.type}"
    if x.dtype not in _DTYPES:
        return f"needs float32, bfloat16 or float16, got {x.dtype}"
    capability = torch.cuda.get_device_capability(x.device)
    if torch.version.hip is None and capability < (8, 0):
        return f"needs compute capability 8.0 or higher, got {capability[0]}.{capability[1]}"
    return None


def ssim_loss_map(
    x: Tensor, y: Tensor, taps: tuple[float, ...], c1: float, c2: float, shift: float, border: str
) -> Tensor:
    """Return the map of 1 - SSIM.

    Parameters
    ----------
    x, y : Tensor of shape (N, C, H, W), float32, bfloat16 or float16
        Alike, on a device for which :func:`available` gives None, and no smaller than the window.
    taps : tuple of float
        Weights along one side of the window: K in number, K odd, summing to 1.
    c1, c2 : float
    shift : float
        Subtracted from both before moments are taken: half the data range.
    border : {"reflect", "symmetric", "zero", "valid"}

    Returns
    -------
    Tensor of shape (N, C, h, w), float32 (float64 for float64)
        h, w are H, W, or H - K + 1, W - K + 1 for the border `valid`.

    Notes
    -----
    Each border and window size is compiled once. The first call with given taps also copies them to the device: let it
    come before a CUDA graph is captured.
    """
    lost = len(taps) - 1 if border == "valid" else 0
    width, map_height, map_width = x.shape[3], x.shape[2] - lost, x.shape[3] - lost
    loss = torch.empty((*x.shape[:2], map_height, map_width), dtype=_accumulator(x), device=x.device)
    xs, ys, losses = _planes(x), _planes(y), loss.view(-1, map_height, map_width)
    weights, constants = _weights_on_device(taps, loss.dtype, x.device), _constants(x, taps, border)
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        for chunk in _chunks(xs):
            out = losses[chunk]
            blurred = _blur_products(xs[chunk], ys[chunk], map_height, weights, shift, **constants)
            _launch(
                _loss_kernel, len(out), map_height, map_width,
                blurred, out, width, map_height, map_width, weights, shift, c1, c2, **constants,
            )  # fmt: skip
            del blurred
    return loss


def ssim_loss_map_backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor,
    taps: tuple[float, ...],
    c1: float,
    c2: float,
    shift: float,
    border: str,
    need_x: bool,
    need_y: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of both inputs, or None for one that is not needed, given that of the map.

    Parameters
    ----------
    grad : Tensor of shape (N, C, h, w), any floating type
        Gradient of the map that :func:`ssim_loss_map` gives for the other parameters.

    Returns
    -------
    tuple of two Tensors of shape (N, C, H, W), or None
        In the type of x and y, contiguous.
    """
    if not need_x:
        # SSIM is symmetric, so that one kernel serves either.
        grad_y = ssim_loss_map_backward(grad, y, x, taps, c1, c2, shift, border, True, False)[0] if need_y else None
        return None, grad_y
    height, width = x.shape[2:]
    map_height, map_width = grad.shape[2:]
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    grad_y = torch.empty(x.shape, dtype=x.dtype, device=x.device) if need_y else grad_x
    grads, xs, ys = _planes(grad), _planes(x), _planes(y)
    grad_xs, grad_ys = grad_x.view(-1, height, width), grad_y.view(-1, height, width)
    weights, constants = _weights_on_device(taps, _accumulator(x), x.device), _constants(x, taps, border)
    terms = 4 if need_y else 3
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        for chunk in _chunks(xs):
            g = grads[chunk]
            blurred = _blur_products(xs[chunk], ys[chunk], map_height, weights, shift, **constants)
            slopes = blurred.new_empty((len(g), terms, map_height, map_width))
            _launch(
                _slopes_kernel, len(g), map_height, map_width,
                g, blurred, slopes, width, map_height, map_width, weights, shift, c1, c2, **constants, BOTH=need_y,
            )  # fmt: skip
            del blurred
            spread = slopes.new_empty((len(g), terms, height, map_width))
            _launch(
                _spread_kernel, len(g) * terms, height, map_width,
                slopes, spread, height, map_height, map_width, weights, **constants,
            )  # fmt: skip
            _launch(
                _gradient_kernel, len(g), height, width,
                xs[chunk], ys[chunk], spread, grad_xs[chunk], grad_ys[chunk], height, width, map_width, weights, shift,
                **constants, BOTH=need_y,
            )  # fmt: skip
            del slopes, spread
    return grad_x, grad_y if need_y else None
