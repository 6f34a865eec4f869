"""Store the result of a cell as one JSON file, with everything it came from."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ssimae.atomic import write_text
from ssimae.evaluation.output import read_metrics
from ssimae.reading import file_sha256
from ssimae.report.assessment import assess_image
from ssimae.report.verdicts import count_verdicts
from ssimae.reproduce.cells import Cell
from ssimae.storage.facts import Facts
from ssimae.storage.records import read_results
from ssimae.storage.run_folder import RunFolder

_TRACE_POINTS = 50
_FACTS = (
    "dataset", "layout", "fingerprint", "preset", "quick", "created", "ssimae", "torch", "python", "platform", "device",
    "precision", "threads", "train_images", "features", "plateau", "warnings", "held_out",
)  # fmt: skip


def write_result(cell: Cell, out: Path, results: Path) -> dict[str, Any]:
    """Write the result of a finished cell as ``<results>/<name>.json`` and return it."""
    result = _result_of(cell.folder(out), cell.name)
    path = results / f"{cell.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(result, indent=1) + "\n")
    return result


def _result_of(folder: RunFolder, name: str) -> dict[str, Any]:
    settings, facts = folder.read_training()
    log = folder.read_log()
    step = max(1, len(log) // _TRACE_POINTS)
    trace = [log[line] for line in range(len(log) - 1, -1, -step)][::-1]
    return {
        "cell": name,
        "system": settings.system,
        "settings": dataclasses.asdict(settings),
        "facts": kept_facts(facts),
        "masked": facts.ignore is not None,
        "commit": facts.commit,
        "training": {
            "patches": settings.patches_total,  # the log ends a few steps before
            "elapsed_s": log[-1]["elapsed_s"],
            "trace": [[line["patches"], line["loss"]] for line in trace],
        },
        "model_sha256": digest([folder.model]),
        "residuals_sha256": mapsdigest(folder),
        "metrics": read_metrics(folder.metrics) if folder.metrics.exists() else None,
        "verdicts": _verdicts(folder),
        "seconds": folder.predictions.stat().st_mtime - datetime.datetime.fromisoformat(facts.created).timestamp(),
    }


def kept_facts(facts: Facts) -> dict[str, Any]:
    """Return the facts of a run that are stored beside its numbers."""
    table = facts.to_table()
    return {name: table[name] for name in _FACTS if name in table}


def mapsdigest(folder: RunFolder) -> str:
    """Return the SHA-256 over the maps that the metrics of a run rest on, by name."""
    return digest(sorted(folder.judged.rglob("*.tiff")), folder.judged)


def _verdicts(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """Return how the verdicts on good and on defective images came out."""
    results = read_results(folder)
    counts = count_verdicts([assess_image(results, inspection) for inspection in results.inspections])
    return {name: dataclasses.asdict(tally) for name, tally in counts.items()}


def digest(paths: Iterable[Path], root: Path | None = None) -> str:
    """Return the SHA-256 of files, and of their names below `root` where it is given."""
    digest = hashlib.sha256()
    for path in paths:
        if root is not None:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()
