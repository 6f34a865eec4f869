"""Inspect images with a trained model; write residuals, reconstructions, predictions.csv and regions.csv."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import OK, SKIPPED_INPUTS, complain
from ssimae.cli.flags import default_out, parse_flags
from ssimae.jobs.predict import predict, resume_prediction


@dataclass(frozen=True)
class _PredictFlags:
    model: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="MODEL")] = None
    """model.safetensors of a run, or the run's folder."""
    images: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="IMAGES...")] = ()
    """Image files, or folders of them."""
    ignore: Path | None = None
    """Mask of what is not inspected (white): one image for all, or a folder of one each."""
    out: Path | None = None
    """New folder for the results. Default: runs/predict-<time>."""
    skip_bad: bool = False
    """Go on past images that cannot be read, or whose ignore mask cannot; exit code 3."""
    force: bool = False
    """Overwrite an earlier result in --out."""
    resume: Path | None = None
    """Folder of an interrupted inspection to go on with, instead of MODEL and IMAGES."""
    allow_collapsed: bool = False
    """Inspect with a network that learned nothing, too."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_PredictFlags, "predict", arguments, description=__doc__)
    with progress_bars() as progress:
        if flags.resume is not None:
            _refuse_changes(flags)
            outcome = resume_prediction(flags.resume, device=flags.device, progress=progress)
        elif flags.model is None or not flags.images:
            raise ValueError("a model and images must be named: ssimae predict RUN IMAGES")
        else:
            outcome = predict(
                flags.model / "model.safetensors" if flags.model.is_dir() else flags.model,
                flags.images,
                flags.out or default_out("predict"),
                ignore=flags.ignore,
                skip_bad=flags.skip_bad,
                force=flags.force,
                allow_collapsed=flags.allow_collapsed,
                device=flags.device,
                progress=progress,
            )
    for skipped in outcome.skipped:
        complain(f"{skipped.image}: skipped ({skipped.reason})")
    if outcome.alarm is not None:
        complain(outcome.alarm)
    counts = ", ".join(f"{number} {verdict}" for verdict, number in outcome.verdicts.items())
    print(f"{outcome.folder.root}: {counts or 'no image inspected'}; predictions.csv, regions.csv and maps written")
    return SKIPPED_INPUTS if outcome.skipped else OK


def _refuse_changes(flags: _PredictFlags) -> None:
    """Refuse what an inspection that goes on knows already."""
    for field in dataclasses.fields(flags):
        if field.name not in ("resume", "device", "debug") and getattr(flags, field.name) != field.default:
            name = field.name.upper() if field.name in ("model", "images") else f"--{field.name.replace('_', '-')}"
            raise ValueError(f"`{name}` cannot be given with --resume: the folder knows it")
