"""Find devices and number formats of this machine, and keep both fast and repeatable."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import torch

from ssimae.host import system

logger = logging.getLogger(__name__)


def resolve_device(name: str) -> torch.device:
    """Return the torch device of a name; ``auto`` is the GPU where there is one.

    Raises
    ------
    ValueError
        If `name` is not a device, or one this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"`device` must be auto, cpu, cuda or cuda:N, got {name!r}") from error
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"`device` must be auto, cpu, cuda or cuda:N, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"`device` is {name!r}, but torch sees {torch.cuda.device_count()} CUDA devices here")
    return device


def resolve_precision(name: str, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Return the arithmetic of the network on a device: of ``auto`` and ``bfloat16``, that which the hardware has.

    Notes
    -----
    Where the hardware does not multiply in bfloat16, torch emulates it, sixteen times slower. The results of a network
    trained in it differ by 2e-4 in float32, so that is taken, and said once where bfloat16 was asked for.
    """
    if name == "float32":
        return "float32"
    if _has_bfloat16(device):
        return "bfloat16"
    if name == "bfloat16":
        _say_no_bfloat16(device.type)
    return "float32"


@cache
def _say_no_bfloat16(kind: str) -> None:
    logger.warning("this %s has no bfloat16 arithmetic: float32 is taken instead", "GPU" if kind == "cuda" else "CPU")


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = _capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


@contextmanager
def steady() -> Iterator[None]:
    """Compute at steady speed with repeatable results, and leave the process as it was; a decorator too.

    Notes
    -----
    Denormal numbers are flushed to zero: once units of the network die, a step otherwise takes several times as long.
    Whoever calls us computes with them again afterwards: a metric must not depend on a training before it.
    A GPU's convolutions are the same bits each time, and float32 is float32: by default cuDNN may choose algorithms
    that add in any order, and multiplies in TF32, with 10 bits of mantissa.
    """
    _keep_memory()
    let_forks_compute()
    flushed = sys.float_info.min / 2 == 0.0  # torch has no way to ask
    if not torch.set_flush_denormal(True):
        logger.info("this processor cannot flush denormal numbers; training may slow down late")
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32
    cudnn.deterministic, cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.allow_tf32 = before
        torch.set_flush_denormal(flushed)


@cache
def let_forks_compute() -> None:
    """Have torch compute on one thread in every process forked from this one, as in the workers of its DataLoader.

    Its other threads do not follow into a fork, which would wait for them for ever. Called by what computes with torch:
    who only loads a network before the fork keeps all threads.
    """
    system.run_in_forks(lambda: torch.set_num_threads(1))


@cache
def _keep_memory() -> None:
    """Keep freed memory: by default every step hands its activations back and faults them in again."""
    system.keep_memory()


def describe(device: torch.device) -> str:
    """Return one line that names a device, for records and reports."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} (CUDA {torch.version.cuda})"
    threads = torch.get_num_threads()
    counted = f"{threads} thread{'' if threads == 1 else 's'}"
    return f"{_capabilities().get('cpu_name', 'CPU')}, {counted}, {_instructions()}"


def _capabilities() -> dict[str, Any]:
    """Return what torch says of the processor; older versions say nothing."""
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return found


def _instructions() -> str:
    return str(torch.backends.cpu.get_cpu_capability())
