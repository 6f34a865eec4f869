"""Store the result of a cell as one JSON file, with everything it came from, and verify stored ones."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ssimae.atomic import write_text
from ssimae.data.dataset import inspected_samples
from ssimae.data.layouts import open_dataset
from ssimae.evaluation.output import read_metrics
from ssimae.jobs.evaluate import evaluation_of
from ssimae.progress import Progress, SilentProgress
from ssimae.reading import file_sha256
from ssimae.report.assessment import assess_image
from ssimae.report.verdicts import count_verdicts
from ssimae.reproduce.cells import Cell
from ssimae.reproduce.stored.summary import read_cell_results
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


@dataclasses.dataclass(frozen=True)
class Verified:
    """Whether a stored result agrees with the residual maps it came from."""

    cell: str
    agrees: bool | None
    """None where it could not be tested."""
    note: str


def verify(results: Path, out: Path, *, progress: Progress) -> list[Verified]:
    """Compute the metrics of all stored results again from stored residuals.

    Parameters
    ----------
    results : Path
        Folder of the JSON files.
    out : Path
        Folder of the runs.
    progress : Progress

    Raises
    ------
    OSError, ValueError
        If there is no result, or a file is damaged.
    """
    stored, verified = read_cell_results(results), []
    with progress.task("verifying", len(stored)) as task:
        for count, result in enumerate(stored, 1):
            verified.append(_verify(result, out))
            task.update(count)
    return verified


def _verify(result: dict[str, Any], out: Path) -> Verified:
    name, folder = result["cell"], RunFolder(out / result["cell"])
    if not folder.config.exists() or not folder.residuals.exists():
        return Verified(name, None, f"no residuals in {folder.root}")
    if mapsdigest(folder) != result["residuals_sha256"]:
        return Verified(name, False, "the residuals are not those the result came from")
    _, facts = folder.read_training()
    samples = inspected_samples(open_dataset(facts.data, ignore=facts.ignore))
    stored = result["metrics"]
    evaluation = evaluation_of(folder, samples, SilentProgress(), fpr_limits=stored["fpr_limits"])
    found = {} if evaluation is None else evaluation.to_dict()
    differing = [key for key, value in json.loads(json.dumps(found)).items() if stored.get(key) != value]
    if differing:
        return Verified(name, False, f"`{differing[0]}` differs")
    return Verified(name, True, f"AUROC {found['auroc']:.4f}, every metric equal to the last digit")
