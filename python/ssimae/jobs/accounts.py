"""Say which files of a data set a job passes over."""

from __future__ import annotations

from pathlib import Path

from ssimae.data.accounting import in_one_line, passed_over
from ssimae.data.dataset import Dataset
from ssimae.progress import Progress


def account_for(dataset: Dataset, progress: Progress, *, ignore: Path | None) -> None:
    """Say which files below the folder of a data set were passed over, and why; nothing where there is none."""
    if line := in_one_line(passed_over(dataset, ignore=ignore), dataset.root):
        progress.say(line)
