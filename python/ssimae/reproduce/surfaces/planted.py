"""Store what planted defects said of a finished run beside what its real defects say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ssimae.atomic import write_text
from ssimae.progress import Progress
from ssimae.reading import read_json
from ssimae.reproduce.cells import Cell
from ssimae.reproduce.figures.curves import save_figure
from ssimae.reproduce.stored.results import digest
from ssimae.reproduce.surfaces.agreement import agreement_table, compare_treatments
from ssimae.reproduce.surfaces.reliability import real_detections, reliability_figure, reliability_table

_FOLDER = "planted"


def compare_planted(
    cells: Sequence[Cell], out: Path, results: Path, *, device: torch.device, progress: Progress
) -> list[dict[str, Any]]:
    """Return, for each finished cell, how treatments rank and which real defects are found; store it once.

    Raises
    ------
    OSError, ValueError
        If a run is damaged, or its images are gone.
    """
    found = []
    for cell in cells:
        folder = cell.folder(out)
        path = results / cell.data_name / _FOLDER / f"{cell.name.rsplit('/', 1)[1]}.json"
        model = digest([folder.model])
        stored: dict[str, Any] = read_json(path, dict[str, Any]) if path.exists() else {}
        if stored.get("model_sha256") != model:
            stored = {
                "planted_of": cell.name,
                "model_sha256": model,
                "treatments": compare_treatments(folder, device=device, progress=progress),
                "defects": real_detections(folder),
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(stored, indent=1) + "\n")
        found.append(stored)
    return found


def read_planted(results: Path) -> list[dict[str, Any]]:
    """Return all that is stored, in the order of the names."""
    return [read_json(path, dict[str, Any]) for path in sorted(results.glob(f"*/{_FOLDER}/*.json"))]


def planted_tables(stored: Sequence[dict[str, Any]]) -> list[str]:
    """Return how planted and real defects agree on treatments, and on what is found, as Markdown."""
    return [
        agreement_table({_data(content): content["treatments"] for content in stored}),
        reliability_table({_data(content): content["defects"] for content in stored}),
    ]


def draw_reliability(stored: Sequence[dict[str, Any]], path: Path) -> list[Path]:
    """Write the share of real defects found over the predicted one as ``<path>.pdf`` and ``.png``; return both."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_figure(reliability_figure({_data(content): content["defects"] for content in stored}), path)


def _data(content: dict[str, Any]) -> str:
    return str(content["planted_of"]).split("/", 1)[0]
