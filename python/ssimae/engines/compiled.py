"""Run a network of torch as ``torch.compile`` turns it into machine code of this processor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch._inductor import config

from ssimae.config.settings import Settings
from ssimae.engines.engine import Rebuilder
from ssimae.engines.pytorch import TorchRebuilder
from ssimae.errors import in_short
from ssimae.models.autoencoder import Autoencoder
from ssimae.models.fast.inspecting import for_cpu
from ssimae.models.head import Head

_FEWEST, _PIXELS = 16, 32 * 64**2
"""Patches a forward pass at least, and pixels of a channel: half of what others take, as the last pass is filled up."""


def _compiled(network: nn.Module, **options: Any) -> Callable[[Tensor], Tensor]:
    """Return a network compiled with its weights as constants, laid out once as oneDNN wants them.

    That has to be asked for where it is called: only then does torch note which weights these are. Another network of
    the same layers would run with those of the first.
    """
    compiled: Callable[[Tensor], Tensor] = torch.compile(network, **options)

    def frozen(planes: Tensor) -> Tensor:
        with config.patch(freezing=True):
            return compiled(planes)

    return frozen


def compiled_engine(model: Autoencoder, settings: Settings, *, head: Head | None, precision: str) -> Rebuilder:
    """Return what runs a compiled network on the CPU, once the network has been compiled.

    Parameters
    ----------
    model : Autoencoder
        Trained network, on the CPU and in evaluation mode.
    settings : Settings
        Those it was trained with.
    head : Head or None
        Compiled at the first image, for images of its size, and at the first one of another size for those of any.
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass; the caller knows that the processor has it.

    Raises
    ------
    ValueError
        If it cannot be compiled, as where no C++ compiler is installed.

    Notes
    -----
    It is compiled for the number of threads that torch has now. What is compiled is kept where torch keeps it,
    ``TORCHINDUCTOR_CACHE_DIR``.
    """
    rebuilding: Any = _compiled(for_cpu(model), dynamic=False)
    judging: Any = None if head is None else _compiled(head)
    engine = CompiledRebuilder(
        name=f"torch {torch.__version__} on CPU, compiled",
        precision=precision,
        has_head=head is not None,
        settings=settings,
        device=torch.device("cpu"),
        model=rebuilding,
        head=judging,
        patches=max(_FEWEST, _PIXELS // settings.patch_size**2),
    )
    patch = np.zeros((1, settings.channels, settings.patch_size, settings.patch_size), np.float32)
    try:
        engine.rebuild(patch, first=0)
    except RuntimeError as error:  # of which kind, is up to the part of torch that fails
        reason = in_short(str(error).partition("\n\n")[0])
        raise ValueError(
            f"torch.compile does not work here, which needs a C++ compiler such as g++ ({reason})"
        ) from error
    return engine


@dataclass(frozen=True, kw_only=True)
class CompiledRebuilder(TorchRebuilder):
    """A network compiled for one number of patches; methods as in :class:`.engine.Rebuilder`."""

    patches: int
    """Patches of each forward pass: the last one is filled up, since each other number would be compiled again."""

    def rebuild(self, patches: NDArray[np.float32], *, first: int) -> tuple[NDArray[np.float32], None]:
        """Return the reconstruction, which has no variance."""
        whole = np.concatenate([patches, np.zeros((-len(patches) % self.patches, *patches.shape[1:]), np.float32)])
        parts = []
        for start in range(0, len(whole), self.patches):
            output, _ = super().rebuild(whole[start : start + self.patches], first=first + start)
            parts.append(output)
        return np.concatenate(parts)[: len(patches)], None
