"""Train an autoencoder: random crops, reconstruction, loss, Adam; its state survives any interruption."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssimae.config.settings import Settings
from ssimae.errors import DivergedError, InterruptedRunError, PlateauError
from ssimae.hardware import resolve_precision, steady
from ssimae.images.depth import Image
from ssimae.losses.protocol import constant_loss
from ssimae.models.build import Network, new_autoencoder, place
from ssimae.training.batches import batches
from ssimae.training.checkpoint import TrainingPosition, load_state, save_state
from ssimae.training.crops import CropSampler
from ssimae.training.gradients import gradients_of
from ssimae.training.log import TrainingLog
from ssimae.training.monitor import SILENT, Monitor
from ssimae.training.schedule import learning_rate
from ssimae.training.sharing.group import Group

PLATEAU = 0.97
"""A final loss above this share of the loss of a constant output counts as collapsed."""

PATIENCE = 0.25
"""Share of the steps after which a training that may give up does, if it has not left that plateau."""

_MOST_PATIENCE, _STEPS_TO_LEAVE = 0.4, 600
"""A short training waits for so many steps, in which others leave the plateau, but no longer than that share."""


@dataclass(frozen=True)
class Training:
    """Outcome of a training: the network, its last loss, and what a reader should know."""

    model: Network
    loss: float
    plateau: float | None
    """Loss of a constant output; None for what has none."""
    precision: str
    elapsed_s: float
    features: str | None = None
    """Which weights a fixed network of features had: ``imagenet:`` and their SHA-256, or ``random:`` and the seed."""

    @property
    def collapsed(self) -> bool:
        """Whether the network still does no better than a constant output."""
        return self.plateau is not None and self.loss > PLATEAU * self.plateau

    @property
    def alarm(self) -> str | None:
        """What a reader must know of a network that learned nothing, in a sentence; None for any other."""
        if not self.collapsed:
            return None
        return (
            f"training collapsed: loss {self.loss:.3f}, against {self.plateau:.3f} for rebuilding each patch as its "
            "own mean; the results mean nothing. More patches or a higher learning rate leave that plateau."
        )


def patience(steps: int) -> int:
    """Return the step at which a training of so many gives up, if it still does no better than a constant output."""
    return int(min(max(PATIENCE * steps, _STEPS_TO_LEAVE), _MOST_PATIENCE * steps))


@steady()
def train(
    images: Sequence[Image],
    settings: Settings,
    *,
    ignored: Sequence[NDArray[np.bool_] | None] | None = None,
    features: nn.Module | None = None,
    device: torch.device,
    state: Path | None = None,
    initial: Mapping[str, Tensor] | None = None,
    may_give_up: bool = False,
    group: Group | None = None,
    monitor: Monitor = SILENT,
) -> Training:
    """Return the autoencoder trained on defect-free images (Bergmann et al. 2019, sec. 4.2).

    Parameters
    ----------
    images : sequence of ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
        Defect-free images, already scaled.
    settings : Settings
        Loss, network, budget, learning rate and seed.
    ignored : sequence of (ndarray of shape (h, w), bool, or None), optional
        Pixels of each image that are not inspected; patches of which they are more than a quarter are not drawn.
    features : Module or None
        Fixed network, where the loss compares features.
    device : torch.device
        Where to train.
    state : Path or None
        File of the training state; written about every `checkpoint_every` seconds and resumed from when it exists.
    initial : mapping of str to Tensor, optional
        Weights to begin with, where there is no state; by default they follow from the seed.
    may_give_up : bool
        Whether to end early, at the step of :func:`patience`, where that leads nowhere.
    group : Group or None
        Processes that share the training: all call this function alike, but the first alone has a `state`, and its
        weights and state are taken.
    monitor : Monitor
        Told how far the training is; a signal number from it saves the state and raises.

    Raises
    ------
    DivergedError
        If the loss becomes NaN or infinite; no state is saved from then on.
    PlateauError
        If the training gave up.
    InterruptedRunError
        If the monitor returned a signal, or another process of the group is gone.

    Notes
    -----
    A resumed run takes the same steps as an uninterrupted one and ends with the same weights on the same device, and in
    as many processes.
    """
    precision = resolve_precision(settings.precision, device)
    crops = CropSampler(images, settings, ignored)
    steps = crops.steps_per_epoch * settings.epochs
    model = new_autoencoder(settings, seed=settings.seed)
    if initial is not None:
        model.load_state_dict(initial)
    model = place(model, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    fixed = None if features is None else features.to(device)
    plateau = constant_loss(crops.batch(0).to(device), settings, features=fixed)
    resumed = (
        load_state(state, model, optimizer, settings) if state is not None and state.exists() else TrainingPosition()
    )
    if group is not None:
        resumed = group.align(model, optimizer, resumed)
    if resumed.step > steps:
        raise ValueError(f"{state}: stands at step {resumed.step} of a training of {steps}")
    log = TrainingLog(steps, elapsed=resumed.elapsed_s, loss=resumed.loss, emit=monitor.logged)
    saved = time.monotonic()
    monitor.resumed(resumed.step)

    gradients = gradients_of(model, settings, precision=precision, features=fixed, device=device)
    share = batches(crops, settings, resumed.step, steps, device=device, group=group)
    for step, batch in enumerate(share, resumed.step):
        lr = learning_rate(step, steps=steps, peak=settings.lr, schedule=settings.schedule)
        for parameters in optimizer.param_groups:
            parameters["lr"] = lr
        seen = crops.patches_seen(step + 1)
        patches = seen - crops.patches_seen(step)
        loss = gradients(batch)
        if group is not None:
            loss, agreed = group.average(model, loss, patches, monitor.interrupted())
        optimizer.step()
        value = float(loss)  # waits for a GPU, hence after all that it has to do
        if not np.isfinite(value):
            raise DivergedError(step, value, settings.lr)

        log.add(step, epoch=step // crops.steps_per_epoch, patches=patches, seen=seen, loss=value, lr=lr)
        monitor.stepped(seen, value)
        if may_give_up and plateau is not None and step == patience(steps):
            smoothed = log.loss or value
            if smoothed > PLATEAU * plateau:
                raise PlateauError(step, smoothed, plateau)
        signal = monitor.interrupted() if group is None else agreed
        due = state is not None and time.monotonic() - saved >= settings.checkpoint_every
        if state is not None and (due or signal is not None or step == steps - 1):
            save_state(state, model, optimizer, TrainingPosition(step + 1, log.elapsed, log.loss), settings)
            saved = time.monotonic()
        if signal is not None:
            raise InterruptedRunError(signal, f"at step {step + 1} of {steps}")

    return Training(model.eval(), log.loss or 0.0, plateau, precision, log.elapsed)
