"""Hold what was measured of a run's speed: the content of ``speed.json``, and the models of other strides beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from ssimae.atomic import write_text
from ssimae.jobs.speed.follow import Judged, follow, stride_path
from ssimae.models.tensor_header import metadata_of, with_metadata
from ssimae.reading import Count, Positive, file_sha256, read_bytes, read_json
from ssimae.storage.description import describe_model
from ssimae.storage.run_folder import RunFolder

TORCH: Literal["torch"] = "torch"


@dataclass(frozen=True)
class Timing:
    """How long one image takes, from its file to its verdict."""

    engine: str
    """What ran the network: ``torch``, ``compile`` (by torch), ``onnxruntime`` or ``openvino``."""
    threads: Count
    ms: Positive
    """Median of all images and rounds."""
    ms_quartiles: tuple[Positive, Positive]
    rounds: Count
    """Inspections that were timed."""
    images: Count
    same_verdicts: Count
    """How many of the timed images have the verdict that torch gives them."""
    start_s: float | None = None
    """Seconds that the engine takes to start, as to compile: those until it has seen each image once, beyond what it
    takes then. The same at all strides. None where an earlier version measured."""


@dataclass(frozen=True)
class Stride:
    """What one stride finds among held-out images, and how long it takes.

    Verdicts are those on held-out good images and on planted defects. One is lost that was right at the stride of the
    training and is wrong at this one, and won the other way round.
    """

    stride: Count
    review: float
    """Threshold for review that follows from the same good images."""
    found: Count
    """Planted defects that are found, of `planted`."""
    flagged: Count
    """Good images that are flagged, of `good`."""
    lost: Count
    won: Count
    timings: tuple[Timing, ...]
    """None where it was interrupted before."""

    @property
    def fastest(self) -> Timing:
        """The number of threads with the shortest time of torch, which ``predict`` runs; of a stride that was timed."""
        return min((timing for timing in self.timings if timing.engine == TORCH), key=lambda timing: timing.ms)


@dataclass(frozen=True)
class Speed:
    """What was measured of a run."""

    version: Literal[1]
    model: str
    """SHA-256 of the ``model.safetensors`` that was measured."""
    trained_stride: Count
    height: Count
    width: Count
    """Size of the images that were timed; of several, the first's."""
    good: Count
    planted: Count
    loss_limit: float
    """Share of verdicts that may be lost."""
    chosen: Count | None
    """The fastest stride within that limit; None where none has been timed."""
    strides: tuple[Stride, ...]
    processor: str
    network: str | None = None
    """SHA-256 of all that the model holds but its thresholds: where that stays, strides follow thresholds that change.
    None where an earlier version measured, which stored no maps."""
    ssimae: str | None = None
    """Version that measured; None for one that did not say."""
    planted_images: Count | None = None
    """Images with planted defects that were asked for, and how many of such a size are planted at most."""
    plantable_images: Count | None = None
    engines: tuple[str, ...] = ()
    """What was to be timed."""
    absent: dict[str, str] = field(default_factory=dict)
    """Those of them that do not run here, and why."""
    missing_strides: tuple[Count, ...] = ()
    """Those that were asked for and not inspected before an interruption."""
    missing_threads: tuple[Count, ...] = ()
    """Numbers of threads for which not all strides were timed before an interruption."""

    @property
    def verdicts(self) -> int:
        """Number of verdicts that every stride was compared on."""
        return self.good + self.planted

    def loss(self, stride: Stride) -> float:
        """Return the share of verdicts that a stride loses, less those that it wins; below 0 where it wins more."""
        return (stride.lost - stride.won) / self.verdicts

    def judged_again(self, found: Mapping[int, Judged], model: Path) -> Speed:
        """Return the same strides by other thresholds; times stay."""
        own = found[self.trained_stride]
        strides = tuple(replace(each, **found[each.stride].against(own)) for each in self.strides)
        chosen = choose_stride(strides, self.verdicts, self.loss_limit, self.trained_stride)
        return replace(self, model=model_hash(model), strides=strides, chosen=chosen)

    def of(self, stride: int) -> Stride:
        """Return what was measured of a stride."""
        return next(each for each in self.strides if each.stride == stride)


