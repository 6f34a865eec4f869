"""Write stored maps as the folder that the evaluation server of MVTec AD 2 takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import OK
from ssimae.cli.flags import parse_flags
from ssimae.evaluation.map_files.reader import Resize
from ssimae.jobs.scoring.upload import MAPS, SEGMENTATIONS, absent_text, write_upload


@dataclass(frozen=True)
class _SubmitFlags:
    maps: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MAPS")]
    """Folder that holds, for each <object>/test_private and <object>/test_private_mixed, a folder of `ssimae predict`
    or of any detector's maps."""
    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATA")]
    """MVTec AD 2: the images of these sets."""
    out: Path
    """New folder to upload."""
    threshold: float | None = None
    """Score from which on a pixel is marked. Default: the thresholds of the folders of `ssimae predict`."""
    resize: Resize | None = None
    """How to give maps of another size that of their images. Default: such maps are refused."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_SubmitFlags, "submit", arguments, description=__doc__)
    with progress_bars() as progress:
        done = write_upload(
            flags.maps, flags.data, flags.out, threshold=flags.threshold, resize=flags.resize, progress=progress
        )
    print(f"{flags.out}: {done.images} maps in {MAPS} (float16), and what they mark in {SEGMENTATIONS}")
    if absent := absent_text(done.absent):
        print(absent)
    return OK
