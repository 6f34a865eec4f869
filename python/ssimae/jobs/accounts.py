"""Open the data set of a run again, and say which files of one a job passes over."""

from __future__ import annotations

from pathlib import Path

from ssimae.data.accounting import in_one_line, passed_over
from ssimae.data.dataset import Dataset, with_taught
from ssimae.data.layouts import open_dataset
from ssimae.progress import Progress
from ssimae.storage.facts import Facts
from ssimae.storage.run_folder import RunFolder


def account_for(dataset: Dataset, progress: Progress, *, ignore: Path | None) -> None:
    """Say which files below the folder of a data set were passed over, and why; nothing where there is none."""
    if line := in_one_line(passed_over(dataset, ignore=ignore), dataset.root):
        progress.say(line)


def open_again(folder: RunFolder, facts: Facts) -> Dataset:
    """Return the data set that a run worked on.

    Raises
    ------
    OSError, ValueError
        If it is not there any more, or of no layout now.
    """
    for name, path in (("data", facts.data), ("ignore", facts.ignore)):
        if path is not None and not path.exists():
            raise FileNotFoundError(
                f"{path}: not there any more; if it has been moved, write its place to `{name}` in {folder.config}"
            )
    return with_taught(
        open_dataset(facts.data, ignore=facts.ignore), [Path(path) for path in facts.taught], ignore=facts.ignore
    )
