"""Write the report of a run again from its folder; the model is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from ssimae.cli.exits import OK
from ssimae.cli.flags import parse_flags
from ssimae.report.page import write_report
from ssimae.storage.run_folder import RunFolder


@dataclass(frozen=True)
class _ReportFlags:
    run: tyro.conf.Positional[Path]
    """Run folder."""
    allow_collapsed: bool = False
    """Count the verdicts of a network that learned nothing, too."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_ReportFlags, "report", arguments, description=__doc__)
    folder = RunFolder(flags.run)
    folder.read_config()
    with folder.locked():
        page = write_report(flags.run, allow_collapsed=flags.allow_collapsed)
    print(f"{page}: written")
    return OK
