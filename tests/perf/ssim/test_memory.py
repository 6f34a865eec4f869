"""Peak memory of one large image, in images, beside other packages."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from perf.machine import available
from perf.ssim.peak_memory import MAP, WITH_GRADIENT
from perf.ssim.rivals import RIVALS

TESTS = Path(__file__).resolve().parents[2]
SIDE = 4096
ROOM = 200 * 4 * SIDE**2
"""More than the hungriest package takes, which is 173 images."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux, which counts peaks")

# What the allocator keeps in small pieces, and pages counted late: 1.3 MB of 64.
SLACK = 0.02

CASES = [(name, MAP) for name, rival in RIVALS.items() if rival.map] + [
    (name, WITH_GRADIENT) for name, rival in RIVALS.items() if rival.differentiable
]


@cache
def measured(name, what):
    """Peak of a call, and what stays of it, in images, from a fresh interpreter in which a copy measures one image."""
    threads = str(torch.get_num_threads())
    command = [sys.executable, "-m", "perf.ssim.peak_memory", name, what, str(SIDE), threads]
    environment = {**os.environ, "RAYON_NUM_THREADS": threads}
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("copy") == pytest.approx(1, abs=SLACK)
    return found


def test_map_needs_less_than_an_image_beside_itself():
    whole = measured("ssimae itself", MAP)
    assert whole["kept"] == 1
    assert whole["peak"] - 1 < 1


@pytest.mark.exhaustive
def test_gradient_needs_less_than_an_image_beside_itself():
    step = measured("ssimae itself", WITH_GRADIENT)
    assert step["kept"] == 1
    assert step["peak"] - 1 < 1


@pytest.mark.timed
@pytest.mark.parametrize(("name", "what"), CASES)
def test_peak_memory(installed, beside_processes, name, what):
    rival = installed(RIVALS[name])
    if available() < ROOM:
        pytest.skip(f"needs {ROOM >> 20} MiB of memory, has {available() >> 20}")
    ours, theirs = measured("ssimae itself", what), measured(name, what)
    beside_processes(
        [ours], [theirs], group=f"one first call, {what}, {SIDE} x {SIDE}", name=name, pixels=(SIDE**2, SIDE**2),
        packages=[rival.distribution],
    )  # fmt: skip
    assert theirs["kept"] > 0
