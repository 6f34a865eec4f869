"""Rounds in which two functions take turns, and how many calls on end make one round."""

from __future__ import annotations

import ctypes
import platform
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

BUDGET_S, ROUNDS = 3.0, (5, 20)
"""Time for the rounds of one benchmark, unless that makes them fewer or more than this."""

SETTLE_S, WARM_S, BLOCK_S = 0.03, 0.03, 0.05
"""Pause before what is timed, as OpenMP's threads go on spinning for a while on cores that others need; then calls to
wake the processor, which is slow after a pause; then as many timed calls on end as take this long."""

Call = Callable[[], Any]


def take_turns(benchmark: Any, ours: Call, theirs: Call) -> tuple[list[float], list[dict[str, float]], tuple[int, int]]:
    """Time theirs as the benchmark and ours in the same rounds.

    pytest-benchmark finishes one function before it starts the next. Ours is therefore called between its rounds:
    before a rival's even ones and after its odd ones. Both see the same moments of the machine, and neither always
    comes first. The calls of one round are its iterations, so that what it shows and stores is the time of one call.

    Returns
    -------
    tuple
        Seconds of one call of ours in each round, what each of their rounds took besides time, and how many calls of
        ours and of theirs make a round.
    """
    calls = calls_of(ours), calls_of(theirs)
    ours_s: list[float] = []
    spent: list[dict[str, float]] = []
    started: list[resource.struct_rusage] = []

    def time_ours() -> None:
        wake(ours)
        start = time.perf_counter()
        repeat(ours, calls[0])
        ours_s.append((time.perf_counter() - start) / calls[0])

    def before_a_round() -> None:
        if len(spent) % 2 == 0:
            time_ours()
        wake(theirs)
        started.append(resource.getrusage(resource.RUSAGE_SELF))

    def after_a_round() -> None:
        if len(spent) == rounds:
            return  # the call for the answer, which pytest-benchmark makes where a round has more than one
        spent.append(difference(resource.getrusage(resource.RUSAGE_SELF), started.pop()))
        if len(spent) % 2 == 0:
            time_ours()
        if len(spent) < rounds:
            before_a_round()

    start = time.perf_counter()
    time_ours(), wake(theirs), repeat(theirs, calls[1])
    rounds = min(max(int(BUDGET_S / (time.perf_counter() - start)), ROUNDS[0]), ROUNDS[1])
    ours_s.clear()
    before_a_round()
    benchmark.pedantic(theirs, teardown=after_a_round, rounds=rounds, iterations=calls[1])
    return ours_s, spent, calls


def repeat(call: Call, times: int) -> None:
    for _ in range(times):
        call()


def wake(call: Call) -> None:
    """Wait for what others left running, then call until the processor is awake and the caches hold what they can."""
    time.sleep(SETTLE_S)
    end = time.perf_counter() + WARM_S
    call()
    while time.perf_counter() < end:
        call()


def calls_of(call: Call) -> int:
    """Return how many calls on end are timed as one round, by the fastest: others may take the processor from some."""
    wake(call)
    seconds: list[float] = []
    while len(seconds) < 2 or sum(seconds) < BLOCK_S:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return max(1, round(BLOCK_S / (min(seconds) + 1e-9)))


def difference(after: resource.struct_rusage, before: resource.struct_rusage) -> dict[str, float]:
    """Return what a call took from the system besides time; many switches mean that others took the processor."""
    names = {"user_s": "ru_utime", "system_s": "ru_stime", "page_faults": "ru_minflt", "switched_out": "ru_nivcsw"}
    return {name: getattr(after, field) - getattr(before, field) for name, field in names.items()}


def compare(ours_s: list[float], theirs_s: list[float], pixels: tuple[int, int]) -> dict[str, Any]:
    """Return medians in ns a pixel, and median and quartiles of the ratios of pairs."""
    ours = [1e9 * part / pixels[0] for part in ours_s]
    theirs = [1e9 * part / pixels[1] for part in theirs_s]
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    low, middle, high = ratios * 3 if len(ratios) == 1 else statistics.quantiles(ratios, n=4, method="inclusive")
    return {
        "ours_ns_per_pixel": statistics.median(ours),
        "theirs_ns_per_pixel": statistics.median(theirs),
        "ratio": middle,
        "ratio_quartiles": [low, high],
        "ratios": ratios,
        "ours_s": ours_s,
    }


def keep_memory() -> bool:
    """Let the C library keep what is freed, as it does or not by what ran before; returns whether it could be told.

    Fresh pages for every large temporary can cost a package more than its arithmetic, and whether it gets them
    depends on the order of the tests. Kept memory is the same for all of them, and the kinder state to all but us.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_max = -1, -4  # of malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(trim_threshold, -1) == 1 and mallopt(mmap_max, 0) == 1)
