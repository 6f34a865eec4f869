"""Time the systems on this machine, beside the paper's numbers and a plain script."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.config.presets import preset
from ssimae.config.settings import Settings, as_system
from ssimae.config.systems import ROWS
from ssimae.engines.pytorch import torch_engine
from ssimae.hardware import describe, resolve_precision, steady
from ssimae.inspection.residual import inspect_image
from ssimae.losses.network import reconstruct
from ssimae.models.build import new_autoencoder, place
from ssimae.models.dictionary import FeatureDictionary
from ssimae.models.features import ResNet18Features, fixed_features
from ssimae.progress import Progress
from ssimae.reproduce.paper import FORWARD_S, IMAGE_S, NAPOLETANO_IMAGE_S
from ssimae.reproduce.runtime.plain import PlainAutoencoder, plain_inspect, plain_patches, plain_step
from ssimae.training.monitor import SilentMonitor
from ssimae.training.train import train

HEIGHT, WIDTH = 700, 1024
"""Of an image of NanoTWICE."""

MEASURES = {
    "forward": "forward pass of one patch",
    "batch": "the same in batches of 64",
    "image": f"whole image of {WIDTH} x {HEIGHT}",
    "step": "training, a patch",
}

PLAIN = "plain script"
_BATCH = 64
_STEPS = 3


@dataclass(frozen=True)
class Subject:
    """One system to be timed: callables that do a thing once and return the seconds for one patch or image."""

    name: str
    measures: dict[str, Callable[[], float]]


@dataclass(frozen=True)
class Timing:
    """Seconds of one system for one measure, one a round."""

    system: str
    measure: str
    seconds: tuple[float, ...]


@steady()
def measure_runtime(*, rounds: int, device: torch.device, progress: Progress) -> tuple[list[Timing], dict[str, str]]:
    """Return timings of all systems, taken in turn so that noise meets all alike, and why some were not taken.

    Weights are random and the image is noise: neither changes what is computed. d = 500, patches of 128 x 128, batches
    of 128 in training.
    """
    subjects, missing = _subjects(device)
    seconds: dict[tuple[str, str], list[float]] = {}
    with progress.task("timing", (rounds + 1) * len(subjects)) as task:
        for number in range(rounds + 1):
            for index, subject in enumerate(subjects):
                for measure, once in subject.measures.items():
                    found = once()
                    if number:  # the first round warms up
                        seconds.setdefault((subject.name, measure), []).append(found)
                task.update(number * len(subjects) + index + 1)
    return [Timing(system, measure, tuple(found)) for (system, measure), found in seconds.items()], missing


def _subjects(device: torch.device) -> tuple[list[Subject], dict[str, str]]:
    base = preset("paper")
    image = np.random.default_rng(0).random((HEIGHT, WIDTH), dtype=np.float32)
    best = resolve_precision("auto", device)
    subjects, missing = [], {}
    autoencoders = [name for name, row in ROWS.items() if row.method == "autoencoder"]
    # In the script's arithmetic too, where the processor has a faster one.
    for system, precision in dict.fromkeys([("ssim", "float32"), *((name, best) for name in autoencoders)]):
        settings = dataclasses.replace(as_system(base, system), precision=precision)
        try:
            subjects.append(_ours(settings, image, device))
        except ValueError as error:  # torchvision is an extra
            missing[ROWS[system].title] = str(error)
    try:
        subjects.append(_dictionary(as_system(base, "dictionary"), image, device))
    except ValueError as error:
        missing[ROWS["dictionary"].title] = str(error)
    if device.type == "cpu":  # the script knows no other
        absent = [name for name in ("pytorch-msssim", "scikit-image") if not _installed(name)]
        if absent:
            missing[PLAIN] = f"pip install {' '.join(absent)}"
        else:
            subjects.append(_plain(base, image))
    return subjects, missing


def _ours(settings: Settings, image: NDArray[np.float32], device: torch.device) -> Subject:
    model = place(new_autoencoder(settings, seed=0), device)
    model.eval()
    features = fixed_features(dataclasses.replace(settings, features="random"), None)
    patches = torch.rand(_BATCH, 1, settings.patch_size, settings.patch_size, device=device)
    precision = settings.precision
    engine = torch_engine(model, settings, device=device, precision=precision)
    return Subject(
        f"{settings.row.title}, {precision}",
        {
            "forward": lambda: _timed(lambda: reconstruct(model, patches[:1], precision), device, 10),
            "batch": lambda: _timed(lambda: reconstruct(model, patches, precision), device) / _BATCH,
            "image": lambda: _timed(lambda: inspect_image(engine, image, settings), device),
            "step": lambda: _training_step(settings, image, features, device),
        },
    )


def _dictionary(settings: Settings, image: NDArray[np.float32], device: torch.device) -> Subject:
    dictionary = FeatureDictionary(ResNet18Features.random(0), n_components=100, size=settings.dictionary_size)
    dictionary.to(device).eval()
    engine = torch_engine(dictionary, settings, device=device, precision="float32")
    patches = torch.rand(_BATCH, 1, settings.dictionary_patch, settings.dictionary_patch, device=device)
    return Subject(
        f"{settings.row.title}, float32",
        {
            "forward": lambda: _timed(lambda: dictionary.score(patches[:1]), device, 10),
            "batch": lambda: _timed(lambda: dictionary.score(patches), device) / _BATCH,
            "image": lambda: _timed(lambda: inspect_image(engine, image, settings), device),
        },
    )


class _StepClock(SilentMonitor):
    """Monitor that notes when each step ended."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def stepped(self, patches: int, loss: float) -> None:
        self.moments.append(time.perf_counter())


