"""Train a head: good crops with stains, rebuilt by the finished autoencoder, and the question where the stains are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils import clip_grad_norm_

from ssimae.config.settings import Settings
from ssimae.errors import DivergedError, InterruptedRunError
from ssimae.hardware import steady
from ssimae.images.depth import Image
from ssimae.losses.network import arithmetic
from ssimae.losses.protocol import loss_module
from ssimae.models.build import AnyAutoencoder, place
from ssimae.models.head import Head, head_input
from ssimae.training.crops import CropSampler
from ssimae.training.head.distance import with_distance
from ssimae.training.head.examples import make_examples
from ssimae.training.monitor import SILENT, Monitor
from ssimae.training.schedule import learning_rate

_HEAD = 9  # stream of random numbers under the seed, which begins streams of the same kinds as the autoencoder's

BATCH = 16
PEAK_LR = 4e-3
TUNING_LR = 2e-4
"""Highest learning rate of a head that goes on from a trained one."""
_BETAS = 0.9, 0.99
_MOST_GRADIENT = 1.0
"""Norm that gradients are cut to: at this learning rate a few early steps would otherwise undo the others."""
_DEFECT_WEIGHT = 4.0
"""Weight of a defective pixel; most pixels are good."""
_FOCUS = 2.0
"""Power of the focal loss: what is already told well counts little."""


@steady()
def train_head(
    model: AnyAutoencoder,
    parts: Sequence[Image],
    settings: Settings,
    *,
    ignored: Sequence[NDArray[np.bool_] | None] | None = None,
    device: torch.device,
    precision: str,
    initial: Head | None = None,
    monitor: Monitor = SILENT,
) -> Head:
    """Return a head trained beside a finished autoencoder, which stays as it is (after Zavrtanik et al. 2021).

    Parameters
    ----------
    model : Autoencoder or VariationalAutoencoder
        Trained network, on `device`.
    parts : sequence of ndarray of shape (h, w) or (h, w, C), float32 in [0, 1], or Pixels
        Defect-free images, already scaled: those that the autoencoder was trained on.
    settings : Settings
        Its `head_patches`, at least 1, those of crops and residual, and `seed` count.
    ignored : sequence of (ndarray of shape (h, w), bool, or None), optional
        Pixels of each image that are not inspected; crops of which they are more than a quarter are not drawn.
    device : torch.device
    precision : {"float32", "bfloat16"}
        Arithmetic of both networks.
    initial : Head, optional
        Head to begin with, at a lower learning rate; by default its weights follow from the seed.
    monitor : Monitor
        Told how many crops the head has seen; a signal number from it ends the training.

    Returns
    -------
    Head
        On `device`, in evaluation mode. It knows how these images look to it, where there is enough of them.

    Raises
    ------
    DivergedError
        If the loss becomes NaN or infinite.
    InterruptedRunError
        If the monitor returned a signal. Nothing is kept then: it takes minutes.

    Notes
    -----
    Focal loss, Adam, the learning rate in one cycle. The same seed gives the same head on the same device.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection. ICCV 2017.
    """
    seed = int(np.random.SeedSequence([settings.seed, _HEAD]).generate_state(1)[0])
    sampler = CropSampler(
        parts,
        dataclasses.replace(settings, patches=settings.head_patches, batch_size=BATCH, crops="fresh", seed=seed),
        ignored,
    )
    steps = sampler.steps_per_epoch
    head = Head(settings.channels, seed=seed)
    if initial is not None:
        weights = initial.state_dict()
        head.load_state_dict({name: weights[name] for name in head.state_dict()})
    head = place(head, device).train()
    peak = PEAK_LR if initial is None else TUNING_LR
    optimizer = torch.optim.Adam(head.parameters(), lr=peak, betas=_BETAS, fused=True)
    for step in range(steps):
        examples = make_examples(sampler, seed=seed, step=step).to(device)
        planes = _rebuilt(model, examples.crops, settings, precision=precision)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps=steps, peak=peak, schedule="one-cycle")
        optimizer.zero_grad()
        with arithmetic(device, precision):
            logits = head(planes)
        loss = _loss(logits.float(), examples.defect, examples.weight)
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(head.parameters(), _MOST_GRADIENT)
        optimizer.step()
        value = float(loss.detach())
        if not np.isfinite(value):
            raise DivergedError(step, value, peak, what="loss of the head", advice="start again with another --seed")
        monitor.stepped(sampler.patches_seen(step + 1), value)
        if (signal := monitor.interrupted()) is not None:
            raise InterruptedRunError(signal, f"at step {step + 1} of {steps} of the head")
    return with_distance(head.eval(), model, parts, settings, ignored=ignored, device=device, precision=precision)


def _rebuilt(model: AnyAutoencoder, crops: Tensor, settings: Settings, *, precision: str) -> Tensor:
    """Return what the head sees of crops (N, C, s, s), as at inspection, (N, 3 C + 1, s, s)."""
    loss = loss_module(settings)
    with torch.inference_mode():
        rebuilt, variance = loss.rebuild(model, crops, settings, precision=precision, first=0)
        residual = loss.residual(crops, rebuilt, settings, variance)
        planes = head_input(crops, rebuilt, residual[:, None])
    return planes.clone()  # what was made in inference mode cannot be kept for a gradient


def _loss(logits: Tensor, defect: Tensor, weight: Tensor) -> Tensor:
    """Return the focal loss of logits against where a defect is, all (N, 1, s, s); a scalar."""
    entropy = binary_cross_entropy_with_logits(logits, defect, reduction="none")
    focus = (1 - torch.exp(-entropy)) ** _FOCUS  # the power of the probability of the wrong answer
    return (entropy * focus * (1 + (_DEFECT_WEIGHT - 1) * defect) * weight).mean()
