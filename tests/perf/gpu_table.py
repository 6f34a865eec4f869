"""The results of one run on a card as a Markdown table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gpu_card import Timing


class Row(NamedTuple):
    """One contender doing one work on images of one shape."""

    shape: str
    work: str
    contender: str
    floor_s: float
    eager: Timing | None = None
    graph: Timing | None = None
    """Replay of a CUDA graph; None if it could not be captured."""
    back_to_back_s: float | None = None
    peak_bytes: int | None = None
    """Memory beyond the images while a step runs, its result included."""
    note: str = ""
    """Why there is no number."""


def write_results(folder: Path, facts: dict[str, Any], rows: Sequence[Row]) -> tuple[Path, Path]:
    """Write `<card>-<date>.md` and `.json` into a folder and return their paths; no half-written file is ever seen.

    Parameters
    ----------
    facts : dict
        What the numbers belong to; needs `card` and `date`, and values that JSON can hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", f"{facts['card']}-{facts['date']}".lower()).strip("-")
    table, numbers = folder / f"{name}.md", folder / f"{name}.json"
    as_dicts = [row._asdict() | {"eager": _timing(row.eager), "graph": _timing(row.graph)} for row in rows]
    _write(numbers, json.dumps({"facts": facts, "rows": as_dicts}, indent=1) + "\n")
    _write(table, markdown(facts, rows))
    return table, numbers


def _timing(timing: Timing | None) -> dict[str, float] | None:
    return None if timing is None else timing._asdict()


def _write(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def markdown(facts: dict[str, Any], rows: Sequence[Row]) -> str:
    """Return the facts and one table for each shape and work."""
    lines = ["# SSIM loss on a GPU", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    lines += [
        "Times in microseconds: median (from, to: a fifth of the runs was faster, a fifth slower), the L2 emptied "
        "before each run. Back to back: mean of runs on end. Times floor: median over the least time that the card "
        "allows. Peak: MiB beyond the images, results included.",
    ]
    for title in dict.fromkeys((row.shape, row.work) for row in rows):
        found = [row for row in rows if (row.shape, row.work) == title]
        lines += [
            "",
            f"## {title[0]}, {title[1]}: floor {1e6 * found[0].floor_s:.1f}",
            "",
            "| | eager | graph | back to back | times floor | peak |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_line(row) for row in found]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    if row.note:
        return f"| {row.contender} | {row.note.replace('|', '/')} | | | | |"
    best = row.graph or row.eager
    cells = [
        row.contender,
        _cell(row.eager),
        _cell(row.graph),
        "" if row.back_to_back_s is None else f"{1e6 * row.back_to_back_s:.1f}",
        "" if best is None else f"{best.median / row.floor_s:.2f}",
        "" if row.peak_bytes is None else f"{row.peak_bytes / 2**20:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _cell(timing: Timing | None) -> str:
    if timing is None:
        return "none"
    return f"{1e6 * timing.median:.1f} ({1e6 * timing.low:.1f}, {1e6 * timing.high:.1f})"
