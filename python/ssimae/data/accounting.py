"""Account for every file below a data folder: what was taken, and what was passed over and why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssimae.data.dataset import Dataset
from ssimae.data.files import holds_results, leads_to_folder, shortened
from ssimae.data.ignore import is_ignore_mask
from ssimae.images.decoding import IMAGE_SUFFIXES

_SHOWN = 3
"""Names of files shown for each reason."""


@dataclass(frozen=True)
class PassedOver:
    """A file below a data folder that was not taken, or a folder that was not looked into."""

    path: Path
    reason: str


def passed_over(dataset: Dataset, *, ignore: Path | None = None) -> list[PassedOver]:
    """Return every file below the folder of a data set that is neither a good image, a test image nor a mask.

    Parameters
    ----------
    dataset : Dataset
    ignore : Path, optional
        The ignore mask, or folder of them, that the data set was opened with.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    """
    masks = (mask for sample in dataset.test for mask in sample.masks)
    taken = {*dataset.train, *(sample.path for sample in dataset.test), *masks, *dataset.empty_masks}
    return [
        left
        for left in files_passed_over(dataset.root, taken, aside=dataset.aside)
        if not is_ignore_mask(left.path, ignore)
    ]


def files_passed_over(root: Path, taken: set[Path], *, aside: Mapping[Path, str]) -> list[PassedOver]:
    """Return every file below a folder that was not taken, with the reason, in the order of their paths.

    Parameters
    ----------
    root : Path
        Absolute.
    taken : set of Path
        Files that were.
    aside : mapping of Path to str
        Reasons of single files, and of folders with all that lies in them.
    """
    return [
        PassedOver(path, reason or _reason(path))
        for path, reason in _files(root, "", aside, set())
        if path not in taken
    ]


def _files(
    folder: Path, reason: str, aside: Mapping[Path, str], seen: set[tuple[int, int]]
) -> Iterator[tuple[Path, str]]:
    """Yield every file below a folder, with the reason that its folder gives, if any."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        found = sorted((entry.name, leads_to_folder(entry)) for entry in entries)
    for name, is_folder in found:
        path = folder / name
        why = reason or aside.get(path, "")
        if not why and path.name.startswith("."):
            why = "hidden"
        if not is_folder:
            yield path, why
        else:
            yield from _files(path, why or ("results of an earlier run" if holds_results(path) else ""), aside, seen)


def _reason(path: Path) -> str:
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return f"with the suffix {path.suffix.lower()}, which is not read" if path.suffix else "without a suffix"
    if not path.exists():
        return "linked to what is not there"
    return "where the layout has no place for images" if path.is_file() else "that are pipes or devices"


def in_words(left: Sequence[PassedOver], root: Path) -> list[str]:
    """Return a line for each reason: how many files, and the names of some below the folder; most files first."""
    by_reason = Counter(file.reason for file in left)
    lines = []
    for reason, count in by_reason.most_common():
        names = [os.fspath(file.path.relative_to(root)) for file in left if file.reason == reason]
        shown = shortened([name.encode("utf-8", "replace").decode() for name in names], ", ", shown=_SHOWN)
        lines.append(f"{count} {reason} ({shown})")
    return lines


def in_one_line(left: Sequence[PassedOver], root: Path) -> str:
    """Return how many files were passed over and why, in a sentence; empty for none."""
    if not left:
        return ""
    files = "1 file" if len(left) == 1 else f"{len(left)} files"
    return f"{root}: passed over {files}: {'; '.join(in_words(left, root))}"
