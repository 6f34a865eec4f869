"""Train once at a constant rate, and keep the state of the training after several times."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from ssimae.atomic import write_bytes
from ssimae.config.settings import Settings
from ssimae.errors import InterruptedRunError, needs_package
from ssimae.hardware import steady
from ssimae.inspection.holdout import GoodImages
from ssimae.models.build import AnyAutoencoder, new_autoencoder
from ssimae.progress import Progress, Task
from ssimae.reading import read_bytes
from ssimae.reproduce.plan import Way
from ssimae.reproduce.runtime.plain import PlainAutoencoder, plain_patches, plain_step
from ssimae.training.checkpoint import TrainingPosition, load_state, save_state
from ssimae.training.interrupt import Interruption, noted_signals
from ssimae.training.monitor import Monitor, SilentMonitor
from ssimae.training.train import train

_TIME_IS_UP = 0
"""No signal has this number."""

_MEMORY = 100
"""Steps that the mean loss of the plain script is taken over."""


def take_snapshots(
    way: Way,
    good: GoodImages,
    settings: Settings,
    folder: Path,
    minutes: Sequence[float],
    *,
    device: torch.device,
    progress: Progress,
) -> list[Path]:
    """Return the states of one training after some minutes, the shortest first; those that are there are kept.

    Parameters
    ----------
    way : {"plain", "paper"}
    good : GoodImages
    settings : Settings
        At a constant learning rate, so that a training does not depend on when it will end.
    folder : Path
        Where the states lie.
    minutes : sequence of float
        Of training alone: nothing that is written or inspected in between counts.
    device : torch.device
    progress : Progress

    Returns
    -------
    list of Path
        Fewer than asked for where the training was over before.

    Raises
    ------
    OSError, ValueError
        If a state cannot be written or read, or the plain script is to run without its packages or on a GPU.
    DivergedError
        If the loss becomes NaN or infinite.
    InterruptedRunError
        If Ctrl-C or SIGTERM came; the next call goes on.
    """
    if way == "plain":
        _refuse_plain(settings, device)
    folder.mkdir(parents=True, exist_ok=True)
    taken: list[Path] = []
    for number in sorted(set(minutes)):
        path, unfinished = folder / f"{number:g}-minutes.safetensors", folder / f"{number:g}-minutes.unfinished"
        if not path.exists():
            if taken and not unfinished.exists():
                write_bytes(unfinished, read_bytes(taken[-1]))
            with progress.task(f"training, {way}, {number:g} minutes", round(60 * number)) as task:
                if not _train_until(way, good, settings, unfinished, 60 * number, device=device, task=task):
                    break
            unfinished.rename(path)
        taken.append(path)
    return taken


def read_snapshot(path: Path, settings: Settings) -> tuple[AnyAutoencoder, TrainingPosition]:
    """Return the network of a state, and where its training stood.

    Raises
    ------
    OSError, ValueError
        If it is no state, or is one of other settings.
    """
    model = new_autoencoder(settings)
    position = load_state(path, model, torch.optim.Adam(model.parameters()), settings)
    return model.eval(), position


def _refuse_plain(settings: Settings, device: torch.device) -> None:
    if find_spec("pytorch_msssim") is None:
        raise needs_package("pytorch-msssim")
    if device.type != "cpu" or settings.channels != 1:
        raise ValueError("the plain script knows gray images and the processor alone")


class _Clock(SilentMonitor):
    """Monitor that ends a training when its time is up."""

    def __init__(self, seconds: float, before: float, task: Task, interruption: Interruption) -> None:
        self._seconds, self._before, self._task, self._interruption = seconds, before, task, interruption
        self._start = time.monotonic()

    def resumed(self, steps: int) -> None:
        self._start = time.monotonic() - self._before

    def stepped(self, patches: int, loss: float) -> None:
        self._task.update(round(min(time.monotonic() - self._start, self._seconds)), f"loss {loss:.4f}")

    def interrupted(self) -> int | None:
        if self._interruption.signal is not None:
            return self._interruption.signal
        return _TIME_IS_UP if time.monotonic() - self._start >= self._seconds else None


def _train_until(
    way: Way,
    good: GoodImages,
    settings: Settings,
    state: Path,
    seconds: float,
    *,
    device: torch.device,
    task: Task,
) -> bool:
    """Train from where a state stands, if it is there, until so many seconds; return whether it took so long."""
    before = read_snapshot(state, settings)[1].elapsed_s if state.exists() else 0.0
    parts, ignored = good.training_parts(settings)
    with noted_signals() as interruption:
        clock = _Clock(seconds, before, task, interruption)
        try:
            if way == "plain":
                _train_plain([np.asarray(part[:]) for part in parts], settings, state, clock)
            else:
                train(parts, settings, ignored=ignored, device=device, state=state, monitor=clock)
        except InterruptedRunError as error:
            if error.signal == _TIME_IS_UP:
                return True
            raise
    return False


@steady()
def _train_plain(images: list[np.ndarray], settings: Settings, state: Path, monitor: Monitor) -> None:
    """Train the network of the plain script until the monitor ends it.

    It starts with the weights that ours starts with: with torch's own it stays on the plateau of a constant output for
    tens of thousands of patches.
    """
    model = PlainAutoencoder(settings.latent_dim, settings.patch_size)
    model.load_state_dict(new_autoencoder(settings, seed=settings.seed).state_dict())
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    position = load_state(state, model, optimizer, settings) if state.exists() else TrainingPosition()
    monitor.resumed(position.step)
    start, mean = time.monotonic() - position.elapsed_s, position.loss
    for step in itertools.count(position.step):
        rng = np.random.default_rng([settings.seed, step])
        loss = plain_step(model, optimizer, plain_patches(images, settings.batch_size, rng, side=settings.patch_size))
        mean = loss if mean is None else mean + (loss - mean) / min(step + 1, _MEMORY)
        monitor.stepped((step + 1) * settings.batch_size, loss)
        if (signal := monitor.interrupted()) is not None:
            elapsed = time.monotonic() - start
            save_state(state, model, optimizer, TrainingPosition(step + 1, elapsed, mean), settings)
            raise InterruptedRunError(signal, f"at step {step + 1} of the plain script")
