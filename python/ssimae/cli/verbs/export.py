"""Write a trained model as ONNX or OpenVINO, checked against torch, for programs without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import OK
from ssimae.cli.flags import parse_flags
from ssimae.host import system
from ssimae.jobs.exporting.export import Kind, export


@dataclass(frozen=True)
class _ExportFlags:
    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder, or its model.safetensors."""
    to: Kind = "onnx"
    """What the files are for."""
    whole: str | None = None
    """HEIGHTxWIDTH, such as 1024x768: one more graph for images of that size, from image to map."""
    out: Path | None = None
    """New folder for them. Default: beside the run, RUN-onnx or RUN-openvino."""
    images: tuple[Path, ...] = ()
    """Images to compare with torch on, instead of some of the run."""
    force: bool = False
    """Overwrite an earlier export in --out."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_ExportFlags, "export", arguments, description=__doc__)
    model = flags.model / "model.safetensors" if flags.model.is_dir() else flags.model
    run = model.resolve().parent
    with progress_bars() as progress:
        done = export(
            model,
            flags.out or run.with_name(f"{run.name}-{flags.to}"),
            kind=flags.to,
            whole=None if flags.whole is None else _size(flags.whole),
            images=flags.images,
            force=flags.force,
            progress=progress,
        )
    print(f"{done.folder}: {', '.join(done.files)} written")
    print(
        f"the same verdicts as torch on {done.images} images ({done.source}); scores differ by at most "
        f"{done.largest_differences['score']:.2g}"
    )
    print(f"inspect with it: {system.command_line(['ssimae', 'predict', str(done.folder), 'IMAGES'])}")
    return OK


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]{0,4})[x×]([1-9][0-9]{0,4})", text)
    if match is None:
        raise ValueError(f"`--whole` must be HEIGHTxWIDTH in pixels, such as 1024x768, got {text!r}")
    return int(match[1]), int(match[2])
