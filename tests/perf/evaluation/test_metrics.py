"""All metrics of two sets of maps beside other packages' single ones: time, peak memory and answers, in processes."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from perf.evaluation import official
from perf.evaluation.rivals import RIVALS
from perf.evaluation.sets import SETS, SMALL, make
from perf.machine import available
from sklearn.metrics import average_precision_score, roc_auc_score

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux, which counts peaks")

OWN_ENVIRONMENT = {"anomalib": "python", "ADEval": "python"}
"""Packages that need an older numpy: `make bench` builds an environment for them."""
TESTS = Path(__file__).resolve().parents[2]
ENVIRONMENT = TESTS.parent / ".venv-evaluation" / "bin" / "python"

ROUNDS = {"50 x 512 x 512": 5, "117 x 1024 x 1024": 1}
LARGE = "117 x 1024 x 1024"
SLOW = ("scikit-learn", "torchmetrics")
"""Rivals that the large set is spared."""
BYTES_A_PIXEL = 90
"""More than the hungriest package takes."""

TARGETS = {"official": ">= 5", "ADEval": ">= 1"}
MEMORY_TARGETS = {"official": ">= 4"}

EXACT_ATOL = 1e-12
# float32 sums of many millions of pixels.
FLOAT32_ATOL = 2e-3
# A thousand bins.
BINS_ATOL = 0.01
TOLERANCES = {"torchmetrics": FLOAT32_ATOL, "anomalib": FLOAT32_ATOL, "ADEval": BINS_ATOL}


@pytest.fixture(scope="session")
def stored(tmp_path_factory):
    """Return a function that makes a set once and returns its folder."""

    @cache
    def folder(name, heavy_tailed=False):
        root = tmp_path_factory.mktemp("maps")
        maps, masks = make(*SETS.get(name, SMALL), heavy_tailed=heavy_tailed)
        np.save(root / "maps.npy", maps)
        np.save(root / "masks.npy", masks)
        return root

    return folder


@cache
def oracle(folder):
    """Return the exact answers."""
    maps, masks = np.load(folder / "maps.npy"), np.load(folder / "masks.npy")
    labels, scores = masks.ravel(), maps.ravel()
    return {
        "auroc": roc_auc_score(labels, scores),
        "average_precision": average_precision_score(labels, scores),
        "au_pro": official.au_pro(maps, masks),
    }


def run(name, folder, threads):
    """Return what a fresh process measured, or None where the package is not installed."""
    python = str(ENVIRONMENT) if name in OWN_ENVIRONMENT else sys.executable
    if not Path(python).exists():
        pytest.skip(f"needs {name} in {ENVIRONMENT.parents[1]} (`make bench` builds it)")
    names = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    command = [python, "-m", "perf.evaluation.process", name, str(folder), str(threads)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False, env=environment)
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(f"needs {name}, of the extra `bench`")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def errors(found, want):
    return {metric: abs(value - want[metric]) for metric, value in found.items()}


@pytest.mark.exhaustive
def test_answers_are_exact(stored):
    for heavy_tailed in (False, True):
        folder = stored("small", heavy_tailed)
        found = run("ssimae", folder, 1)["found"]
        assert max(errors(found, oracle(folder)).values()) < EXACT_ATOL


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "scikit-learn" else pytest.mark.exhaustive) for name in RIVALS]
)
def test_answers_of_rivals_are_those_of_the_oracle(stored, name):
    folder = stored("small")
    measured = run(name, folder, 1)
    assert max(errors(measured["found"], oracle(folder)).values()) < TOLERANCES.get(name, EXACT_ATOL)
    assert measured["peak"] > 0


def test_bins_miss_heavy_tails(stored):
    folder = stored("small", heavy_tailed=True)
    found = run("ADEval", folder, 1)["found"]
    assert max(errors(found, oracle(folder)).values()) > BINS_ATOL


@pytest.mark.timed
@pytest.mark.parametrize("threads", [2, 1])
@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("which", SETS)
def test_evaluation(stored, beside_processes, which, name, threads):
    if which == LARGE and name in SLOW:
        pytest.skip("hungrier than the large set is worth")
    pixels = SETS[which][0] * SETS[which][1] ** 2
    if available() < BYTES_A_PIXEL * pixels:
        pytest.skip(f"needs {BYTES_A_PIXEL * pixels >> 20} MiB of memory, has {available() >> 20}")
    folder = stored(which)
    ours, theirs = [], []
    for _ in range(ROUNDS[which]):
        ours.append(run("ssimae", folder, threads))
        theirs.append(run(name, folder, threads))
    want = oracle(folder)
    assert max(errors(ours[0]["found"], want).values()) < EXACT_ATOL
    wrong = errors(theirs[0]["found"], want)
    assert max(wrong.values()) < TOLERANCES.get(name, EXACT_ATOL)
    beside_processes(
        ours, theirs, group=f"all metrics, {which}, {threads} threads", name=name, pixels=(pixels, pixels),
        targets=(TARGETS.get(name), MEMORY_TARGETS.get(name)), errors=wrong, computes=list(theirs[0]["found"]),
    )  # fmt: skip
