"""Define the paper's figures and tables: the cells each needs, and its numbers beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, Literal

from ssimae.config.systems import System
from ssimae.reproduce.cells import Cell
from ssimae.reproduce.paper import AUROC, MEDIAN_OVERLAP, TABLE_2
from ssimae.reproduce.plan import Material, Plan

Target = Literal["fig5", "fig6", "fig7", "table2"]

SYSTEMS: dict[Target, tuple[System, ...]] = {
    "fig5": ("l2", "ssim"),
    "fig6": ("ssim", "l2", "vae", "fm", "dictionary"),
    "fig7": ("ssim", "dictionary"),
}
"""What each figure compares; Napoletano's dictionary, which the paper quotes in the text and in figure 7, is run."""

SWEEPS: dict[str, dict[str, tuple[int, ...]]] = {
    "paper": {setting: tuple(values) for setting, values in TABLE_2.items()},
    # Small patches of a weave hold less than nanofibres: where d is too small lies lower, and 128 is half an image.
    "woven": {"latent_dim": (2, 5, 20, 100, 500), "window_size": (3, 7, 11, 15, 19), "patch_size": (32, 64, 128)},
}

LABELS = {"latent_dim": "latent dimension", "window_size": "SSIM window", "patch_size": "patch size"}

Results = Mapping[str, Mapping[str, Any]]
"""Stored results by name of their cell."""


@dataclass(frozen=True)
class TargetRow:
    """One number of the paper, and ours."""

    label: str
    paper: float | None
    """None where the paper gives no number for it."""
    ours: tuple[float, ...]
    """One for each seed that was run; empty where none was."""

    @property
    def difference(self) -> float | None:
        """Our mean minus the paper's value."""
        return mean(self.ours) - self.paper if self.ours and self.paper is not None else None


@dataclass(frozen=True)
class TargetTable:
    """Rows under one title."""

    title: str
    measure: str
    rows: tuple[TargetRow, ...]

    def as_text(self) -> str:
        """Return the table for a terminal."""
        width = max([len(row.label) for row in self.rows] + [10])
        lines = [self.title, f"{'':<{width}}  {'paper':>7}  {self.measure:>18}  {'difference':>10}"]
        lines += [
            f"{row.label:<{width}}  {_number(row.paper):>7}  {spread(row.ours):>18}  {_signed(row.difference):>10}"
            for row in self.rows
        ]
        return "\n".join(line.rstrip() for line in lines)


def target_cells(target: Target, plan: Plan) -> list[Cell]:
    """Return the cells that a figure or table needs."""
    if target == "table2":
        return [
            cell
            for material in plan.materials
            for setting, values in sweeps(material).items()
            for value in values
            for cell in sweep_cells(plan, material, setting, value)
        ]
    return [cell for material in plan.materials for system in SYSTEMS[target] for cell in plan.cells(material, system)]


def sweeps(material: Material) -> dict[str, tuple[int, ...]]:
    """Return the values of table 2 for a data set, by setting."""
    return SWEEPS["woven" if material.preset == "woven" else "paper"]


def sweep_cells(plan: Plan, material: Material, setting: str, value: int) -> list[Cell]:
    """Return the cells of one entry of table 2. The window is that of the loss and of the residual alike."""
    changes: dict[str, Any] = {setting: value}
    if setting == "window_size":
        changes["residual_window_size"] = value
    if setting == "patch_size":
        changes["stride"] = min(value, plan.cell(material, "ssim", plan.seeds[0]).settings.stride)
    return plan.cells(material, "ssim", **changes)


def target_tables(target: Target, plan: Plan, results: Results) -> list[TargetTable]:
    """Return what a figure or table says in numbers, beside the paper's."""
    if target == "table2":
        return [
            _sweep_table(plan, material, setting, results)
            for material in plan.materials
            for setting in sweeps(material)
        ]
    tables = []
    for material in plan.materials:
        rows = [
            _row(
                plan.title(system),
                AUROC.get(system) if material.has_paper_values else None,
                plan.cells(material, system),
                results,
            )
            for system in SYSTEMS[target]
        ]
        tables.append(TargetTable(f"{material.name}, {_budget(plan, material)}: pixel AUROC", "AUROC", tuple(rows)))
        if target == "fig7":
            tables.append(_overlap_table(plan, material, results))
    return tables


def _overlap_table(plan: Plan, material: Material, results: Results) -> TargetTable:
    rows = []
    for system in SYSTEMS["fig7"]:
        cells = plan.cells(material, system)
        for index, share in enumerate(("25 %", "50 %", "75 %")):
            known = index == 1 and system == "ssim" and material.has_paper_values
            paper = MEDIAN_OVERLAP if known else None
            values = tuple(
                overlap_at_5_percent(results[cell.name]["metrics"])[index] for cell in cells if cell.name in results
            )
            rows.append(TargetRow(f"{plan.title(system)}, {share} quantile", paper, values))
    title = f"{material.name}, {_budget(plan, material)}: overlap with the defects at FPR 5 %"
    return TargetTable(title, "overlap", tuple(rows))


def overlap_at_5_percent(metrics: Mapping[str, Any]) -> list[float]:
    """Return the overlap quantiles at a false positive rate of 5 % of stored metrics."""
    table = metrics["overlap"]
    column = table["fprs"].index(0.05)
    return [row[column] for row in table["values"]]


def _sweep_table(plan: Plan, material: Material, setting: str, results: Results) -> TargetTable:
    rows = [
        _row(
            str(value),
            TABLE_2[setting].get(value) if material.has_paper_values else None,
            sweep_cells(plan, material, setting, value),
            results,
        )
        for value in sweeps(material)[setting]
    ]
    title = f"{material.name}, {_budget(plan, material)}: pixel AUROC by {LABELS[setting]}"
    return TargetTable(title, "AUROC", tuple(rows))


def _row(label: str, paper: float | None, cells: Sequence[Cell], results: Results) -> TargetRow:
    values = tuple(results[cell.name]["metrics"]["auroc"] for cell in cells if cell.name in results)
    return TargetRow(label, paper, values)


def _budget(plan: Plan, material: Material) -> str:
    settings = plan.cell(material, "ssim", plan.seeds[0]).settings
    return f"{settings.patches_total:,} patches"


def spread(values: Sequence[float]) -> str:
    """Return values as mean, standard deviation and their number."""
    if not values:
        return "not run"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{mean(values):.3f} ± {stdev(values):.3f} ({len(values)})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"
