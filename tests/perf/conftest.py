"""Fixtures that time two functions in the same moments, and what they print and store.

`--benchmark-json=FILE` stores all that was measured, answers' sizes and versions included; the printed table is made
from it. A row of pytest-benchmark is the rival of a pair, by the call; ours stands in its `extra_info`.
"""

import os
import statistics

import pytest
import torch

from perf import table
from perf.machine import describe
from perf.rounds import compare, keep_memory, take_turns

ROWS = pytest.StashKey[list]()
FOUND, SKIPPED = pytest.StashKey[list](), pytest.StashKey[dict]()
"""Ids of all benchmarks, and why some were skipped."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Leave out what is only there to be timed where nothing is timed."""
    config.stash[FOUND] = [item.nodeid for item in items if "benchmark" in getattr(item, "fixturenames", ())]
    timed = config.getoption("benchmark_enable") or not config.getoption("benchmark_disable")
    left_out = [] if timed else [item for item in items if item.get_closest_marker("timed")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Note why a benchmark was skipped."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        item.config.stash.setdefault(SKIPPED, {})[item.nodeid] = reason
    return report


def pytest_benchmark_update_json(config, output_json):
    """Store with the rows how pytest was called, and which benchmarks have no row for which reason.

    A run that is stopped by Ctrl-C stores what it has; the row that it was at is none.
    """
    output_json["benchmarks"][:] = [row for row in output_json["benchmarks"] if "ratio" in row["extra_info"]]
    rows = {row["fullname"] for row in output_json["benchmarks"]}
    skipped = config.stash.get(SKIPPED, {})
    missing = [name for name in config.stash[FOUND] if name not in rows]
    output_json["arguments"] = list(config.invocation_params.args)
    output_json["without_numbers"] = {name: skipped.get(name, "not chosen, or not reached") for name in missing}


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
    """Let the C library keep what is freed; returns whether it could be told."""
    return keep_memory()


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
    """Return a function that times a rival as the benchmark and ours in the same rounds, and returns both answers."""

    def run(ours, theirs, *, group, name, pixels, target=None, packages=(), labels=("ours", "theirs"), **info):
        if benchmark.disabled:
            return ours(), benchmark.pedantic(theirs)
        answers = ours(), theirs()  # warms up, compiles
        benchmark.group = group
        about = describe(packages) | {"kept_memory": request.getfixturevalue("kept_memory")}
        ours_s, spent, calls = take_turns(benchmark, ours, theirs)
        row = {"name": name, "pixels": pixels, "labels": labels, "target": target}
        row |= compare(ours_s, benchmark.stats.stats.data, pixels) | {"calls": calls, "spent": spent}
        benchmark.extra_info.update(about, **row, **info)
        request.config.stash.setdefault(ROWS, []).append(row | {"group": group, "load": about["load"]})
        return answers

    return run


@pytest.fixture
def beside_processes(benchmark, request):
    """Return a function that puts times and peaks, measured in processes, into the table and the benchmark's record.

    Each side is a list of what its processes measured: `seconds`, `peak` and perhaps `kept`. Peaks are in bytes for
    all pixels or, where what is kept is known, in images.
    """

    def record(
        ours, theirs, *, group, name, pixels, targets=(None, None), packages=(), labels=("ours", "theirs"), **info
    ):  # fmt: skip
        seconds = [[run["seconds"] for run in runs] for runs in (ours, theirs)]
        peaks = [statistics.median(run["peak"] for run in runs) for runs in (ours, theirs)]
        common = {"name": name, "pixels": pixels, "labels": labels}
        time_row = common | {"target": targets[0]} | compare(*seconds, pixels)
        memory_row = common | {"target": targets[1]} | _memory(ours, theirs, peaks, pixels)
        about = describe(packages)
        benchmark.group = f"time of {group}"
        benchmark.pedantic(lambda: None, rounds=len(theirs))
        # pytest-benchmark shows and stores what the processes measured in place of a call that did nothing.
        benchmark.stats.stats.data[:] = seconds[1]
        benchmark.extra_info.update(about, **time_row, calls=(1, 1), memory=memory_row)
        benchmark.extra_info.update(ours=ours, theirs=theirs, **info)
        for row, what in ((time_row, "time"), (memory_row, "peak memory")):
            own = row | {"group": f"{what} of {group}", "load": about["load"]}
            request.config.stash.setdefault(ROWS, []).append(own)

    return record


def _memory(ours, theirs, peaks, pixels):
    """Return peaks by the pixel, or in images, and their ratio."""
    if "kept" in ours[0]:
        beyond = [peak - runs[0]["kept"] for peak, runs in zip(peaks, (ours, theirs), strict=True)]
        return {"images": peaks, "images_beyond_output": beyond, "ratio": peaks[1] / peaks[0]}
    numbers = [peak / count for peak, count in zip(peaks, pixels, strict=True)]
    return {"bytes": numbers, "ratio": numbers[1] / numbers[0]}


def pytest_terminal_summary(terminalreporter, config):
    """Print a table for each group, times before memory, and the machine."""
    rows = config.stash.get(ROWS, [])
    for group in dict.fromkeys(row["group"] for row in rows):
        terminalreporter.section(group, sep="-")
        for text in table.lines([row for row in rows if row["group"] == group]):
            terminalreporter.line(text)
    for text in table.foot(rows) if rows else ():
        terminalreporter.line(text)
