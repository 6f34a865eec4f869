"""Teach a run that some images are good: a short training from its networks, new thresholds, before and after."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import OK, SAFEGUARD, complain, visible
from ssimae.cli.flags import default_out, parse_flags
from ssimae.cli.tables import columns
from ssimae.host import system
from ssimae.jobs import run as runs
from ssimae.jobs.improve.compare import Improvement, Share, compare_stage
from ssimae.jobs.improve.teach import improving_job
from ssimae.progress import Progress
from ssimae.storage.run_folder import RunFolder


@dataclass(frozen=True)
class _ImproveFlags:
    run: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="RUN")] = None
    """Folder of a finished run; it stays as it is."""
    good: tuple[Path, ...] = ()
    """Images, or folders of them, that are good and were flagged: false alarms."""
    missed: tuple[Path, ...] = ()
    """Images with known defects: looked for before and after, never learned from."""
    masks: tuple[Path, ...] = ()
    """A mask of each of these, in their order: then it is told whether the defect was found in its place."""
    minutes: float = 5.0
    """Time for the training. Thresholds and the run's test images come after it; the command says beforehand about how
    long all of it takes."""
    out: Path | None = None
    """New folder for the results. Default: runs/<RUN>-<time>."""
    resume: Path | None = None
    """Interrupted folder to go on with, instead of RUN."""
    force: bool = False
    """Overwrite an earlier run in --out."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_ImproveFlags, "improve", arguments, description=__doc__)
    with progress_bars() as progress:
        outcome = _begun(flags, progress) if flags.resume is None else _resumed(flags, progress)
        improvement = compare_stage(outcome.folder.root, device=flags.device, progress=progress)
    print(visible(_table(improvement)))
    if any(
        share is not None and share.after < share.before for share in (improvement.planted, improvement.test_others)
    ):
        print("Fewer defects are found than before: weigh that against the false alarms before you take this model.")
    flagged = [Path(told.image).name for told in improvement.taught if told.after != "good"]
    if flagged:
        print(visible(f"Flagged all the same, of the images that were taught: {', '.join(flagged)}."))
    print(f"{outcome.folder.root}: written; report in {outcome.folder.report}. The run it began with stays as it was.")
    print(f"Inspect with it: {system.command_line(['ssimae', 'predict', str(outcome.folder.root), 'IMAGES'])}")
    for alarm in outcome.alarms:
        complain(alarm)
    return SAFEGUARD if outcome.alarms else OK


def _begun(flags: _ImproveFlags, progress: Progress) -> runs.Outcome:
    if flags.run is None or not flags.good:
        raise ValueError("a run and images that are good must be named: ssimae improve RUN --good FILES")
    if not 0 < flags.minutes < math.inf:
        raise ValueError(f"`--minutes` must be positive and finite, got {flags.minutes}")
    if flags.masks and not flags.missed:
        raise ValueError("`--masks` are of the images of `--missed`")
    job = improving_job(
        flags.run,
        flags.good,
        missed=flags.missed,
        masks=flags.masks,
        minutes=flags.minutes,
        device=flags.device,
        progress=progress,
    )
    return runs.start(job, flags.out or default_out(flags.run.resolve().name), force=flags.force, progress=progress)


def _resumed(flags: _ImproveFlags, progress: Progress) -> runs.Outcome:
    assert flags.resume is not None
    for field in dataclasses.fields(flags):
        if field.name not in ("resume", "device", "debug") and getattr(flags, field.name) != field.default:
            name = "RUN" if field.name == "run" else f"--{field.name}"
            raise ValueError(f"`{name}` cannot be given with --resume: the folder knows it")
    folder = RunFolder(flags.resume)
    _, facts = folder.read_training()
    if facts.improves is None:
        raise ValueError(f"{flags.resume}: improves no run; it goes on with: {folder.command('run', '--resume')}")
    return runs.resume(
        flags.resume, device=flags.device, train_only=False, allow_collapsed=facts.collapsed, progress=progress
    )


def _table(improvement: Improvement) -> str:
    rows = [("", "before", "after", "")]
    for told in (*improvement.taught, *improvement.missed):
        rows.append(
            (
                Path(told.image).name,
                f"{told.before} ({told.score_before:.3g})",
                f"{told.after} ({told.score_after:.3g})",
                told.part,
            )
        )
    shares: list[tuple[str, Share | None]] = [
        ("held-out good images flagged", improvement.held_out),
        ("planted defects found", improvement.planted),
        ("good test images flagged", improvement.test_good),
        ("other test images flagged", improvement.test_others),
    ]
    rows += [
        (title, f"{share.before} of {share.of_before}", f"{share.after} of {share.of_after}", "")
        for title, share in shares
        if share is not None
    ]
    if improvement.test_good is not None or improvement.test_others is not None:
        rows.append(("test images whose verdict changed", "", str(improvement.changed), ""))
    return columns(rows, right=False)