def _training_step(
    settings: Settings, image: NDArray[np.float32], features: torch.nn.Module | None, device: torch.device
) -> float:
    """Return the seconds a patch of the training loop itself, by its own steps."""
    short = dataclasses.replace(settings, patches=settings.batch_size * (_STEPS + 1), epochs=1)
    clock = _StepClock()
    train([image], short, features=features, device=device, monitor=clock)
    moments = clock.moments
    return (moments[-1] - moments[0]) / (len(moments) - 1) / settings.batch_size


def _plain(settings: Settings, image: NDArray[np.float32]) -> Subject:
    model, device = PlainAutoencoder(settings.latent_dim), torch.device("cpu")
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    patches, rng = torch.rand(_BATCH, 1, 128, 128), np.random.default_rng(0)

    def steps() -> None:
        for _ in range(_STEPS):
            plain_step(model, optimizer, plain_patches([image], settings.batch_size, rng))

    def forward(batch: torch.Tensor) -> None:
        with torch.no_grad():
            model(batch)

    return Subject(
        PLAIN,
        {
            "forward": lambda: _timed(lambda: forward(patches[:1]), device, 10),
            "batch": lambda: _timed(lambda: forward(patches), device) / _BATCH,
            "image": lambda: _timed(lambda: plain_inspect(model, image, stride=settings.stride), device),
            "step": lambda: _timed(steps, device) / _STEPS / settings.batch_size,
        },
    )


def _timed(work: Callable[[], Any], device: torch.device, repeats: int = 1) -> float:
    """Return the seconds of one call, the mean over some."""
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / repeats


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def runtime_dict(timings: Sequence[Timing], device: torch.device) -> dict[str, Any]:
    """Return the timings and where they were taken, ready for JSON."""
    packages = ("ssimae", "torch", "numpy", "pytorch-msssim", "scikit-image")
    return {
        "device": describe(device),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in packages if _installed(name)},
        "seconds": {
            measure: {timing.system: list(timing.seconds) for timing in timings if timing.measure == measure}
            for measure in MEASURES
        },
    }


def runtime_table(timings: Sequence[Timing], missing: dict[str, str]) -> str:
    """Return the timings as text: medians with quartiles, and how many times as fast as the script, round by round."""
    lines = []
    for measure, title in MEASURES.items():
        chosen = [timing for timing in timings if timing.measure == measure]
        script = next((timing for timing in chosen if timing.system == PLAIN), None)
        lines += [f"{title} (ms)", f"  {'':<22} {'median':>9} {'quartiles':>17}   times as fast as the script"]
        for timing in chosen:
            low, _, high = _quartiles([1e3 * second for second in timing.seconds])
            ratio = ""
            if script is not None and timing is not script:
                pairs = [slow / fast for slow, fast in zip(script.seconds, timing.seconds, strict=True)]
                first, _, last = _quartiles(pairs)
                ratio = f"{median(pairs):.2f} ({first:.2f} to {last:.2f})"
            middle = 1e3 * median(timing.seconds)
            lines.append(f"  {timing.system:<22} {middle:>9.3f} {f'{low:.3f} to {high:.3f}':>17}   {ratio}".rstrip())
        if measure == "forward":
            lines.append(f"  {'paper, Tesla V100':<22} {1e3 * FORWARD_S:>9.3f}")
        if measure == "image":
            lines.append(f"  {'paper, Tesla V100':<22} {1e3 * IMAGE_S:>9.0f}")
            shortest, longest = (1e3 * seconds for seconds in NAPOLETANO_IMAGE_S)
            lines.append(f"  {'dictionary, 2018':<22} {shortest:>9.0f} to {longest:.0f}, as its authors report")
    lines += [f"not timed: {name}: {reason}" for name, reason in missing.items()]
    return "\n".join(lines)


def _quartiles(values: Sequence[float]) -> list[float]:
    return quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
