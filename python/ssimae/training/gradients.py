"""Compute loss and gradients of batches: step by step, or on a GPU by a graph captured once and replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ssimae.config.settings import Settings
from ssimae.losses.batch import Batch
from ssimae.losses.protocol import loss_module
from ssimae.models.build import AnyAutoencoder
from ssimae.models.fast.training import for_training

Gradients = Callable[[Batch], Tensor]
"""Takes a batch, leaves its gradients in the parameters and returns the loss, a scalar without a graph."""

_WARM_UP = 3
"""Steps before a capture, in which libraries choose and compile what cannot be chosen or compiled inside it."""


def gradients_of(
    model: AnyAutoencoder,
    settings: Settings,
    *,
    precision: str,
    features: nn.Module | None,
    device: torch.device,
) -> Gradients:
    """Return the function that computes loss and gradients of batches on a device."""
    training_loss = loss_module(settings).training_loss
    network = for_training(model) if device.type == "cpu" else model

    def compute(batch: Batch) -> Tensor:
        model.zero_grad(set_to_none=True)
        loss = training_loss(network, batch, settings, precision=precision, features=features)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return _Captured(compute, list(model.parameters()), device) if device.type == "cuda" else compute


@dataclass(frozen=True)
class _Capture:
    """One graph, the batch it reads from, and the gradients and loss it leaves."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    gradients: list[Tensor | None]
    loss: Tensor


class _Captured:
    """Gradients from a replayed CUDA graph: the hundreds of kernels of a step take longer to launch than to run."""

    def __init__(self, compute: Gradients, parameters: list[nn.Parameter], device: torch.device) -> None:
        self._compute, self._parameters, self._device = compute, parameters, device
        self._captures: dict[int, _Capture] = {}  # by length: the last batch of an epoch may be short

    def __call__(self, batch: Batch) -> Tensor:
        with torch.cuda.device(self._device):
            count = len(batch.crops)
            if count not in self._captures:
                self._captures[count] = self._capture(batch)
            capture = self._captures[count]
            for held, new in (
                (capture.batch.crops, batch.crops),
                (capture.batch.painted, batch.painted),
                (capture.batch.noise, batch.noise),
            ):
                if held is not None and new is not None:
                    held.copy_(new, non_blocking=True)
            capture.graph.replay()
        for parameter, gradient in zip(self._parameters, capture.gradients, strict=True):
            parameter.grad = gradient
        return capture.loss

    def _capture(self, batch: Batch) -> _Capture:
        held = batch.map(Tensor.clone)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._compute(held)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = self._compute(held)
        return _Capture(graph, held, [parameter.grad for parameter in self._parameters], loss)
