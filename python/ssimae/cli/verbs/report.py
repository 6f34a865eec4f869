"""Write the report of a run again from its folder, or a page of several; no model is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssimae.cli.exits import OK
from ssimae.cli.flags import parse_flags
from ssimae.report.page import write_report, write_side_by_side
from ssimae.storage.run_folder import RunFolder


@dataclass(frozen=True)
class _ReportFlags:
    runs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN")]
    """Run folder, or folder of `ssimae predict`; of several, one page shows them side by side."""
    out: Path | None = None
    """File of the page of several runs. Default: side-by-side.html."""
    allow_collapsed: bool = False
    """Count the verdicts of a network that learned nothing, too."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_ReportFlags, "report", arguments, description=__doc__)
    if not flags.runs:
        raise ValueError("no run folder was named (see ssimae report --help)")
    if len(flags.runs) > 1:
        page = write_side_by_side(
            flags.runs, flags.out or Path("side-by-side.html"), allow_collapsed=flags.allow_collapsed
        )
    elif flags.out is not None:
        raise ValueError("`--out` is for several runs; the report of one lies in its folder")
    else:
        folder = RunFolder(flags.runs[0])
        folder.read_config()
        with folder.locked():
            page = write_report(folder.root, allow_collapsed=flags.allow_collapsed)
    print(f"{page}: written")
    return OK
