"""Reproduce the comparison on the embedded textures over several seeds: mean, spread, and what is expected."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from ssimae.atomic import write_text
from ssimae.config.presets import preset
from ssimae.data.layouts import open_dataset
from ssimae.data.synthetic import DEFECTS
from ssimae.evaluation.output import read_metrics
from ssimae.evaluation.stored_maps import gather
from ssimae.images.maps import read_float_map
from ssimae.jobs.job import Job
from ssimae.jobs.run import start
from ssimae.progress import Progress
from ssimae.storage.run_folder import RunFolder

LOSSES = ("ssim", "l2")

CONTRAST = "contrast"
"""The one defect that shows in gray alone; all others keep the mean gray."""


@dataclass(frozen=True)
class WovenRow:
    """Pixel AUROC on the embedded textures for one seed."""

    seed: int
    loss: str
    structural: float
    """All defects of equal mean gray together, with the good images."""
    contrast: float
    """The plain gray-contrast defect, against the good pixels of all images."""
    by_defect: dict[str, float]


def reproduce_woven(out: Path, seeds: Sequence[int], *, device: str, progress: Progress) -> tuple[WovenRow, ...]:
    """Run the embedded default for each seed and write ``woven.json``; runs that are finished are not repeated.

    Parameters
    ----------
    out : Path
        Folder that holds a run folder for each seed.
    seeds : sequence of int
        Each seeds textures, network and crops alike.
    device : str
    progress : Progress

    Raises
    ------
    OSError, ValueError
        As :func:`ssimae.jobs.run.start`.
    """
    rows = []
    for seed in seeds:
        folder = RunFolder(out / f"seed-{seed}")
        if not folder.report.exists():
            settings = dataclasses.replace(preset("woven"), seed=seed)
            job = Job(data=None, settings=settings, compare="l2", preset="woven", device=device)
            start(job, folder.root, force=folder.config.exists(), progress=progress)
        rows += [_row(folder, seed, loss) for loss in LOSSES]
    write_text(out / "woven.json", json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n")
    return tuple(rows)


def _row(folder: RunFolder, seed: int, loss: str) -> WovenRow:
    part = folder if loss == "ssim" else folder.comparison(loss)
    _, facts = folder.read_training()
    samples = [sample for sample in open_dataset(facts.data).test if sample.defect in {*DEFECTS, "good"} - {CONTRAST}]
    metrics = read_metrics(part.metrics)
    by_defect = {defect: values["auroc"] for defect, values in metrics["by_defect"].items()}
    structural = gather(samples, part.judged_paths(samples), read_float_map).compute()
    return WovenRow(seed, loss, structural.auroc, by_defect[CONTRAST], by_defect)


def woven_table(rows: Sequence[WovenRow]) -> str:
    """Return the rows as text: each seed, and the mean over seeds."""
    lines = [f"{'seed':>6} {'model':>8} {'structural':>11} {'contrast':>9}"]
    lines += [
        f"{row.seed:>6} {row.loss.upper() + '-AE':>8} {row.structural:>11.4f} {row.contrast:>9.4f}" for row in rows
    ]
    for loss in LOSSES:
        chosen = [row for row in rows if row.loss == loss]
        structural, contrast = mean(row.structural for row in chosen), mean(row.contrast for row in chosen)
        lines.append(f"{'mean':>6} {loss.upper() + '-AE':>8} {structural:>11.4f} {contrast:>9.4f}")
    return "\n".join(lines)
