"""Inspect images with a trained model; write residuals, reconstructions, predictions.csv and regions.csv."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import OK, SKIPPED_INPUTS, complain
from ssimae.cli.flags import default_out, parse_flags
from ssimae.jobs.predict import predict


@dataclass(frozen=True)
class _PredictFlags:
    model: tyro.conf.Positional[Path]
    """model.safetensors of a run, or the run's folder."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, or folders of them."""
    ignore: Path | None = None
    """Mask of what is not inspected (white): one image for all, or a folder of one each."""
    out: Path | None = None
    """New folder for the results. Default: runs/predict-<time>."""
    skip_bad: bool = False
    """Go on past images that cannot be read; exit code 3."""
    force: bool = False
    """Overwrite an earlier result in --out."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_PredictFlags, "predict", arguments, description=__doc__)
    model = flags.model / "model.safetensors" if flags.model.is_dir() else flags.model
    out = flags.out or default_out("predict")
    with progress_bars() as progress:
        outcome = predict(
            model,
            flags.images,
            out,
            ignore=flags.ignore,
            skip_bad=flags.skip_bad,
            force=flags.force,
            device=flags.device,
            progress=progress,
        )
    for skipped in outcome.skipped:
        complain(f"{skipped.image}: skipped ({skipped.reason})")
    counts = ", ".join(f"{number} {verdict}" for verdict, number in outcome.verdicts.items())
    print(f"{out}: {counts or 'no image inspected'}; predictions.csv, regions.csv and maps written")
    return SKIPPED_INPUTS if outcome.skipped else OK
