"""Interleaved benchmarks: each round times ours and a rival one after the other, and the ratios of pairs are shown."""

import ctypes
import os
import platform
import resource
import statistics
import time

import pytest
import torch

from perf.machine import describe

BUDGET_S, ROUNDS = 3.0, (5, 20)
"""Time for the rounds of one benchmark, unless that makes them fewer or more than this."""

SETTLE_S, WARM_S, BLOCK_S = 0.03, 0.03, 0.05
"""Pause before what is timed, as OpenMP's threads go on spinning for a while on cores that others need; then calls to
wake the processor, which is slow after a pause; then as many timed calls on end as take this long."""

TABLE = pytest.StashKey[list]()


def pytest_collection_modifyitems(config, items):
    """Leave out what is only there to be timed where nothing is timed."""
    timed = config.getoption("benchmark_enable") or not config.getoption("benchmark_disable")
    left_out = [] if timed else [item for item in items if item.get_closest_marker("timed")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _as_many_threads_of_torch_as_of_rust(request):
    """While something is timed, give torch as many threads as `RAYON_NUM_THREADS` gives Rust, and the former after."""
    before, told = torch.get_num_threads(), os.environ.get("RAYON_NUM_THREADS")
    if told is None or not request.config.getoption("benchmark_enable"):
        yield
        return
    torch.set_num_threads(int(told))
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def kept_memory():
    """Let the C library keep what is freed, as it does or not by what ran before; returns whether it could be told.

    Fresh pages for every large temporary can cost a package more than its arithmetic, and whether it gets them
    depends on the order of the tests. Kept memory is the same for all of them, and the kinder state to all but us.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_max = -1, -4  # of malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    return mallopt(trim_threshold, -1) == 1 and mallopt(mmap_max, 0) == 1


@pytest.fixture
def installed(benchmark):
    """Return a function that hands back a rival, or skips the test where its package is not installed."""

    def find(rival):
        package = pytest.importorskip(rival.package, reason=f"needs {rival.distribution}, of the extra `bench`")
        if rival.package == "frame_analytics":
            # Compiling takes half a minute, which untimed answers are not worth.
            package.set_compile_enabled(not benchmark.disabled)
        return rival

    return find


@pytest.fixture
def beside(benchmark, request):
    """Return a function that times a rival as the benchmark and ours in the same rounds, and returns both answers.

    pytest-benchmark finishes one function before it starts the next. Ours is therefore called in the set-up of a
    rival's even rounds and in the tear-down of its odd ones: both see the same moments of the machine, and neither
    always comes first.
    """

    def run(ours, theirs, *, group, name, pixels, target=None, packages=(), labels=("ours", "theirs"), **info):
        ours_s, before, spent = [], [], []
        kept = not benchmark.disabled and request.getfixturevalue("kept_memory")
        answers = ours(), theirs()  # warms up, compiles
        calls = (1, 1) if benchmark.disabled else (calls_of(ours), calls_of(theirs))

        def time_ours():
            wake(ours)
            start = time.perf_counter()
            repeat(ours, calls[0])
            ours_s.append((time.perf_counter() - start) / calls[0])

        def set_up():
            before.append(len(before) % 2 == 0)
            if before[-1]:
                time_ours()
            wake(theirs)
            spent.append(resource.getrusage(resource.RUSAGE_SELF))

        def tear_down():
            spent[-1] = difference(resource.getrusage(resource.RUSAGE_SELF), spent[-1])
            if not before[-1]:
                time_ours()

        start = time.perf_counter()
        if not benchmark.disabled:
            time_ours(), wake(theirs), repeat(theirs, calls[1])
        rounds = int(BUDGET_S / (time.perf_counter() - start + 1e-9))
        rounds = min(max(rounds, ROUNDS[0]), ROUNDS[1])
        ours_s.clear()
        benchmark.group = group
        benchmark.extra_info.update(describe(packages), pixels=pixels, target=target, kept_memory=kept, **info)
        benchmark.extra_info["calls"] = calls
        benchmark.pedantic(lambda: repeat(theirs, calls[1]), setup=set_up, teardown=tear_down, rounds=rounds)
        if not benchmark.disabled:
            theirs_s = [seconds / calls[1] for seconds in benchmark.stats.stats.data]
            row = compare(ours_s, theirs_s, pixels) | {"spent": spent}
            benchmark.extra_info.update(row)
            row |= {"group": group, "name": name, "target": target, "labels": labels}
            row["load"] = benchmark.extra_info["load"]
            request.config.stash.setdefault(TABLE, []).append(row)
        return answers

    return run


@pytest.fixture
def beside_memory(benchmark, request):
    """Return a function that puts two peaks, measured before, into the table and the benchmark's record."""

    def record(ours, theirs, *, group, name, packages):
        row = {
            "images": (ours["peak"], theirs["peak"]),
            "images_beyond_output": (ours["peak"] - ours["kept"], theirs["peak"] - theirs["kept"]),
            "ratio": theirs["peak"] / ours["peak"],
        }
        benchmark.group = f"{group}: see extra_info, the time means nothing"
        benchmark.extra_info.update(describe(packages), **row)
        benchmark.pedantic(lambda: None)  # without which pytest-benchmark writes no record
        row |= {"group": group, "name": name, "target": None, "labels": ("ours", "theirs")}
        request.config.stash.setdefault(TABLE, []).append(row)

    return record


@pytest.fixture
def beside_processes(benchmark, request):
    """Return a function that puts times and peaks, measured in processes, into the table and the benchmark's record."""

    def record(ours, theirs, *, group, name, pixels, targets=(None, None), labels=("ours", "theirs"), **info):
        seconds = [[round_["seconds"] for round_ in rounds] for rounds in (ours, theirs)]
        peaks = [statistics.median(round_["peak"] for round_ in rounds) for rounds in (ours, theirs)]
        time_row = compare(*seconds, (pixels, pixels))
        memory_row = {"bytes": tuple(peak / pixels for peak in peaks), "ratio": peaks[1] / peaks[0]}
        benchmark.group = f"{group}: see extra_info, the time means nothing"
        benchmark.extra_info.update(
            describe(), pixels=pixels, ours=ours, theirs=theirs, memory=memory_row, **time_row, **info
        )
        benchmark.pedantic(lambda: None)  # without which pytest-benchmark writes no record
        for row, target, what in ((time_row, targets[0], "time"), (memory_row, targets[1], "peak memory")):
            own = row | {"group": f"{what} of {group}", "name": name, "target": target, "labels": labels}
            request.config.stash.setdefault(TABLE, []).append(own)

    return record


def repeat(call, times):
    for _ in range(times):
        call()


def wake(call):
    """Wait for what others left running, then call until the processor is awake and the caches hold what they can."""
    time.sleep(SETTLE_S)
    end = time.perf_counter() + WARM_S
    call()
    while time.perf_counter() < end:
        call()


def calls_of(call):
    """Return how many calls on end are timed as one."""
    wake(call)
    start = time.perf_counter()
    call()
    return max(1, round(BLOCK_S / (time.perf_counter() - start + 1e-9)))


def difference(after, before):
    """Return what a call took from the system besides time; many switches mean that others took the processor."""
    names = {"user_s": "ru_utime", "system_s": "ru_stime", "page_faults": "ru_minflt", "switched_out": "ru_nivcsw"}
    return {name: getattr(after, field) - getattr(before, field) for name, field in names.items()}


def compare(ours_s, theirs_s, pixels):
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


def pytest_terminal_summary(terminalreporter, config):
    """Print a table for each group, in ns or bytes a pixel or in images; the ratio is of the second to the first."""
    rows = config.stash.get(TABLE, [])
    for group in dict.fromkeys(row["group"] for row in rows):
        members = [row for row in rows if row["group"] == group]
        terminalreporter.section(group, sep="-")
        first, second = members[0]["labels"]
        spread = "beyond the output" if "images" in members[0] else "" if "bytes" in members[0] else "quartiles"
        terminalreporter.line(f"{'':26}{first:>10}{second:>10}{'ratio':>9}  {spread:19}target")
        for row in members:
            terminalreporter.line(line(row))
    if rows:
        about = describe()
        versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        terminalreporter.line(f"\n{about['processor']}, {about['threads']} threads; {versions}")
        load = max(row.get("load", 0.0) for row in rows)
        if load > about["threads"] + 0.5:
            terminalreporter.line(
                f"DISTURBED: load {load:.1f} for {about['threads']} threads. Packages on OpenMP suffer more than ours, "
                "also in pairs: these ratios flatter ours, and meet no target."
            )


def line(row):
    """Return one line of the table."""
    if "bytes" in row:
        unit, numbers, spread = "B", row["bytes"], ""
    elif "images" in row:
        unit, numbers, spread = "img", row["images"], "{:.2f}, {:.2f}".format(*row["images_beyond_output"])
    else:
        unit, numbers = "ns", (row["ours_ns_per_pixel"], row["theirs_ns_per_pixel"])
        spread = "{:.2f}-{:.2f}".format(*row["ratio_quartiles"])
    shown = "".join(f"{number:>6.2f} {unit:3}" for number in numbers)
    return f"{row['name']:26}{shown}{row['ratio']:9.2f}  {spread:19}{row['target'] or ''}".rstrip()
