"""Change settings one at a time, those that the paper leaves open or the tool's best, and tabulate the effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from ssimae.config.settings import inspection_settings
from ssimae.reproduce.cells import Cell
from ssimae.reproduce.plan import Material, Plan
from ssimae.reproduce.targets import Results, overlap_at_5_percent

VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("constants as the text reads, 0.01 and 0.03", {"constants": "literal"}),
    ("Gaussian window in the loss", {"window": "gaussian"}),
    ("uniform window in the loss", {"window": "uniform"}),
    ("positions of crops drawn once", {"crops": "pool"}),
    ("new positions each epoch", {"crops": "fresh"}),
    ("crops flipped and turned", {"turns": "all"}),
    ("crops zoomed by up to 15 %", {"zoom": 0.15}),
    ("three stains on each crop", {"stains": 3}),
    ("one-cycle learning rate", {"schedule": "one-cycle"}),
    ("learning rate falling over the last fifth", {"schedule": "cooldown"}),
    ("learning rate 1e-3", {"lr": 1e-3}),
    ("learning rate 2e-4", {"lr": 2e-4}),
    ("windows mirrored with the border pixel", {"border": "symmetric"}),
    ("windows continued by zeros", {"border": "zero"}),
    ("stopped after a quarter", {"epochs": 0.25}),
    ("stopped after half", {"epochs": 0.5}),
    ("Gaussian window in the residual", {"residual_window": "gaussian"}),
    ("uniform window in the residual", {"residual_window": "uniform"}),
    ("uniform window of 21 in the residual", {"residual_window": "uniform", "residual_window_size": 21}),
    ("patches' residuals averaged", {"residual_average": True}),
    ("no opening", {"opening": 0}),
    ("image continued by 30 pixels", {"margin": 30}),
    ("patches at stride 15", {"stride": 15}),
    ("residual at 2 scales", {"residual_scales": 2}),
    ("residual at 3 scales", {"residual_scales": 3}),
    ("residual at 4 scales", {"residual_scales": 4}),
    ("lowest residual of four mirrored images", {"residual_flips": True}),
    ("residual smoothed by 5 pixels", {"residual_smoothing": 5.0}),
    ("residual smoothed by 10 pixels", {"residual_smoothing": 10.0}),
)
"""What is changed; a share as `epochs` is one of the budget's. Those that a budget has anyway are left out there."""

BEST_VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("not smoothed", {"residual_smoothing": 0.0}),
    ("not smoothed, at one size: the paper's residual", {"residual_smoothing": 0.0, "residual_scales": 1}),
    ("residual at 2 scales", {"residual_scales": 2}),
    ("residual at 3 scales", {"residual_scales": 3}),
    ("lowest residual of four mirrored images", {"residual_flips": True}),
)
"""What is changed of the tool's best settings: the inspection alone."""


_UNCHANGED = {"quick": "the paper's settings, quick", "paper": "the paper's settings", "best": "the tool's best"}


@dataclass(frozen=True)
class Variant:
    """One row: a change, and the cells it was measured by."""

    label: str
    cells: tuple[Cell, ...]


def variants(plan: Plan, material: Material) -> list[Variant]:
    """Return the unchanged settings and every change to them; inspection alone takes the unchanged network."""
    base = plan.cells(material, "ssim")
    settings = base[0].settings
    found = [Variant(_UNCHANGED[plan.budget], tuple(base))]
    for label, changes in BEST_VARIANTS if plan.budget == "best" else VARIANTS:
        if isinstance(share := changes.get("epochs"), float):
            changes = {"epochs": max(1, round(share * settings.epochs))}  # noqa: PLW2901 - the same change, in numbers
        if all(getattr(settings, name) == value for name, value in changes.items()):
            continue
        cells = plan.cells(material, "ssim", **changes)
        if changes.keys() <= inspection_settings():
            cells = [dataclasses.replace(cell, source=source.name) for cell, source in zip(cells, base, strict=True)]
        found.append(Variant(label, tuple(cells)))
    return found


def study_cells(plan: Plan) -> list[Cell]:
    """Return all cells of the study."""
    return [cell for material in plan.materials for variant in variants(plan, material) for cell in variant.cells]


def study_table(plan: Plan, material: Material, results: Results) -> str:
    """Return a row a change: AUROC, AU-PRO and the overlap quantiles at FPR 5 %, as Markdown."""
    total = plan.cell(material, "ssim", plan.seeds[0]).settings.patches_total
    lines = [
        f"| {material.name}, {total:,} patches | AUROC | AU-PRO | overlap at FPR 5 %, 25/50/75 % |",
        "|---|---|---|---|",
    ]
    for variant in variants(plan, material):
        stored = [results[cell.name]["metrics"] for cell in variant.cells if cell.name in results]
        if not stored:
            lines.append(f"| {variant.label} | not run | | |")
            continue
        overlaps = zip(*(overlap_at_5_percent(metrics) for metrics in stored), strict=True)
        quartiles = "/".join(f"{mean(values):.2f}" for values in overlaps)
        columns = [_spread([metrics[name] for metrics in stored]) for name in ("auroc", "au_pro")]
        lines.append(f"| {variant.label} | {columns[0]} | {columns[1]} | {quartiles} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")
