"""Tell beforehand how long a measurement of strides will take, from a few inspections."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from ssimae.host import system
from ssimae.images.depth import Image
from ssimae.jobs.speed.clock import STEPS
from ssimae.storage.model_file import SavedModel
from ssimae.tuning.settle import FITTING_S

_STARTING_S, _COMPILING_S = 5.0, 40.0
"""For a process that times, and for what is compiled for a number of threads, about."""


def expected_seconds(
    saved: SavedModel,
    image: Image,
    strides: Sequence[int],
    *,
    parts: int,
    timed_strides: Sequence[int],
    timed_images: int,
    threads: Sequence[int],
    engines: Sequence[str],
) -> float:
    """Return about how many seconds it takes to inspect held-out images at strides, and to time some of them.

    Parameters
    ----------
    saved : SavedModel
    image : Image
        One of the held-out images.
    strides : sequence of int
        For each of which all `parts` are inspected.
    parts : int
    timed_strides : sequence of int
        For each of which images are timed.
    timed_images : int
    threads : sequence of int
    engines : sequence of str
    """
    inspector = saved.on(torch.device("cpu"))
    widest, usual = max(timed_strides), saved.settings.stride
    took = {}
    for stride in {widest, usual}:
        there = replace(inspector, settings=replace(saved.settings, stride=stride))
        there.inspect(image)  # the first time takes longer
        start = time.perf_counter()
        there.inspect(image)
        took[stride] = time.perf_counter() - start
    # The number of patches goes with the inverse square of the stride; the rest takes as long at each.
    slope = 0.0 if widest == usual else max(took[usual] - took[widest], 0) / (usual**-2 - widest**-2)

    def seconds(stride: int) -> float:
        return max(took[widest] + slope * (stride**-2 - widest**-2), 0)

    settling = sum(parts * seconds(stride) + FITTING_S for stride in strides)
    once = timed_images * len(engines) * sum(map(seconds, timed_strides))
    timing = sum(STEPS * once * max(system.processors() / count, 1) + _STARTING_S for count in threads)
    return settling + timing + (_COMPILING_S * len(threads) if "compile" in engines else 0)
