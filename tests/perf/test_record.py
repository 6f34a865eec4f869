"""What the benchmarks print, store and turn into a page tells one truth, by the call."""

import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

BENCHMARKS = """
import time

import perf.rounds

perf.rounds.BUDGET_S = 0.0  # the fewest rounds

def test_calls(beside):
    own_s = []

    def theirs():
        start = time.perf_counter()
        sum(range(4000))
        own_s.append(time.perf_counter() - start)

    beside(lambda: sum(range(2000)), theirs, group="sums", name="calls", pixels=(10, 20), own_s=own_s)

def test_processes(beside_processes):
    runs = [[{"seconds": second, "peak": peak} for second in seconds] for seconds, peak in
            (((1.0, 2.0, 3.0), 100), ((30.0, 10.0, 20.0), 800))]
    beside_processes(*runs, group="runs", name="processes", pixels=(10, 20))

def test_not_run(benchmark):
    raise AssertionError

def test_skipped(benchmark):
    import pytest
    pytest.skip("needs a rival")
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """What a run of tiny benchmarks printed, and the record that it stored."""
    folder = tmp_path_factory.mktemp("benchmarks")
    (folder / "test_tiny.py").write_text(BENCHMARKS)
    options = ["--benchmark-enable", "--benchmark-json=record.json", "-p", "perf.conftest", "-k", "not test_not_run"]
    # Benchmarks are off in a worker of xdist, which this process may be.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir=.", *options, "test_tiny.py"],
        cwd=folder, capture_output=True, text=True, check=False,
        env=alone | {"PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((folder / "record.json").read_text())


def rows_of(record):
    return {row["name"]: row for row in record["benchmarks"]}


def test_a_row_shows_the_time_of_one_call(finished):
    row = rows_of(finished[1])["test_calls"]
    stats, own_s = row["stats"], row["extra_info"]["own_s"]
    assert stats["iterations"] > 50
    # Others may take the processor from many calls, but not for as long as a round of them takes.
    assert min(own_s) <= stats["median"] < statistics.median(own_s) * stats["iterations"] / 5


def test_a_row_of_processes_shows_the_times_that_they_measured(finished):
    stats = rows_of(finished[1])["test_processes"]["stats"]
    assert stats["data"] == [30.0, 10.0, 20.0]
    assert stats["median"] == stats["mean"] == 20.0
    assert stats["rounds"] == 3


@pytest.mark.parametrize("name", ["test_calls", "test_processes"])
def test_times_of_rows_and_their_ratios_agree(finished, name):
    row = rows_of(finished[1])[name]
    info, theirs_s = row["extra_info"], row["stats"]["data"]
    per_pixel = [
        (their / info["pixels"][1]) / (our / info["pixels"][0])
        for our, their in zip(info["ours_s"], theirs_s, strict=True)
    ]
    assert info["ratios"] == pytest.approx(per_pixel)
    assert info["theirs_ns_per_pixel"] == pytest.approx(1e9 * row["stats"]["median"] / info["pixels"][1])
    assert row["stats"]["iterations"] == info["calls"][1]


@pytest.mark.parametrize("name", ["calls", "processes"])
def test_the_printed_table_agrees_with_the_record(finished, name):
    printed, record = finished
    info = rows_of(record)[f"test_{name}"]["extra_info"]
    first, second, ratio = re.search(rf"^{name} +([\d.]+) ns +([\d.]+) ns +([\d.]+) ", printed, re.MULTILINE).groups()
    assert float(first) == pytest.approx(info["ours_ns_per_pixel"], abs=0.006)
    assert float(second) == pytest.approx(info["theirs_ns_per_pixel"], abs=0.006)
    assert float(ratio) == pytest.approx(info["ratio"], abs=0.006)


def test_memory_stands_beside_the_time(finished):
    memory = rows_of(finished[1])["test_processes"]["extra_info"]["memory"]
    assert memory["bytes"] == [10, 40]
    assert memory["ratio"] == 4


def test_the_page_says_what_the_record_says(finished):
    path = TESTS.parent / "docs" / "generate" / "benchmarks.py"
    spec = importlib.util.spec_from_file_location("benchmarks", path)
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    _, record = finished
    page = generate.page(generate.distilled(record))
    info = rows_of(record)["test_calls"]["extra_info"]
    row = next(line for line in page.splitlines() if line.startswith("| calls |"))
    assert f" {info['ratio']:.2f} " in row
    assert f" {generate.duration(rows_of(record)['test_calls']['stats']['median'])} " in row
    assert "2 of 4 benchmarks were timed" in page
    assert re.search(r"Not chosen, or not reached:\n\n- `test_tiny.py::test_not_run`: 1\n", page)
    assert re.search(r"Needs a rival:\n\n- `test_tiny.py::test_skipped`: 1\n", page)
