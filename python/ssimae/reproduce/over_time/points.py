"""List what is compared over time: which training, for how long, and where its run folder lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssimae.config.presets import Preset, preset
from ssimae.config.settings import PATCH_SIZES, Settings
from ssimae.data.dataset import good_samples, inspected_samples
from ssimae.data.layouts import open_dataset
from ssimae.images.read import image_size
from ssimae.reproduce.cells import Cell
from ssimae.reproduce.plan import Material, Plan, Way
from ssimae.reproduce.surfaces.table import COMMANDS

TIME = "time"
"""Second part of the names of what is compared over time, and folder of its numbers below that of the data set."""

FALSE_CALLS = 0.05
"""Share of good images that may be flagged: what the command without flags asks for, and so all are asked."""


@dataclass(frozen=True)
class Point:
    """One network: what a way reaches in some minutes."""

    way: Way
    minutes: float
    seed: int
    cell: Cell

    @property
    def name(self) -> str:
        """Name of the file of its numbers, without suffix."""
        return f"{self.way}-minutes={self.minutes:g}-seed{self.seed}"

    def snapshots(self, out: Path) -> Path:
        """Return the folder of the training that it is taken from, where one training gives several networks."""
        return out / self.cell.data_name / TIME / f"{self.way}-seed{self.seed}"

    def record(self, results: Path) -> Path:
        """Return the file of its numbers."""
        return results / self.cell.data_name / TIME / f"{self.name}.json"


def list_points(plan: Plan, material: Material, seed: int, way: Way) -> list[Point]:
    """Return what a way reaches on a data set, a point for each of the times, the shortest first.

    Raises
    ------
    OSError, ValueError
        If an image cannot be read, or one is too small for the network.
    """
    return [
        Point(
            way,
            minutes,
            seed,
            _auto(material, minutes, seed) if way == "auto" else _paper(material, minutes, seed, way),
        )
        for minutes in sorted(set(plan.minutes))
    ]


def _auto(material: Material, minutes: float, seed: int) -> Cell:
    """Return the cell of the command without flags; of the times that ``reproduce surfaces`` runs, it is that one."""
    known = [command.name for command in COMMANDS if command.minutes == minutes]
    return Cell(
        name=f"{material.name}/surfaces/{known[0]}-seed{seed}"
        if known
        else f"{material.name}/{TIME}/auto-minutes={minutes:g}-seed{seed}",
        data=material.data,
        ignore=material.ignore,
        settings=dataclasses.replace(preset("auto"), seed=seed),
        preset="auto",
        minutes=minutes,
    )


def _paper(material: Material, minutes: float, seed: int, way: Way) -> Cell:
    name: Preset = "paper" if material.preset == "paper" else "paper-texture"
    return Cell(
        name=f"{material.name}/{TIME}/{way}-minutes={minutes:g}-seed{seed}",
        data=material.data,
        ignore=material.ignore,
        settings=dataclasses.replace(paper_settings(name, _shortest_side(material)), seed=seed),
        preset=name,
    )


def paper_settings(name: Preset, shortest: int) -> Settings:
    """Return the paper's settings for images of which the shortest side is so many pixels, with parts held out.

    Raises
    ------
    ValueError
        If no patch fits.

    Notes
    -----
    Thresholds are set as the command without flags sets them, on good images that were kept out of training. Images
    that are smaller than a patch, after they were scaled, are taken at their own size with the largest patch that fits.
    """
    settings = dataclasses.replace(preset(name), hold_out=True, false_calls=FALSE_CALLS)
    if shortest * settings.scale >= settings.patch_size:
        return settings
    fitting = [size for size in PATCH_SIZES if size <= min(shortest, settings.patch_size)]
    if not fitting:
        raise ValueError(
            f"an image is {shortest} pixels wide or high, smaller than the smallest patch, {PATCH_SIZES[0]}"
        )
    return dataclasses.replace(settings, scale=1.0, patch_size=fitting[-1], stride=min(settings.stride, fitting[-1]))


def _shortest_side(material: Material) -> int:
    dataset = open_dataset(material.data, ignore=material.ignore)
    samples: Sequence[Path] = [sample.path for sample in [*good_samples(dataset), *inspected_samples(dataset)]]
    return min(min(image_size(path)) for path in samples)
