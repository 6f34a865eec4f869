"""Plan a reproduction: its data sets, their presets, and the budget of each training."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ssimae.config.presets import Preset, preset
from ssimae.config.settings import Settings, as_system
from ssimae.config.systems import ROWS, Features, title_with_features
from ssimae.data.layouts import LAYOUTS, open_dataset
from ssimae.data.synthetic import write_woven_dataset
from ssimae.models.features import pretrained_name
from ssimae.reproduce.cells import Cell

Budget = Literal["quick", "paper", "best"]
"""Share of the paper's patches that its settings train on; `best` is the tool's own best settings and their patches."""

Way = Literal["plain", "paper", "auto"]
"""A way to a trained network: the plain script, the paper's training by this tool, the command without flags."""

WAYS: tuple[Way, ...] = get_args(Way)

WOVEN_EPOCHS: dict[Budget, int] = {"quick": 20, "paper": 200}
"""Passes over 2,000 small patches of the embedded textures."""


@dataclass(frozen=True)
class Material:
    """One data set, and the settings that the paper uses on such."""

    name: str
    data: Path
    preset: Preset
    has_paper_values: bool
    """Whether the paper's numbers are of this data set."""
    ignore: Path | None = None
    """Mask of what is not inspected, or a folder of them."""

    def preset_for(self, budget: Budget) -> Preset:
        """Return the name of the preset that a budget stands for."""
        if budget == "best":
            best: dict[Preset, Preset] = {"paper": "best", "paper-texture": "best-texture"}
            return best.get(self.preset, self.preset)
        return self.preset

    def settings(self, budget: Budget) -> Settings:
        """Return the settings of SSIM-AE at a budget."""
        if self.preset == "woven" and budget != "best":
            # Crops and residual as the paper takes them, as in its own presets.
            return dataclasses.replace(preset("woven"), epochs=WOVEN_EPOCHS[budget], stains=0, residual_scales=1)
        return preset(self.preset_for(budget), quick=budget == "quick")


@dataclass(frozen=True)
class Plan:
    """Everything that all cells of a reproduction share."""

    materials: tuple[Material, ...]
    budget: Budget
    seeds: tuple[int, ...]
    epochs: int | None = None
    """Other than the budget's, or None."""
    pretrained: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    """Files of pretrained weights by network, where torchvision's cache does not hold them."""
    features: Features = "imagenet"
    """Fixed features of the systems that have some."""
    ways: tuple[Way, ...] = WAYS
    """What is compared over time."""
    minutes: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 20.0)
    """Times that it is compared at."""

    @property
    def budget_name(self) -> str:
        """Budget part of cell and figure names; plain ``epochs=25`` means the paper's exact settings."""
        if self.epochs is None:
            return self.budget
        return f"{'' if self.budget == 'paper' else f'{self.budget},'}epochs={self.epochs}"

    def cell(self, material: Material, system: str, seed: int, **changes: Any) -> Cell:
        """Return the cell of a system on a data set, single settings changed."""
        base = material.settings(self.budget)
        if ROWS[system].pretrained is not None:
            changes = {"features": self.features, **changes}
        if self.epochs is not None:
            base = dataclasses.replace(base, epochs=self.epochs)
        settings = dataclasses.replace(as_system(base, system), seed=seed, **changes)
        # A change to what the preset has anyway is the preset's own cell.
        changed = [f"{name}={value}" for name, value in changes.items() if getattr(base, name) != value]
        return Cell(
            name="/".join([material.name, self.budget_name, "-".join([system, *changed, f"seed{seed}"])]),
            data=material.data,
            ignore=material.ignore,
            settings=settings,
            preset=material.preset_for(self.budget),
            quick=self.budget == "quick",
            pretrained=self.pretrained.get(settings.row.pretrained or ""),
        )

    def title(self, system: str) -> str:
        """Return what a row or curve of a system is called."""
        return title_with_features(system, self.features)

    def cells(self, material: Material, system: str, **changes: Any) -> list[Cell]:
        """Return that cell for each seed."""
        return [self.cell(material, system, seed, **changes) for seed in self.seeds]


def find_materials(data: Sequence[Path], out: Path, *, ignore: Path | None = None) -> tuple[Material, ...]:
    """Return the data sets at hand; without any, the embedded textures, written below `out`.

    Raises
    ------
    OSError, ValueError
        If a folder is no data set with test images and masks, two are called alike, or there is an ignore mask for
        other than one.
    """
    if ignore is not None and len(data) != 1:
        raise ValueError(f"`--ignore` is for one data set, got {len(data)} with --data")
    if not data:
        root = out / "data" / "woven"
        if not root.exists():
            partial = root.with_name(".woven")
            shutil.rmtree(partial, ignore_errors=True)
            write_woven_dataset(partial, seed=0)
            partial.rename(root)
        return (Material("woven", root, "woven", False),)
    materials: dict[str, Material] = {}
    for path in data:
        dataset = open_dataset(path, ignore=ignore)
        if not any(sample.masks for sample in dataset.test):
            raise ValueError(f"{path}: no test images with masks, so nothing can be measured on it")
        if dataset.name in materials:
            raise ValueError(f"{path}: two data sets are called {dataset.name!r}")
        layout = LAYOUTS[dataset.layout]
        materials[dataset.name] = Material(
            dataset.name, dataset.root, layout.paper_preset, layout.has_paper_values, ignore
        )
    return tuple(materials.values())


def find_pretrained(files: Sequence[Path]) -> dict[str, Path]:
    """Return files of pretrained weights by the network they are of.

    Raises
    ------
    OSError, ValueError
        If one cannot be read, or is not torchvision's.
    """
    return {pretrained_name(file): file for file in files}
