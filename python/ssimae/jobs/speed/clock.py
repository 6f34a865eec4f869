"""Time models on images in a process of its own, whose number of threads holds for torch and Rust alike.

Run as a program it reads a job from standard input, and writes the milliseconds to standard output, both as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import torch

from ssimae.errors import in_short
from ssimae.export.running import OtherEngine, inspector_by
from ssimae.images.read import read_stored
from ssimae.inspection.inspector import Inspector
from ssimae.inspection.verdict import judge
from ssimae.jobs.speed.measured import TORCH
from ssimae.models.autoencoder import Autoencoder
from ssimae.reading import from_json
from ssimae.storage.model_file import SavedModel, load_model

ROUNDS = 7
"""Times that each image is inspected at least."""

_WARM_UP = 1


def engines_at_hand(saved: SavedModel) -> list[str]:
    """Return what can run a model here: torch, and for a network that can be exported what else is installed."""
    others = ["onnxruntime", "openvino"] if isinstance(saved.model, Autoencoder) and find_spec("onnx") else []
    return [TORCH, *(name for name in others if find_spec(name))]


@dataclass(frozen=True)
class Times:
    """What one engine takes for the images with one model."""

    engine: str
    model: int
    ms: tuple[float, ...]
    """From a file to its verdict, of all rounds."""
    verdicts: tuple[str, ...]
    """On each image."""


def time_models(models: Sequence[Path], images: Sequence[Path], engines: Sequence[str], *, threads: int) -> list[Times]:
    """Return how long each engine takes with each model; `model` is its number in the sequence.

    Models and engines take turns, so that all see the same moments of the machine.

    Raises
    ------
    OSError
        If the process fails.
    """
    counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
    job = {
        "models": [str(path) for path in models],
        "images": [str(path) for path in images],
        "engines": list(engines),
        "threads": threads,
    }
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(job),
        env={**os.environ, **counts},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OSError(f"the process that times the models failed: {in_short(ValueError(done.stderr[-400:]))}")
    return from_json(done.stdout.splitlines()[-1], list[Times])


def _inspector(saved: SavedModel, engine: str, threads: int) -> Inspector:
    if engine == TORCH:
        return saved.on(torch.device("cpu"))
    return inspector_by(cast("OtherEngine", engine), saved, threads=threads)


def _times(models: Sequence[str], images: Sequence[str], engines: Sequence[str], threads: int) -> list[Times]:
    saved = [load_model(Path(path)) for path in models]
    contenders = [(engine, number) for engine in engines for number in range(len(saved))]
    inspectors = {one: _inspector(saved[one[1]], one[0], threads) for one in contenders}
    times: dict[tuple[str, int], list[float]] = {one: [] for one in contenders}
    verdicts: dict[tuple[str, int], dict[str, str]] = {one: {} for one in contenders}
    for number in range(_WARM_UP + ROUNDS):
        for image in images:
            for one, inspector in inspectors.items():
                thresholds, settings = saved[one[1]].thresholds, inspector.settings
                assert thresholds is not None
                start = time.perf_counter()
                pixels = read_stored(Path(image), channels=settings.channels, data_range=settings.data_range)
                verdicts[one][image] = judge(inspector.inspect(pixels), thresholds).verdict
                if number >= _WARM_UP:
                    times[one].append(1e3 * (time.perf_counter() - start))
    return [Times(*one, tuple(times[one]), tuple(verdicts[one].values())) for one in contenders]


def _main() -> None:
    job = json.load(sys.stdin)
    torch.set_num_threads(job["threads"])
    sys.stdout.write(json.dumps([asdict(each) for each in _times(**job)]) + "\n")


if __name__ == "__main__":
    _main()
