"""One computation measured: its answer held to float64, its time eager and as a CUDA graph, its memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import ssimae
import torch
from torch import Tensor

CALLS = (7, 200)
"""Timed calls: the least, and the most."""
_FLUSH_BYTES = 1 << 28
"""More than the cache of any card."""
_CHUNK_PIXELS = 1 << 23
"""Pixels whose answer is computed in float64 at a time, unless one image has more; each takes 1.8 kB, N3 30 GB."""


class Times(NamedTuple):
    """Microseconds of a call."""

    median_us: float
    low_us: float
    """Fifth of the calls that took no longer."""
    high_us: float
    """Four fifths of the calls that took no longer."""


Call = Callable[[], Any]
Timer = Callable[[Call], Times]


def timer_for(device: torch.device, *, quick: bool) -> Timer:
    """Return what times calls on a device: CUDA events on a GPU, the clock of the host elsewhere.

    On a GPU a buffer larger than the cache is written before each call, as `triton.testing.do_bench` does. The host
    prepares the call meanwhile, so that an eager call's time is that of the host only where it is the slower.
    """
    budget_s = 0.1 if quick else 0.4
    flushed = torch.empty(_FLUSH_BYTES if device.type == "cuda" else 0, dtype=torch.int8, device=device)

    def by_events(call: Call, count: int) -> list[float]:
        marks = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(count)]
        for before, after in marks:
            flushed.zero_()
            before.record()
            call()
            after.record()
        torch.cuda.synchronize(device)
        return [1e3 * before.elapsed_time(after) for before, after in marks]

    def by_clock(call: Call, count: int) -> list[float]:
        spent = []
        for _ in range(count):
            start = time.perf_counter()
            call()
            spent.append(1e6 * (time.perf_counter() - start))
        return spent

    once = by_events if device.type == "cuda" else by_clock

    def timed(call: Call) -> Times:
        once(call, 1)
        estimate_us = statistics.median(once(call, 3))
        count = min(max(int(1e6 * budget_s / (estimate_us + 1)), CALLS[0]), CALLS[1])
        spent = once(call, count)
        fifths = statistics.quantiles(spent, n=5, method="inclusive")
        return Times(statistics.median(spent), fifths[0], fifths[3])

    return timed


def captured(call: Call) -> tuple[torch.cuda.CUDAGraph, Any]:
    """Return a CUDA graph of a call, and what the call returned, whose memory each replay writes anew."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = call()
    return graph, result


def stepper(loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, wanted: str) -> Call:
    """Return a function that computes a loss and the gradients of the inputs that are wanted, afresh each time."""
    x, y = x.detach().requires_grad_("x" in wanted), y.detach().requires_grad_("y" in wanted)
    leaves = [part for part in (x, y) if part.requires_grad]

    def step() -> tuple[Tensor, ...]:
        if not leaves:
            with torch.no_grad():
                return (loss(x, y),)
        value = loss(x, y)
        return (value.detach(), *torch.autograd.grad(value, leaves))

    return step


@cache
def images(shape: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return noise in [0, 1] and its noisy rebuild, float32."""
    generator = torch.Generator(device).manual_seed(0)
    x = torch.rand(shape, generator=generator, device=device)
    return x, (x + 0.1 * torch.randn(shape, generator=generator, device=device)).clamp(0, 1)


@cache
def specified(shape: tuple[int, ...], device: torch.device, wanted: str, **options: Any) -> tuple[Tensor, ...]:
    """Return the mean loss of `images` and the gradients that are wanted, by the specification in float64.

    The gradients are kept in float32, whose rounding is small beside what is allowed.
    """
    x, y = images(shape, device)
    count = max(1, _CHUNK_PIXELS // x[0].numel())
    total, parts = torch.zeros((), dtype=torch.float64, device=device), []
    for first in range(0, len(x), count):
        chunk = [part[first : first + count].double() for part in (x, y)]
        share = len(chunk[0]) / len(x)
        step = stepper(lambda x, y: ssimae.ssim_loss(x, y, data_range=1.0, backend="torch", **options), *chunk, wanted)
        value, *grads = step()
        total += share * value
        parts.append([(share * grad).float() for grad in grads])
    return total, *(torch.cat(grads) for grads in zip(*parts, strict=True))


def departures(found: Sequence[Tensor], want: Sequence[Tensor]) -> tuple[float, ...]:
    """Return how far a loss and its gradients are off, relative to the answer (L2)."""
    return tuple(
        float((got.double() - right.double()).norm() / right.double().norm())
        for got, right in zip(found, want, strict=True)
    )


def hold(found: Sequence[Tensor], want: Sequence[Tensor], limits: tuple[float, float]) -> None:
    """Raise a ValueError unless a loss and its gradients are within limits, one for the loss, one for gradients."""
    for place, off in enumerate(departures(found, want)):
        limit = limits[min(place, 1)]
        if not off <= limit:  # NaN must not pass
            what = "gradient" if place else "loss"
            raise ValueError(f"its {what} is wrong: off by {off:.1e}, allowed {limit:.0e}")


def measure(call: Call, timer: Timer, device: torch.device) -> dict[str, Any]:
    """Return the times of a call, eager and replayed, and the bytes it takes at its peak beyond what was there."""
    row: dict[str, Any] = {"peak_bytes": _peak(call, device), "eager": timer(call)._asdict(), "graph": None}
    if device.type != "cuda":
        return row | {"no_graph": "the CPU has no graphs"}
    try:
        graph, _ = captured(call)
    except RuntimeError as error:
        return row | {"no_graph": first_line(error)}
    row["graph"] = timer(graph.replay)._asdict()
    return row


def best_us(row: dict[str, Any]) -> float:
    """Return the median of the faster way to run a call."""
    return min(row[way]["median_us"] for way in ("eager", "graph") if row[way])


def first_line(error: BaseException) -> str:
    """Return an exception in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__


def _peak(call: Call, device: torch.device) -> int | None:
    call()
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    result = call()
    torch.cuda.synchronize(device)
    del result
    return int(torch.cuda.max_memory_allocated(device) - before)
