"""The least time that a case can take on a card: by the bytes it must move, and by the arithmetic it must do."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

SIZES = {"N1": (128, 1, 128, 128), "N2": (8, 3, 1080, 1920), "N3": (1, 1, 4096, 4096)}
"""A training batch (Bergmann et al. 2019, sec. 4.1), a batch of video frames, a large image."""


class Case(NamedTuple):
    """What is computed of two float32 images, and the least it takes."""

    name: str
    window: str
    wanted: str
    """Inputs of which gradients are computed: "", "x" or "xy"."""
    bytes_a_pixel: int
    """Both images read once, each gradient written once."""
    h200_us: tuple[float, float, float]
    """Its floors on an H200, of N1 to N3, from which the arithmetic is known."""


CASES = (
    Case("forward", "gaussian", "", 8, (7.1, 169, 57)),
    Case("loss + d/dx", "gaussian", "x", 12, (13.1, 311, 105)),
    Case("loss + both gradients", "gaussian", "xy", 16, (15.1, 360, 121)),
    Case("uniform 11, loss + d/dx", "uniform", "x", 12, (5.9, 139, 47)),
)


class Rates(NamedTuple):
    """What a card does in a second."""

    bytes: float
    """Read and written."""
    flops: float
    """In float32, a multiply-add being two; infinite where nobody knows."""


H200 = Rates(4.3e12, 67e12)
_ROUNDING_US = (0.05, 0.5, 0.5)
"""Half of the last digit of the floors of N1 to N3."""

_BANDWIDTH_BYTES = 1 << 30
_LANES = {(8, 0): 64}
"""Float32 lanes of a multiprocessor by compute capability; others of 8.0 and higher have 128."""


def pixels(shape: tuple[int, ...]) -> int:
    """Return how many numbers an image batch holds."""
    return torch.Size(shape).numel()


def slots(case: Case) -> float:
    """Return the float32 issue slots a pixel that the H200's floors stand for, or 0 where memory explains them.

    A slot issues one multiply-add, so that an H200 has 33.5e12 a second. Each of the three floors gives a range of
    slots by its rounding; the middle of what the ranges share is taken.
    """
    seconds = [(us - half, us + half) for us, half in zip(case.h200_us, _ROUNDING_US, strict=True)]
    sizes = [pixels(shape) for shape in SIZES.values()]
    by_memory = [1e6 * case.bytes_a_pixel * size / H200.bytes for size in sizes]
    if all(low <= us <= high for us, (low, high) in zip(by_memory, seconds, strict=True)):
        return 0.0
    a_us = H200.flops / 2e6
    low = max(us * a_us / size for (us, _), size in zip(seconds, sizes, strict=True))
    high = min(us * a_us / size for (_, us), size in zip(seconds, sizes, strict=True))
    return (low + high) / 2


def floor_us(case: Case, shape: tuple[int, ...], rates: Rates) -> tuple[float, str]:
    """Return the least microseconds of a case, and what sets them: `memory` or `arithmetic`."""
    memory = 1e6 * case.bytes_a_pixel * pixels(shape) / rates.bytes
    arithmetic = 1e6 * slots(case) * pixels(shape) / (rates.flops / 2)
    return max((memory, "memory"), (arithmetic, "arithmetic"))


def rates_of(device: torch.device, median_us: Callable[[Callable[[], object]], float]) -> Rates:
    """Return a card's bandwidth, measured by a copy, and its float32 rate at its highest clock, as its driver tells."""
    size = _BANDWIDTH_BYTES if device.type == "cuda" else _BANDWIDTH_BYTES >> 6
    source = torch.zeros(size // 4, device=device)
    target = torch.empty_like(source)
    copied_us = median_us(lambda: target.copy_(source))
    return Rates(2 * source.nbytes / (copied_us * 1e-6), _flops(device))


def _flops(device: torch.device) -> float:
    if device.type != "cuda" or torch.version.hip is not None:
        return float("inf")
    from triton.runtime import driver

    index = torch.cuda.current_device() if device.index is None else device.index
    clock_khz = driver.active.utils.get_device_properties(index)["sm_clock_rate"]
    processors = torch.cuda.get_device_properties(device).multi_processor_count
    return 2e3 * clock_khz * processors * _LANES.get(torch.cuda.get_device_capability(device), 128)
