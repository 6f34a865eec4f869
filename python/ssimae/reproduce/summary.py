"""All stored results as one table, as the README shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from ssimae.reproduce.paper import AUROC
from ssimae.reproduce.tables import spread
from ssimae.reproduce.targets import LABELS, overlap_at_5_percent
from ssimae.systems import TITLES


def read_results(results: Path) -> list[dict[str, Any]]:
    """Return the stored results of all cells, in the order of their names.

    Raises
    ------
    OSError
        If there is none.
    ValueError
        If a file is damaged.
    """
    found = []
    for path in sorted(results.rglob("*.json"), key=_natural):
        try:
            content = json.loads(path.read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not JSON ({error})") from error
        if isinstance(content, dict) and "cell" in content:
            found.append(content)
    if not found:
        raise FileNotFoundError(f"{results}: no results of cells")
    return found


def summary_table(results: Sequence[dict[str, Any]]) -> str:
    """Return a row for each system, data set and budget, seeds together, as Markdown."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        if result["metrics"] is not None:
            groups.setdefault(result["cell"].rsplit("-seed", 1)[0], []).append(result)
    lines = [
        "| data | system | patches | AUROC | paper | AU-PRO | overlap at FPR 5 %, 25/50/75 % |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, group in groups.items():
        first = group[0]
        system, *changes = name.rsplit("/", 1)[1].split("-")
        changed = [_label(change) for change in changes if not change.startswith("residual_window_size=")]
        best = ["best settings"] if name.split("/")[1].startswith("best") else []
        title = ", ".join([TITLES[system], *best, *changed])
        stored = [result["metrics"] for result in group]
        overlaps = zip(*(overlap_at_5_percent(metrics) for metrics in stored), strict=True)
        paper = AUROC.get(system) if first["facts"]["layout"] == "nanotwice" else None
        columns = [
            name.split("/", 1)[0],
            title,
            f"{first['training']['patches']:,}",
            spread([metrics["auroc"] for metrics in stored]),
            "" if paper is None else f"{paper:.3f}",
            spread([metrics["au_pro"] for metrics in stored]),
            "/".join(f"{mean(values):.2f}" for values in overlaps),
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def _label(change: str) -> str:
    setting, value = change.split("=", 1)
    return f"{LABELS.get(setting, setting)} {value}"


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return what sorts numbers in names by their value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.as_posix())]
