"""Write and read the facts of a run: what it worked on, what ran it, and what came of it."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from ssimae.config.presets import Preset
from ssimae.config.systems import System
from ssimae.engines.engine import EngineName
from ssimae.reading import Count, Finite, NotNegative, Positive, Precision, as_kind

Kept = Literal["none", "flagged", "all"]
"""Images of which something is written: those that are not good are flagged."""


@dataclass(frozen=True)
class _Table:
    """Fields that a TOML table holds under their names; those that are None are absent."""

    def to_table(self) -> dict[str, Any]:
        """Return the fields as TOML carries them."""
        # Not vars(): a field that was left to its default may be one of the class alone.
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None
        }

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Return the fields that a table holds; keys that are no field are left out.

        Raises
        ------
        ValueError
            If a field is missing that has no default, or is of another type.
        """
        for field in dataclasses.fields(cls):
            if field.name not in table and field.default is dataclasses.MISSING:
                if "model" in table:
                    raise ValueError("not a run that trained: `ssimae predict` wrote it, and goes on with --resume")
                raise ValueError(f"not a run that trained (its config.toml has no `{field.name}`)")
        return as_kind(dict(table), cls)


@dataclass(frozen=True, kw_only=True)
class Facts(_Table):
    """The facts of a run that trains, or that takes the networks of one that did."""

    data: Path
    """Folder of the images, absolute."""
    dataset: str
    """Name of the data set, for people."""
    layout: str
    """How the folder is laid out: a name in :data:`ssimae.data.layouts.LAYOUTS`."""
    fingerprint: str
    """SHA-256 of the images and masks (see :func:`ssimae.data.dataset.dataset_fingerprint`)."""
    preset: Preset
    quick: bool
    train_only: bool
    """Whether the run stops after the thresholds."""
    created: str
    """When it was started, in UTC as ISO 8601 writes it."""
    ssimae: str
    """Version, as of `torch` and `python`."""
    torch: str
    python: str
    platform: str
    device: str
    """What ran the network, in words."""
    precision: Precision
    """Arithmetic of the network: float32 or bfloat16."""
    threads: Count
    train_images: Count
    """Number of good images, those held out included."""
    warnings: tuple[str, ...]
    """What the reader of the results must know, in sentences."""
    ignore: Path | None = None
    """Mask of the pixels that are not inspected, or a folder of one for each image."""
    weights: Path | None = None
    """Run whose networks were taken instead of training."""
    pretrained: Path | None = None
    """File of the pretrained weights of FM-AE or the dictionary; None for torchvision's cache."""
    commit: str | None = None
    """Commit of the source; None for an installed package."""
    compare: System | None = None
    """System that was trained beside the first, with its results in a run folder of that name."""
    held_out: bool | None = None
    """Whether the thresholds were set on images, or bands of them, that were kept out of training."""
    held_out_images: tuple[str, ...] = ()
    """Names below `data` of the images that were kept out of training, wholly or in a band."""
    threshold_images: tuple[str, ...] = ()
    """Names below `data` of the images that the thresholds were set on."""
    plateau: Finite | None = None
    """Loss of a constant output; None before the training, and for what has none."""
    features: str | None = None
    """Which weights a fixed network of features had; None where there is none."""
    minutes: Positive | None = None
    """Time that choosing the settings, training and thresholds may take; None where all settings were given."""
    given: tuple[str, ...] = ()
    """Settings that were given all the same, and not chosen."""
    chosen: bool = False
    """Whether the settings have been chosen."""
    abandoned: tuple[str, ...] = ()
    """Scale and patch size, as in ``1 64``, of trainings that were given up on the plateau of a constant output."""
    improves: Path | None = None
    """Run whose networks the training began with."""
    taught: tuple[str, ...] = ()
    """Absolute paths of good images that joined those of `data`."""
    missed: tuple[str, ...] = ()
    """Absolute paths of images with known defects that are looked for before and after."""
    missed_masks: tuple[str, ...] = ()
    """Masks of these, one each; none where nothing says where the defects are."""
    collapsed: bool = False
    """Whether the network learned nothing; the last of `warnings` then says so."""
    passed_over: tuple[str, ...] = ()
    """Files below `data` that were not taken: for each reason how many, with names of some."""

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Return the facts in a table, also in one of an earlier version.

        Raises
        ------
        ValueError
            If it is not that of a run that trained.
        """
        facts = super().from_table(table)
        if facts.collapsed and not facts.warnings:
            raise ValueError("`collapsed` is true, but no warning says so")
        return facts if "collapsed" in table else dataclasses.replace(facts, collapsed=_warned_of_collapse(facts))

    def with_alarm(self, alarm: str | None) -> Facts:
        """Return the facts with a sentence which says that the training collapsed, once; as they are for None."""
        if alarm is None or self.collapsed:
            return self
        return dataclasses.replace(self, warnings=(*self.warnings, alarm), collapsed=True)

    @property
    def alarm(self) -> str | None:
        """That the network learned nothing, in a sentence; None where it did."""
        return self.warnings[-1] if self.collapsed else None

    def graded_warnings(self) -> list[tuple[str, bool]]:
        """Return each warning, and whether it makes the results worthless."""
        last = len(self.warnings) - 1
        return [(text, self.collapsed and number == last) for number, text in enumerate(self.warnings)]


def _warned_of_collapse(facts: Facts) -> bool:
    """Return whether a run without the key `collapsed` did: earlier versions told it in their last warning alone."""
    return bool(facts.warnings) and facts.warnings[-1].startswith("training collapsed")


@dataclass(frozen=True, kw_only=True)
class PredictFacts(_Table):
    """The facts of an inspection outside any run."""

    model: Path
    """Model file that inspected the images."""
    device: str
    """What ran the network, in words."""
    ignore: Path | None = None
    """Mask of the pixels that were not inspected, or a folder of one for each image."""
    images: tuple[str, ...] = ()
    """Absolute paths of the images, folders of them, or patterns, that were named; ``-`` for standard input."""
    named: tuple[str, ...] = ()
    """The same, as they were typed; empty in a folder of an earlier version."""
    watch: Path | None = None
    """Folder that is watched for images."""
    settle: NotNegative | None = None
    """Seconds that a file rests there before it counts."""
    skip_bad: bool = False
    """Whether images that cannot be inspected are passed over."""
    fingerprint: str | None = None
    """SHA-256 of the paths, sizes and times of model, images and masks; None in a folder of an earlier version."""
    ssimae: str | None = None
    """Version; None in a folder of an earlier one."""
    created: str | None = None
    """When it was begun, UTC in ISO 8601; None in a folder of an earlier version, as what follows."""
    model_sha256: str | None = None
    """SHA-256 of the model file."""
    alarm: str | None = None
    """That the network of the model learned nothing, in a sentence, where it was to inspect images all the same."""
    passed_over: tuple[str, ...] = ()
    """Files below the folders among `images` that were not taken: for each reason how many, with names of some."""
    settings_sha256: str | None = None
    """SHA-256 of the settings, and of the thresholds, that the images were inspected with; None in a folder of an
    earlier version."""
    thresholds_sha256: str | None = None
    pixel_size: Positive | None = None
    """Millimetres that a pixel stands for."""
    maps: Kept = "all"
    """Images whose maps are written, whose masks, and whose overlays."""
    masks: Kept = "none"
    overlays: Kept = "none"
    continuous: bool = False
    """Whether images were inspected as the frames of one surface."""
    engine: EngineName = "torch"
    """What ran the network, where the model is one of torch."""
    calibrated: bool | None = None
    """Whether verdicts rest on calibrated residuals; None in a folder of an earlier version."""

    review: Positive | None = None
    """Threshold that was named for this time, and the one for `defective`; None for the model's."""
    defective: Positive | None = None

    def graded_warnings(self) -> list[tuple[str, bool]]:
        """Return the alarm, if there is one, as a warning that makes the results worthless."""
        return [] if self.alarm is None else [(self.alarm, True)]


def facts_from_table(table: Mapping[str, Any]) -> Facts | PredictFacts:
    """Return what a table ``[run]`` holds, of whichever kind it is.

    Raises
    ------
    ValueError
        If it is of neither kind.
    """
    return PredictFacts.from_table(table) if "model" in table else Facts.from_table(table)


def source_commit() -> str | None:
    """Return the commit of the source that runs, marked where files differ from it; None for an installed package."""
    here = Path(__file__)
    try:
        # An installed copy may lie inside a repository of something else.
        _git(here.parent, "ls-files", "--error-unmatch", here.name)
        return _git(here.parent, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
