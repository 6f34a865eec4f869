"""Reproduce the paper's figures and tables: train what is missing, store the numbers, draw and tabulate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssimae.hardware import resolve_device
from ssimae.progress import Progress
from ssimae.reproduce.cells import Cell, run_cells
from ssimae.reproduce.figures.collect import draw_target
from ssimae.reproduce.over_time.compare import compare_over_time
from ssimae.reproduce.plan import Plan
from ssimae.reproduce.stored.results import write_result
from ssimae.reproduce.study import study_cells, study_table
from ssimae.reproduce.surfaces.planted import compare_planted, draw_reliability, planted_tables
from ssimae.reproduce.surfaces.table import flagless_cells, surface_cells, surface_table
from ssimae.reproduce.targets import Target, target_cells, target_tables

Trained = Target | Literal["settings", "best", "surfaces", "planted", "time"]
"""What needs trainings."""


@dataclass(frozen=True)
class Reproduction:
    """The outcome of a reproduction."""

    tables: tuple[str, ...]
    """As text."""
    written: tuple[Path, ...]
    """Figures."""
    failures: dict[str, str]
    """Cells that could not be run, and why."""


def reproduce(
    targets: Sequence[Trained],
    plan: Plan,
    *,
    out: Path,
    results: Path,
    device: str,
    ray: str | None = None,
    progress: Progress,
) -> Reproduction:
    """Make figures and tables of the paper again.

    Parameters
    ----------
    targets : sequence of {"fig5", "fig6", "fig7", "table2", "settings", "best", "surfaces", "planted", "time"}
    plan : Plan
        Data sets, budget, seeds.
    out : Path
        Folder of the runs and figures. Finished cells in it are not run again, interrupted ones go on.
    results : Path
        Folder of one JSON file a cell: numbers, and what they came from.
    device : str
    ray : str, optional
        Address of a Ray cluster that the cells are spread over.
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If a folder cannot be worked with.
    InterruptedRunError
        If Ctrl-C or SIGTERM ended a training; the numbers of finished ones are kept, and the next call goes on.
    """
    best = dataclasses.replace(plan, budget="best")
    cells = {cell.name: cell for target in targets for cell in _cells(target, best if target == "best" else plan)}
    try:
        failures = run_cells(list(cells.values()), out, device=device, ray=ray, progress=progress)
    finally:  # a sweep takes days: what is finished is kept when the rest is interrupted
        stored = {name: write_result(cell, out, results) for name, cell in cells.items() if cell.is_done(out)}
    tables: list[str] = []
    written: list[Path] = []
    for target in targets:
        if target == "settings" or target == "best":  # noqa: PLR1714
            study = best if target == "best" else plan
            tables += [study_table(study, material, stored) for material in plan.materials]
        elif target == "surfaces":
            tables.append(surface_table(list(stored.values())))
        elif target == "planted":
            done = [cell for cell in flagless_cells(plan) if cell.name in stored]
            compared = compare_planted(done, out, results, device=resolve_device(device), progress=progress)
            tables += planted_tables(compared)
            written += draw_reliability(compared, out / "figures" / "reliability")
        elif target == "time":
            over_time = compare_over_time(plan, out, results, device=resolve_device(device), progress=progress)
            failures |= over_time.failures
            tables.append(over_time.table())
            written += over_time.draw(out / "figures" / "time")
        else:
            tables += [table.as_text() for table in target_tables(target, plan, stored)]
            written += draw_target(target, plan, out, stored)
    return Reproduction(tuple(dict.fromkeys(tables)), tuple(written), failures)


def _cells(target: Trained, plan: Plan) -> list[Cell]:
    """Return what a target needs before it is tabulated; what is compared over time is trained by itself."""
    if target == "time":
        return []
    if target == "settings" or target == "best":  # noqa: PLR1714 - mypy does not narrow by `in`
        return study_cells(plan)
    if target == "surfaces":
        return surface_cells(plan)
    return flagless_cells(plan) if target == "planted" else target_cells(target, plan)
