"""Read every file of a data folder and list what is wrong with it, before any work."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import BAD_INPUT, OK
from ssimae.cli.flags import parse_flags
from ssimae.config.settings import Settings
from ssimae.data.check import check_dataset
from ssimae.data.layouts import open_dataset

_DEFAULTS = Settings()


@dataclass(frozen=True)
class _CheckFlags:
    data: tyro.conf.Positional[Path]
    """Folder of images."""
    ignore: Path | None = None
    """Mask of what is not inspected (white): one image for all, or a folder of one each."""
    patch_size: int = _DEFAULTS.patch_size
    """Side of a training patch in pixels: smaller images are errors."""
    scale: float = _DEFAULTS.scale
    """Factor images are resized by before that."""
    channels: int = _DEFAULTS.channels
    """1 for gray, 3 for colour."""
    data_range: float | None = _DEFAULTS.data_range
    """Value that counts as white; needed for float images."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_CheckFlags, "check", arguments, description=__doc__)
    dataset = open_dataset(flags.data, ignore=flags.ignore)
    with progress_bars() as progress, progress.task("checking", len(dataset.train) + len(dataset.test)) as task:
        problems = check_dataset(
            dataset,
            patch_size=flags.patch_size,
            scale=flags.scale,
            channels=flags.channels,
            data_range=flags.data_range,
            progress=task.update,
        )
    for problem in problems:
        print(f"{problem.severity}: {problem.path}: {problem.message}", file=sys.stderr)
    errors = sum(problem.severity == "error" for problem in problems)
    print(
        f"{flags.data}: {dataset.layout} layout, {len(dataset.train)} good images, {len(dataset.test)} test images; "
        f"{errors} errors, {len(problems) - errors} warnings"
    )
    return BAD_INPUT if errors else OK
