"""Divide the batches of a training among processes, and average what they compute."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from signal import SIGTERM

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ssimae.errors import InterruptedRunError
from ssimae.training.checkpoint import MOMENTS, TrainingPosition


@dataclass(frozen=True)
class Group:
    """The processes that train one network together, as one of them sees them; torch has connected them.

    Each computes the gradients of its part of every batch. They are averaged, each weighted by its share of the
    patches, so that all processes take the step that one alone would take; only the order of the sums differs.

    Notes
    -----
    ``DistributedDataParallel`` averages without weights, which is wrong where a batch does not divide evenly, and hooks
    into a backward pass that a GPU replays from a graph here. The network has a million parameters: one message a step.
    """

    rank: int
    size: int

    def part(self, count: int) -> slice:
        """Return which patches of a batch of `count` this process computes.

        Where there are fewer patches than processes, each computes all of them.
        """
        if count < self.size:
            return slice(0, count)
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def align(self, model: nn.Module, optimizer: torch.optim.Adam, position: TrainingPosition) -> TrainingPosition:
        """Give every process the weights, the moments and the position of the first one, and return the position."""
        parameters = list(model.parameters())
        loss = math.nan if position.loss is None else position.loss
        where = parameters[0].device
        stand = torch.tensor([position.step, position.elapsed_s, loss], dtype=torch.float64, device=where)
        with _noticing_an_end():
            dist.broadcast(stand, 0)
        step, elapsed, loss = stand.tolist()
        tensors = [parameter.data for parameter in parameters]
        if step:
            for parameter in parameters:
                state = optimizer.state[parameter]
                if not state:
                    state["step"] = torch.tensor(step, dtype=torch.float32, device=where)
                    state.update({moment: torch.zeros_like(parameter) for moment in MOMENTS})
                tensors += [state[moment] for moment in MOMENTS]
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _noticing_an_end():
            dist.broadcast(flat, 0)
        _spread(flat, tensors)
        return TrainingPosition(int(step), elapsed, None if math.isnan(loss) else loss)

    def average(self, model: nn.Module, loss: Tensor, count: int, asked: int | None) -> tuple[Tensor, int | None]:
        """Average gradients and loss over the processes, and agree on whether the training ends with this step.

        Parameters
        ----------
        model : Module
            Its gradients are those of this process, of the mean over its :meth:`part` of the batch.
        loss : Tensor
            That mean, a scalar.
        count : int
            Patches of the batch, those of all processes together.
        asked : int or None
            Signal that came to this process.

        Returns
        -------
        loss : Tensor
            Mean over the batch.
        signal : int or None
            Signal that came to any process: all end after the same step.

        Raises
        ------
        InterruptedRunError
            If another process is gone.
        """
        part = self.part(count)
        share = (part.stop - part.start) / count if count >= self.size else 1 / self.size
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        flag = torch.full_like(loss, asked is not None)
        flat = torch.cat([tensor.flatten() for tensor in (*gradients, loss, flag)]) * share
        with _noticing_an_end():
            dist.all_reduce(flat)
        _spread(flat[:-2], gradients)
        ends = bool(flat[-1] > 0)
        return flat[-2], (asked or SIGTERM) if ends else None


@contextmanager
def _noticing_an_end() -> Iterator[None]:
    """Take it as an interruption where another process is gone, so that this one can end or start again."""
    try:
        yield
    except RuntimeError as error:  # torch says nothing more exact
        raise InterruptedRunError(SIGTERM, "because another process of the training has ended") from error


def _spread(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    """Copy a vector into tensors, one after the other."""
    for tensor, values in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(values.view(tensor.shape))
