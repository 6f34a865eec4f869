"""Verify stored results: compute their metrics again from the residual maps that they came from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from ssimae.data.dataset import inspected_samples
from ssimae.data.layouts import open_dataset
from ssimae.jobs.evaluate import evaluation_of
from ssimae.progress import Progress, SilentProgress
from ssimae.reproduce.over_time.measured import read_measured
from ssimae.reproduce.stored.results import mapsdigest
from ssimae.reproduce.stored.summary import read_cell_results
from ssimae.storage.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Verified:
    """Whether a stored result agrees with the residual maps it came from."""

    name: str
    """Of the cell, or of what was measured over time."""
    agrees: bool | None
    """None where it could not be tested."""
    note: str


@dataclasses.dataclass(frozen=True)
class _Stored:
    """What was stored of a run."""

    name: str
    run: str
    """Its folder below that of the runs."""
    metrics: dict[str, Any] | None
    """None where the run had none."""
    residuals_sha256: str
    whole: bool
    """Whether `metrics` are all of the run, and not some."""


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
    over_time = [
        _Stored(
            f"{record['data']}/time/{record['way']} after {record['minutes']:g} min, seed {record['seed']}",
            record["time_of"],
            record["metrics"],
            record["residuals_sha256"],
            whole=False,
        )
        for record in read_measured(results)
    ]
    try:
        cells = read_cell_results(results)
    except FileNotFoundError:
        if not over_time:
            raise
        cells = []
    stored = [
        _Stored(cell["cell"], cell["cell"], cell["metrics"], cell["residuals_sha256"], whole=True) for cell in cells
    ]
    stored += over_time
    verified = []
    with progress.task("verifying", len(stored)) as task:
        for count, result in enumerate(stored, 1):
            verified.append(_verify(result, RunFolder(out / result.run)))
            task.update(count)
    return verified


def _verify(stored: _Stored, folder: RunFolder) -> Verified:
    if not folder.config.exists() or not folder.residuals.exists():
        return Verified(stored.name, None, f"no residuals in {folder.root}")
    if stored.metrics is None:
        return Verified(stored.name, None, "no metrics were stored")
    if mapsdigest(folder) != stored.residuals_sha256:
        return Verified(stored.name, False, "the residuals are not those the result came from")
    _, facts = folder.read_training()
    samples = inspected_samples(open_dataset(facts.data, ignore=facts.ignore))
    limits = [float(limit) for limit in stored.metrics["aupros"]]
    evaluation = evaluation_of(folder, samples, SilentProgress(), fpr_limits=limits)
    if evaluation is None:
        return Verified(stored.name, False, "no mask marks a pixel now")
    found = json.loads(json.dumps(evaluation.to_dict()))
    for name in found if stored.whole else stored.metrics:
        if stored.metrics.get(name) != found.get(name):
            return Verified(stored.name, False, f"`{name}` differs")
    return Verified(stored.name, True, f"AUROC {found['auroc']:.4f}, every metric equal to the last digit")
