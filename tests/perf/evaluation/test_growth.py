"""Time and memory a pixel of evaluating, from one megapixel to five hundred and from a region to a million."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from perf.machine import available, describe

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux, which counts peaks")

TESTS = Path(__file__).resolve().parents[2]

MEGAPIXELS = (1, 8, 64, 500)
REGIONS = (1, 100, 10_000, 1_000_000)
REGIONS_MEGAPIXELS = 64
LIMIT_MB = 100

HELD_BYTES = 8
"""Most bytes a pixel, of float32 scores, sorting and all; beyond them come a hundred for each region."""
FIXED_BYTES, REGION_BYTES = 80_000_000, 400
"""What sorting needs on two threads, and one map; and what is held and returned of a region."""


@cache
def measured(megapixels, regions=20, limit="all"):
    """What a fresh process measured."""
    command = [sys.executable, "-m", "perf.evaluation.growth_process"]
    command += [str(megapixels), str(-(-regions // megapixels)), str(limit)]
    threads = str(describe()["threads"])
    environment = {**os.environ, "RAYON_NUM_THREADS": threads}
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.exhaustive
def test_memory_is_that_of_the_scores_or_of_the_limit():
    held, limited = measured(24), measured(24, limit=10)
    assert held["pixels"] == limited["pixels"] == 24 << 20
    assert held["found"] == limited["found"]
    assert held["peak"] < HELD_BYTES * held["pixels"]
    assert limited["peak"] < 10_000_000 + FIXED_BYTES


@pytest.mark.timed
@pytest.mark.parametrize("limit", ["all", LIMIT_MB])
@pytest.mark.parametrize("megapixels", MEGAPIXELS)
def test_growth_with_pixels(beside_processes, megapixels, limit):
    if available() < 2 * HELD_BYTES * megapixels << 20:
        pytest.skip(f"needs {2 * HELD_BYTES * megapixels} MiB of memory, has {available() >> 20}")
    first, this = measured(MEGAPIXELS[1], limit=limit), measured(megapixels, limit=limit)
    assert this["pixels"] == megapixels << 20
    assert this["found"] == measured(megapixels)["found"]
    assert this["peak"] < (HELD_BYTES * this["pixels"] if limit == "all" else LIMIT_MB * 1_000_000) + FIXED_BYTES
    beside(beside_processes, first, this, name=f"{megapixels} Mpx", what=f"pixels, {limit} MB held")


@pytest.mark.timed
@pytest.mark.parametrize("regions", REGIONS)
def test_growth_with_regions(beside_processes, regions):
    first, this = (measured(REGIONS_MEGAPIXELS, number) for number in (REGIONS[0], regions))
    assert this["regions"] >= regions
    assert this["peak"] < HELD_BYTES * this["pixels"] + REGION_BYTES * this["regions"] + FIXED_BYTES
    beside(beside_processes, first, this, name=f"{regions} regions", what=f"regions of {REGIONS_MEGAPIXELS} Mpx")


def beside(beside_processes, first, this, *, name, what):
    """Put one member of a series beside another."""
    pixels = first["pixels"], this["pixels"]
    beside_processes(
        [first], [this], group=f"evaluating, growth with {what}", name=name, pixels=pixels, labels=("first", "this")
    )
