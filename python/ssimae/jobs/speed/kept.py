"""Keep what has been measured of a run's strides after each step, so that a later command goes on with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import torch

from ssimae.hardware import describe
from ssimae.jobs.speed.clock import TimedEngine
from ssimae.jobs.speed.follow import Judged, follow, stride_path
from ssimae.jobs.speed.measured import (
    Speed,
    Stride,
    Timing,
    choose_stride,
    model_hash,
    network_hash,
    table_path,
    write_speed,
)
from ssimae.reading import read_json
from ssimae.storage.model_file import SavedModel
from ssimae.storage.run_folder import RunFolder


@dataclass(frozen=True)
class Asked:
    """What is to be measured."""

    strides: tuple[int, ...]
    """Ascending, with that of the training."""
    threads: tuple[int, ...]
    """Ascending."""
    engines: tuple[TimedEngine, ...]
    loss_limit: float
    planted_images: int
    plantable_images: int
    """How many the bound of pixels leaves at most."""
    height: int
    width: int
    """Of the first image that is timed."""


@dataclass
class Measured:
    """What has been measured so far."""

    folder: RunFolder
    saved: SavedModel
    asked: Asked
    judged: dict[int, Judged] = field(default_factory=dict)
    """By stride."""
    timings: dict[tuple[int, int], tuple[Timing, ...]] = field(default_factory=dict)
    """By number of threads and stride, one for each engine."""
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def missing_strides(self) -> list[int]:
        """Return the strides to inspect held-out images at: first that of the training, and then the quickest."""
        trained = self.saved.settings.stride
        left = [stride for stride in self.asked.strides if stride not in self.judged]
        return sorted(left, key=lambda stride: (stride != trained, -stride))

    @property
    def missing_threads(self) -> list[int]:
        """Return the numbers of threads to time with: those for which a stride has no times."""
        return [
            count
            for count in self.asked.threads
            if any((count, stride) not in self.timings for stride in self.asked.strides)
        ]

    def take_up(self) -> None:
        """Take over what an earlier command measured of the same network by the same rules.

        Raises
        ------
        OSError, ValueError
            If its files are damaged, or the strides cannot follow the present thresholds of the run.
        """
        path = table_path(self.folder)
        if not path.exists():
            return
        earlier = read_json(path, Speed)
        asked = self.asked
        now = (network_hash(self.folder.model), version("ssimae"), asked.planted_images)
        if (earlier.network, earlier.ssimae, earlier.planted_images) != now:
            return
        strides = [each for each in earlier.strides if each.stride in asked.strides and self._has_files(each.stride)]
        self.judge([each.stride for each in strides])
        if earlier.engines == asked.engines:
            self.absent = dict(earlier.absent)
            for each in strides:
                for count in {timing.threads for timing in each.timings} & {*asked.threads}:
                    timings = tuple(timing for timing in each.timings if timing.threads == count)
                    self.timings[count, each.stride] = timings

    def _has_files(self, stride: int) -> bool:
        path = stride_path(self.folder, stride)
        return all(path.with_suffix(suffix).exists() for suffix in (".safetensors", ".npz", ".json"))

    def judge(self, strides: Sequence[int]) -> None:
        """Add what strides find among the held-out images whose maps are stored, by the present thresholds."""
        assert self.saved.thresholds is not None
        self.judged |= follow(self.folder, strides, self.saved.settings.stride, self.saved.thresholds)

    def write(self) -> Speed:
        """Write what there is as ``speed.json``, once the stride of the training is there, and return it."""
        asked, trained = self.asked, self.saved.settings.stride
        own = self.judged[trained]
        strides = tuple(
            Stride(
                stride=stride,
                timings=tuple(timing for count in asked.threads for timing in self.timings.get((count, stride), ())),
                **judged.against(own),
            )
            for stride, judged in sorted(self.judged.items())
        )
        speed = Speed(
            version=1,
            model=model_hash(self.folder.model),
            trained_stride=trained,
            height=asked.height,
            width=asked.width,
            good=len(own.good),
            planted=len(own.planted),
            loss_limit=asked.loss_limit,
            chosen=choose_stride(strides, len(own.right), asked.loss_limit, trained),
            strides=strides,
            processor=describe(torch.device("cpu")),
            network=network_hash(self.folder.model),
            ssimae=version("ssimae"),
            planted_images=asked.planted_images,
            plantable_images=asked.plantable_images,
            engines=asked.engines,
            absent=self.absent,
            missing_strides=tuple(sorted(self.missing_strides)),
            missing_threads=tuple(self.missing_threads),
        )
        write_speed(self.folder, speed)
        return speed
