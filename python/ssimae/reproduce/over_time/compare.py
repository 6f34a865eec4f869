"""Train, inspect and measure all that is compared over time, one after the other: they share no processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ssimae.data.layouts import open_dataset
from ssimae.errors import SafeguardError
from ssimae.jobs.stages import read_good_images
from ssimae.progress import Progress
from ssimae.reproduce.cells import run_cells
from ssimae.reproduce.figures.curves import save_figure
from ssimae.reproduce.over_time.figure import time_figure
from ssimae.reproduce.over_time.measured import adopt, measure
from ssimae.reproduce.over_time.points import Point, list_points
from ssimae.reproduce.over_time.snapshots import take_snapshots
from ssimae.reproduce.over_time.table import join_seeds, time_table
from ssimae.reproduce.plan import Plan


@dataclass
class OverTime:
    """What was measured of all that is compared, and what could not be, and why."""

    measured: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def table(self) -> str:
        """Return a row for each data set, way, machine and time, as Markdown."""
        return time_table(join_seeds(self.measured))

    def draw(self, path: Path) -> list[Path]:
        """Write the figure as ``<path>.pdf`` and ``.png`` and return both; nothing where nothing was measured."""
        if not self.measured:
            return []
        path.parent.mkdir(parents=True, exist_ok=True)
        return save_figure(time_figure(join_seeds(self.measured)), path)


def compare_over_time(plan: Plan, out: Path, results: Path, *, device: torch.device, progress: Progress) -> OverTime:
    """Return what each way of a plan reaches after each of its times, on each data set, with each seed.

    What is finished is not repeated, and what was interrupted goes on: one training of the plain script, or of the
    paper's settings, gives the networks of all times; the command without flags is run once for each, since how it
    trains depends on the time it has.

    Raises
    ------
    InterruptedRunError
        If Ctrl-C or SIGTERM ended a training.
    """
    over_time = OverTime()
    for material in plan.materials:
        for seed in plan.seeds:
            for way in plan.ways:
                try:
                    points = list_points(plan, material, seed, way)
                    if way != "auto":
                        points = _train(points, out, device=device, progress=progress)
                except (OSError, ValueError, SafeguardError) as error:
                    over_time.failures[f"{material.name}, {way}, seed {seed}"] = str(error)
                    continue
                for point in points:
                    _finish(point, over_time, out, results, device=device, progress=progress)
    return over_time


def _train(points: Sequence[Point], out: Path, *, device: torch.device, progress: Progress) -> list[Point]:
    """Train once for all points of a way, and make each a run; return those that the training lasted for."""
    cell = points[0].cell
    if all(point.cell.folder(out).config.exists() for point in points):
        return list(points)
    good = read_good_images(open_dataset(cell.data, ignore=cell.ignore), cell.settings, progress)
    snapshots = take_snapshots(
        points[0].way,
        good,
        cell.settings,
        points[0].snapshots(out),
        [point.minutes for point in points],
        device=device,
        progress=progress,
    )
    trained = list(points[: len(snapshots)])
    for point, snapshot in zip(trained, snapshots, strict=True):
        if not point.cell.folder(out).config.exists():
            adopt(point, snapshot, good, out, device=device)
    return trained


def _finish(
    point: Point, over_time: OverTime, out: Path, results: Path, *, device: torch.device, progress: Progress
) -> None:
    failures = run_cells([point.cell], out, device=str(device), progress=progress)
    if not failures:
        try:
            over_time.measured.append(measure(point, out, results, device=device, progress=progress))
        except (OSError, ValueError) as error:
            failures = {point.cell.name: str(error)}
    over_time.failures |= failures