def choose_stride(strides: tuple[Stride, ...], verdicts: int, loss_limit: float, trained: int) -> int | None:
    """Return the fastest stride that loses no more than a share of verdicts, or that of the training.

    Only strides that were timed count; None where there is none.
    """
    limit = loss_limit * verdicts * (1 + 1e-9)
    within = [each for each in strides if each.timings and (each.stride == trained or each.lost - each.won <= limit)]
    return min(within, key=lambda each: each.fastest.ms).stride if within else None


def table_path(folder: RunFolder) -> Path:
    """Return where a run's ``speed.json`` lies."""
    return folder.root / "speed.json"


def model_hash(path: Path) -> str:
    """Return the SHA-256 of a model file."""
    return file_sha256(path)


def network_hash(path: Path) -> str:
    """Return the SHA-256 of a model file without its thresholds."""
    content = read_bytes(path)
    metadata = {name: text for name, text in metadata_of(content).items() if name != "thresholds"}
    return hashlib.sha256(with_metadata(content, metadata)).hexdigest()


def write_speed(folder: RunFolder, speed: Speed) -> None:
    """Write ``speed.json``."""
    write_text(table_path(folder), json.dumps(asdict(speed), indent=1) + "\n")


def model_of_stride(model: Path, stride: int | Literal["fastest"], say: Callable[[str], object]) -> Path:
    """Return the model file that inspects with a stride: that of a run, or the one that ``ssimae speed`` stored.

    Where the thresholds of the run have changed since, those of all strides follow first.

    Parameters
    ----------
    model : Path
        ``model.safetensors`` of a run.
    stride : int or "fastest"
        Step between patches, or that which ``ssimae speed`` chose.
    say : callable
        Told that thresholds follow.

    Raises
    ------
    OSError, ValueError
        If it was not measured, or the network has changed since; the message names the command that measures it.
    """
    folder = RunFolder(model.parent)
    command = folder.command("speed")
    if not table_path(folder).exists():
        raise ValueError(
            f"{model.parent}: no stride but that of the training has thresholds of its own; they are set by: {command}"
        )
    speed = read_json(table_path(folder), Speed)
    if speed.model != model_hash(model):
        if speed.network != network_hash(model):
            raise ValueError(f"{table_path(folder)}: the model has changed since; measure again: {command}")
        with folder.locked():
            speed = _followed(folder, speed, say)
    wanted = speed.chosen if stride == "fastest" else stride
    if wanted is None:
        raise ValueError(
            f"{table_path(folder)}: no stride has been timed, since it was interrupted; go on by: {command}"
        )
    if wanted == speed.trained_stride:
        return model
    measured = sorted(each.stride for each in speed.strides)
    if wanted not in measured:
        raise ValueError(
            f"`--stride` {wanted} was not measured, only {', '.join(map(str, measured))}; add it by: "
            f"{command} --strides {' '.join(map(str, [*measured, wanted]))}"
        )
    return stride_path(folder, wanted)


def _followed(folder: RunFolder, speed: Speed, say: Callable[[str], object]) -> Speed:
    """Have the strides of a run follow its thresholds, and write what they find now."""
    present = describe_model(folder.model).thresholds
    assert present is not None  # the model has no more than other thresholds
    found = follow(folder, [each.stride for each in speed.strides], speed.trained_stride, present)
    speed = speed.judged_again(found, folder.model)
    write_speed(folder, speed)
    without = present.images - min(each.thresholds.images for each in found.values())
    said = f" {without} good images that were added count at stride {speed.trained_stride} alone." if without else ""
    fastest = "" if speed.chosen is None else f"; the fastest is {speed.chosen}"
    say(
        f"{folder.root}: the thresholds have changed since its strides were measured, and theirs follow{fastest}.{said}"
    )
    return speed
