"""What a card can do at best, measured on it, and how long the SSIM loss must take there at least."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from triton.testing import do_bench

WINDOW_SIZE = 11


class Timing(NamedTuple):
    """Seconds."""

    median: float
    low: float
    """The fifth part of the runs was faster."""
    high: float


Timer = Callable[[Callable[[], object]], Timing]


def time_on_card(function: Callable[[], object]) -> Timing:
    """Return how long a function keeps the card busy, by its events, the L2 emptied before each run."""
    median, low, high = do_bench(function, warmup=50, rep=200, quantiles=[0.5, 0.2, 0.8])
    return Timing(median / 1e3, low / 1e3, high / 1e3)


def time_back_to_back(function: Callable[[], object], runs: int = 20) -> float:
    """Return the mean seconds of a function run many times over, by two events: launches overlap, the L2 stays warm."""
    function()
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()  # type: ignore[no-untyped-call]
    for _ in range(runs):
        function()
    last.record()  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    elapsed_ms: float = first.elapsed_time(last)  # type: ignore[no-untyped-call]
    return elapsed_ms / 1e3 / runs


class Card(NamedTuple):
    bytes_per_second: float
    """Read and written, measured by a copy."""
    float_slots_per_second: float
    """Instructions times threads: a multiply-add is one, though it counts as two operations."""


def measure_card(time: Timer) -> Card:
    """Return what the current CUDA device copies and computes in a second."""
    source = torch.empty(1 << 28, dtype=torch.float32, device="cuda").normal_()
    target = torch.empty_like(source)
    copied = 2 * source.numel() * source.element_size() / time(lambda: target.copy_(source)).median
    return Card(copied, _measure_slots(time))


@triton.jit
def _chains_kernel(out_ptr, rounds, BLOCK: tl.constexpr, UNROLLED: tl.constexpr):  # type: ignore[no-untyped-def]
    # Four chains of multiply-adds, enough to hide the latency of each other; loops alone would cost as much.
    x = tl.arange(0, BLOCK).to(tl.float32)
    a, b, c, d = x, x + 1, x + 2, x + 3
    for _ in range(rounds):
        for _unrolled in tl.static_range(UNROLLED):
            a = a * 0.999 + 0.5
            b = b * 0.999 + 0.5
            c = c * 0.999 + 0.5
            d = d * 0.999 + 0.5
    tl.store(out_ptr + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), a + b + c + d)


def _measure_slots(time: Timer) -> float:
    block, unrolled, rounds = 256, 16, 1024
    programs = 16 * torch.cuda.get_device_properties().multi_processor_count
    out = torch.empty(programs * block, device="cuda")
    launch = _chains_kernel[programs,]
    seconds = time(
        lambda: launch(out, rounds, BLOCK=block, UNROLLED=unrolled, num_warps=8, enable_fp_fusion=True)
    ).median
    return 4.0 * unrolled * rounds * programs * block / seconds


class Work(NamedTuple):
    """One thing that is timed."""

    title: str
    window: str
    gradients: int
    """Of how many inputs."""
    image_planes: int
    """Planes that must be read or written: both inputs and the gradients."""
    slots: int
    """Instructions a pixel of a one-shot kernel, K = 11: 2 K for each blurred plane and what is left to do with it."""


WORKS = (
    Work("forward", "gaussian", 0, 2, 8 * WINDOW_SIZE + 26),
    Work("loss + d/dx", "gaussian", 1, 3, 14 * WINDOW_SIZE + 55),
    Work("loss + both gradients", "gaussian", 2, 4, 16 * WINDOW_SIZE + 66),
    # By doubling, a uniform window takes too few instructions to count: the memory bounds it.
    Work("uniform window, loss + d/dx", "uniform", 1, 3, 0),
)
"""SSIM.md, 4."""

SHAPES = {"N1": (128, 1, 128, 128), "N2": (8, 3, 1080, 1920), "N3": (1, 1, 4096, 4096)}


def floor_seconds(work: Work, shape: tuple[int, ...], card: Card) -> float:
    """Return the least time that a card allows for float32 images of a shape: of its memory or of its float units."""
    pixels = torch.Size(shape).numel()
    memory = 4.0 * work.image_planes * pixels / card.bytes_per_second
    return max(memory, work.slots * pixels / card.float_slots_per_second)
