"""Collect stored results and residuals for the paper's figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssimae.config.systems import ROWS, TITLES
from ssimae.data.dataset import GOOD, Sample
from ssimae.data.layouts import open_dataset
from ssimae.data.masks import load_marks, load_mask
from ssimae.evaluation.output import read_curves
from ssimae.images.maps import read_float_map
from ssimae.images.read import read_image
from ssimae.reproduce.cells import Cell
from ssimae.reproduce.figures.curves import (
    Curve,
    OverlapCurves,
    SweepPanel,
    figure_6,
    figure_7,
    figure_table_2,
    save_figure,
)
from ssimae.reproduce.figures.examples import Example, Segmented, figure_5
from ssimae.reproduce.paper import TABLE_2
from ssimae.reproduce.plan import Material, Plan
from ssimae.reproduce.targets import LABELS, SYSTEMS, Results, Target, sweep_cells, sweeps

EXAMPLES = 6
"""Images of a data set that fig. 5 shows."""

_CAPTION = (
    "Truth outlined red; found, at the threshold where 5 % of the good pixels are, green. "
    "Residuals from 0 (black) to the highest of their image."
)

SHOWN_FPR = 0.05
"""False positive rate at whose threshold fig. 5 shows segmentations: the same for all systems."""


def draw_target(target: Target, plan: Plan, out: Path, results: Results) -> list[Path]:
    """Write a figure for the cells that have results, as PDF and PNG below ``<out>/figures``; returns the files."""
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    budget = plan.budget_name
    if target == "fig5":
        written = []
        for material in plan.materials:
            examples = _examples(plan, material, out, results)
            if examples:
                written += save_figure(figure_5(examples, caption=_CAPTION), folder / f"fig5-{material.name}-{budget}")
        return written
    names = "-".join(material.name for material in plan.materials)
    path = folder / f"{target}-{names}-{budget}{'' if plan.features == 'imagenet' else f'-{plan.features}'}"
    titles = {system: plan.title(system) for system in ROWS}
    if target == "fig6":
        panels = {material.name: _curves(plan, material, out, results) for material in plan.materials}
        return save_figure(figure_6(panels, titles), path) if any(panels.values()) else []
    if target == "fig7":
        overlaps = {material.name: _overlaps(plan, material, out, results) for material in plan.materials}
        return save_figure(figure_7(overlaps, titles), path) if any(overlaps.values()) else []
    return [
        written
        for material in plan.materials
        for written in save_figure(
            figure_table_2(_sweep_panels(plan, material, results)), folder / f"table2-{material.name}-{budget}"
        )
    ]


def _examples(plan: Plan, material: Material, out: Path, results: Results) -> list[Example]:
    cells = {TITLES[system]: plan.cell(material, system, plan.seeds[0]) for system in SYSTEMS["fig5"]}
    if any(cell.name not in results for cell in cells.values()):
        return []
    found = []
    for sample in _typical(open_dataset(material.data).test):
        image = read_image(sample.path, channels=1)
        systems = {title: _segmented(cell, sample, out, results[cell.name]) for title, cell in cells.items()}
        found.append(
            Example(f"{sample.defect.replace('_', ' ')}\n{sample.name}", image, load_mask(sample, image.shape), systems)
        )
    return found


def _typical(samples: Sequence[Sample]) -> list[Sample]:
    """Return one defective image of each kind, that of median area; of a single kind, some spread over all areas."""
    kinds: dict[str, list[tuple[int, Sample]]] = {}
    for sample in samples:
        if sample.masks and sample.defect != GOOD:
            area = int(np.count_nonzero(load_marks(sample, None).marked))
            kinds.setdefault(sample.defect, []).append((area, sample))
    chosen = []
    for group in kinds.values():
        ordered = [sample for _, sample in sorted(group, key=lambda item: (item[0], item[1].name))]
        count = max(1, EXAMPLES // len(kinds))
        chosen += [ordered[len(ordered) * (2 * place + 1) // (2 * count)] for place in range(min(count, len(ordered)))]
    return chosen[:EXAMPLES]


def _segmented(cell: Cell, sample: Sample, out: Path, result: Mapping[str, Any]) -> Segmented:
    folder = cell.folder(out)
    residual = read_float_map(folder.map_path(folder.judged, sample.defect, sample.name))
    rebuilt = folder.map_path(folder.reconstructions, sample.defect, sample.name)
    threshold = result["metrics"]["threshold_at_fpr"][str(SHOWN_FPR)]
    return Segmented(
        reconstruction=read_float_map(rebuilt) if rebuilt.exists() else None,
        residual=residual,
        found=residual >= (np.inf if threshold is None else threshold),
    )


def _curves(plan: Plan, material: Material, out: Path, results: Results) -> dict[str, list[Curve]]:
    """Return the ROC curves of each system that was run, one a seed."""
    curves: dict[str, list[Curve]] = {}
    for system in SYSTEMS["fig6"]:
        for cell, stored in _stored_curves(plan.cells(material, system), out, results):
            auroc = results[cell.name]["metrics"]["auroc"]
            curves.setdefault(system, []).append(Curve(stored["roc_fpr"], stored["roc_tpr"], auroc))
    return curves


def _overlaps(plan: Plan, material: Material, out: Path, results: Results) -> dict[str, OverlapCurves]:
    """Return the overlap quantiles of each system that was run, for the first seed."""
    found: dict[str, OverlapCurves] = {}
    for system in SYSTEMS["fig7"]:
        for _, stored in _stored_curves(plan.cells(material, system)[:1], out, results):
            found[system] = OverlapCurves(stored["overlap_fpr"], stored["overlap_quantiles"], stored["overlap_values"])
    return found


def _stored_curves(cells: Sequence[Cell], out: Path, results: Results) -> Iterator[tuple[Cell, Mapping[str, Any]]]:
    for cell in cells:
        if cell.name in results:
            yield cell, read_curves(cell.folder(out).curves)


def _sweep_panels(plan: Plan, material: Material, results: Results) -> list[SweepPanel]:
    panels = []
    for setting, values in sweeps(material).items():
        ours = {
            value: tuple(
                results[cell.name]["metrics"]["auroc"]
                for cell in sweep_cells(plan, material, setting, value)
                if cell.name in results
            )
            for value in values
        }
        paper = TABLE_2[setting] if material.has_paper_values else {}
        panels.append(SweepPanel(LABELS[setting], paper, ours))
    return panels
