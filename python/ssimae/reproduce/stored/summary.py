"""Tabulate all stored results, as docs/results.md shows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from ssimae.config.systems import title_with_features
from ssimae.data.layouts import LAYOUTS
from ssimae.reading import read_json
from ssimae.reproduce.cells import SURFACES
from ssimae.reproduce.paper import AUROC, TABLE_2
from ssimae.reproduce.targets import LABELS, overlap_at_5_percent, spread

_BUDGETS = {"best": "best settings", "quick": "quick"}
"""What a row says of its budget; it says nothing of the paper's exact settings."""


def read_cell_results(results: Path) -> list[dict[str, Any]]:
    """Return the stored results of all cells, in the order of their names.

    Raises
    ------
    OSError
        If there is none.
    ValueError
        If a file is damaged.
    """
    contents = []
    for path in sorted(results.rglob("*.json"), key=_natural):
        content: Any = read_json(path, dict[str, Any] | list[Any])  # type: ignore[arg-type]
        if isinstance(content, dict) and "cell" in content:
            contents.append(content)
    if not contents:
        raise FileNotFoundError(f"{results}: no results of cells")
    return contents


def summary_table(results: Sequence[dict[str, Any]], *, settings: bool = False) -> str:
    """Return a row for each system, data set and budget, seeds together, as Markdown.

    With `settings`, the rows are those of the study of single settings instead.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        name = result["cell"].rsplit("-seed", 1)[0]
        if name.split("/")[1] == SURFACES:
            continue
        studied = {change.split("=")[0] for change in _changes(name)} - LABELS.keys()
        if result["metrics"] is not None and bool(studied) == settings:
            groups.setdefault(name, []).append(result)
    lines = [
        "| data | system | patches | AUROC | paper | AU-PRO | overlap at FPR 5 %, 25/50/75 % | trained in |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, group in groups.items():
        first = group[0]
        system = name.rsplit("/", 1)[1].split("-")[0]
        named = dict(change.split("=", 1) for change in _changes(name))
        changes = [change for change in _changes(name) if not change.startswith("features=")]
        budget = _BUDGETS.get(name.split("/")[1].split(",")[0])
        title = title_with_features(system, named.get("features", "imagenet"))
        title = ", ".join([title, *filter(None, [budget]), *map(_label, changes)])
        stored = [result["metrics"] for result in group]
        overlaps = zip(*(overlap_at_5_percent(metrics) for metrics in stored), strict=True)
        paper = _paper(system, changes) if LAYOUTS[first["facts"]["layout"]].has_paper_values else None
        columns = [
            name.split("/", 1)[0],
            title,
            f"{first['training']['patches']:,}",
            spread([metrics["auroc"] for metrics in stored]),
            "" if paper is None else f"{paper:.3f}",
            spread([metrics["au_pro"] for metrics in stored]),
            "/".join(f"{mean(values):.2f}" for values in overlaps),
            _time(group),
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def _time(group: Sequence[dict[str, Any]]) -> str:
    """Return how long the trainings of a row took, seeds averaged, and on what."""
    seconds = mean(result["training"]["elapsed_s"] for result in group)
    taken = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    return f"{taken}, {devices(group)}"


def devices(group: Sequence[dict[str, Any]]) -> str:
    """Return what the trainings of a row ran on, as far as it decides their time."""
    # Of "AMD EPYC, 2 threads, AVX512" and "NVIDIA H200 (CUDA 13.0)" what decides the time.
    names = dict.fromkeys(
        ", ".join(result["facts"]["device"].split(" (")[0].split(", ")[:2]).replace("1 threads", "1 thread")
        for result in group
    )
    return " and ".join(names)


def _changes(name: str) -> list[str]:
    """Return the changed settings in the name of a cell without its seed; a value may hold a hyphen, too.

    Table 2 changes the window of the residual with the loss's; that goes without saying.
    """
    changes = re.split(r"-(?=[a-z0-9_]+=)", name.rsplit("/", 1)[1])[1:]
    if any(change.startswith("window_size=") for change in changes):
        return [change for change in changes if not change.startswith("residual_window_size=")]
    return changes


def _paper(system: str, changes: Sequence[str]) -> float | None:
    """Return the AUROC that the paper gives a system on NanoTWICE, or table 2 the one with a changed setting."""
    if not changes:
        return AUROC.get(system)
    setting, value = changes[0].split("=", 1)
    return TABLE_2[setting].get(int(value)) if setting in TABLE_2 else None


def _label(change: str) -> str:
    setting, value = change.split("=", 1)
    return f"{LABELS.get(setting, setting)} {value}"


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return what sorts numbers in names by their value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.as_posix())]
