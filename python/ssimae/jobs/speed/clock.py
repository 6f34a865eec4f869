"""Time models on images in a process of its own, whose number of threads holds for torch and Rust alike.

Run as a program it reads a job from standard input, and writes to standard output, a line of JSON each: how many rounds
are done, and last the milliseconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch

from ssimae.engines.engine import Engine
from ssimae.errors import in_short, needs_package
from ssimae.export.running import inspector_by
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

STEPS = 1 + _WARM_UP + ROUNDS
"""What is told as done one after the other: that all engines run, and each round."""

TimedEngine = Literal["torch", "compile", "onnxruntime", "openvino"]
"""What may be timed; the others beside torch, whose verdicts theirs are compared with."""

_OTHERS: tuple[TimedEngine, ...] = ("compile", "onnxruntime", "openvino")

_NEEDED: dict[TimedEngine, tuple[str, ...]] = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino")}
"""Packages that an engine needs which are extras."""


def timed_engines(saved: SavedModel, wanted: Sequence[TimedEngine]) -> list[TimedEngine]:
    """Return what is timed with a model: torch first, and of the others those that are wanted, or all at hand.

    Raises
    ------
    ValueError
        If one that is wanted is not installed, or does not run the model.
    """
    missing = {name: [package for package in packages if not find_spec(package)] for name, packages in _NEEDED.items()}
    for name in wanted:
        if missing.get(name):
            raise needs_package(missing[name][0])
        if name != TORCH and not isinstance(saved.model, Autoencoder):
            raise ValueError(f"a {saved.settings.row.title} is run by torch alone, not by {name}")
    if not wanted:
        at_hand = [name for name in _OTHERS if not missing.get(name)]
        return [TORCH, *(at_hand if isinstance(saved.model, Autoencoder) else [])]
    return [TORCH, *(name for name in _OTHERS if name in wanted)]


@dataclass(frozen=True)
class Times:
    """What one engine takes for the images with one model."""

    engine: TimedEngine
    model: int
    start_s: float
    """Seconds until the engine has seen each image once, beyond those that it takes from then on."""
    ms: tuple[float, ...]
    """From a file to its verdict, of all rounds."""
    verdicts: tuple[str, ...]
    """On each image."""


@dataclass(frozen=True)
class Timed:
    """What all engines take."""

    times: tuple[Times, ...]
    absent: dict[str, str]
    """Engines that do not run here, and why."""


def time_models(
    models: Sequence[Path],
    images: Sequence[Path],
    engines: Sequence[TimedEngine],
    *,
    threads: int,
    on_step: Callable[[int], None] = lambda done: None,
) -> Timed:
    """Return how long each engine takes with each model; `model` is its number in the sequence.

    Models and engines take turns, so that all see the same moments of the machine.

    Parameters
    ----------
    models : sequence of Path
        Models of one network, which differ in the stride and what follows from it.
    images : sequence of Path
    engines : sequence of str
    threads : int
    on_step : callable, optional
        Called with the number of steps done, of :data:`STEPS`.

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
    last = ""
    # A file takes what compilers and libraries say meanwhile, however much: nobody empties a pipe of it.
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **counts},
            text=True,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(json.dumps(job))
                process.stdin.close()
                for last in process.stdout:
                    if last.strip().isdigit():
                        on_step(int(last))
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            errors.seek(0)
            said = errors.read()[-400:]
            raise OSError(f"the process that times the models failed: {in_short(ValueError(said))}")
    return from_json(last, Timed)


def _engine(saved: SavedModel, name: TimedEngine, threads: int) -> Engine:
    if name == TORCH:
        return saved.on(torch.device("cpu")).engine
    return inspector_by(name, saved, threads=threads).engine


def _seconds(image: Path, inspector: Inspector, saved: SavedModel) -> tuple[float, str]:
    """Return how long an image takes from its file to its verdict, and this."""
    assert saved.thresholds is not None
    start = time.perf_counter()
    pixels = read_stored(image, channels=saved.settings.channels, data_range=saved.settings.data_range)
    verdict = judge(inspector.inspect(pixels), saved.thresholds).verdict
    return time.perf_counter() - start, verdict


def _times(
    models: Sequence[Path],
    images: Sequence[Path],
    engines: Sequence[TimedEngine],
    threads: int,
    on_step: Callable[[int], None],
) -> Timed:
    saved = [load_model(path) for path in models]
    inspectors: dict[tuple[TimedEngine, int], Inspector] = {}
    absent: dict[str, str] = {}
    starts: dict[TimedEngine, float] = {}
    for name in engines:
        start = time.perf_counter()
        try:
            engine = _engine(saved[0], name, threads)
        except ValueError as error:
            if name == TORCH:
                raise
            absent[name] = str(error)
            continue
        for number, each in enumerate(saved):
            inspectors[name, number] = Inspector(engine=engine, settings=each.settings, reference=each.reference)
        last = len(saved) - 1  # of the largest stride, the quickest
        for image in images:
            _seconds(image, inspectors[name, last], saved[last])
        spent = time.perf_counter() - start
        again = sum(_seconds(image, inspectors[name, last], saved[last])[0] for image in images)
        starts[name] = max(spent - again, 0)
    on_step(1)
    times: dict[tuple[TimedEngine, int], list[float]] = {one: [] for one in inspectors}
    verdicts: dict[tuple[TimedEngine, int], dict[Path, str]] = {one: {} for one in inspectors}
    for number in range(_WARM_UP + ROUNDS):
        for image in images:
            for one, inspector in inspectors.items():
                seconds, verdicts[one][image] = _seconds(image, inspector, saved[one[1]])
                if number >= _WARM_UP:
                    times[one].append(1e3 * seconds)
        on_step(2 + number)
    found = [Times(*one, starts[one[0]], tuple(times[one]), tuple(verdicts[one].values())) for one in inspectors]
    return Timed(tuple(found), absent)


def _main() -> None:
    job = json.load(sys.stdin)
    torch.set_num_threads(job["threads"])
    timed = _times(
        [Path(path) for path in job["models"]],
        [Path(path) for path in job["images"]],
        job["engines"],
        job["threads"],
        lambda done: _tell(str(done)),
    )
    _tell(json.dumps(asdict(timed)))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main()
