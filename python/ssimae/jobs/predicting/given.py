"""Find the images that a command names: files, folders, and patterns such as ``new/*.png``."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from ssimae.data.accounting import PassedOver, in_one_line
from ssimae.data.files import holds_results, natural_key
from ssimae.data.ignore import is_ignore_mask
from ssimae.data.opening.lots import images_to_inspect
from ssimae.images.decoding import IMAGE_SUFFIXES, PICTURE_SUFFIXES
from ssimae.jobs.predicting.arrivals import Arrival

STANDARD_INPUT = "-"
"""Stands for names that come on standard input."""


def absolute(named: str) -> str:
    """Return the absolute path of what a command names; a pattern stays one."""
    return named if named == STANDARD_INPUT else os.path.abspath(named)


def named_images(
    places: Sequence[str], named: Sequence[str], *, ignore: Path | None, say: Callable[[str], object]
) -> list[Arrival]:
    """Return image files, those in folders and below, without masks, and those that patterns match.

    Each has a name of its own: that of the file without suffix where no other has it, else with that of its folder.
    What is passed over in folders, such as hidden files and results of earlier runs, is said with the reason.

    Parameters
    ----------
    places : sequence of str
        Absolute paths and patterns. What exists is no pattern, whatever its name.
    named : sequence of str
        The same as they were typed.
    ignore : Path, optional
        Ignore mask, or folder of them.
    say : callable
        Told what is passed over.

    Raises
    ------
    OSError, ValueError
        If a path does not exist, a folder holds no image, or a pattern matches none.
    """
    found: dict[Path, str] = {}
    for place, typed in zip(places, named, strict=True):
        for path, shown in _images_at(place, typed, ignore=ignore, say=say):
            found.setdefault(path, shown)
    stems = Counter(path.stem for path in found)
    arrivals = []
    taken: set[str] = set()
    for path, shown in found.items():
        name = path.stem if stems[path.stem] == 1 else f"{path.parent.name}-{path.name}"
        number = 1
        while name in taken:
            number += 1
            name = f"{path.parent.name}-{path.name}-{number}"
        taken.add(name)
        arrivals.append(Arrival(path, shown, name))
    return arrivals


def _images_at(
    place: str, typed: str, *, ignore: Path | None, say: Callable[[str], object]
) -> Iterator[tuple[Path, str]]:
    """Yield the images of one path or pattern, each absolute and as it was given."""
    path = Path(place)
    if path.is_dir():
        files, left = images_to_inspect(path, ignore=ignore)
        if line := in_one_line(left, path):
            say(line)
        if not files:
            raise ValueError(f"{typed}: no image in this folder")
        yield from ((file, os.path.join(typed, file.relative_to(path))) for file in files)
    elif path.is_file():
        yield path, typed
    elif os.path.lexists(place):
        if path.is_symlink() and not path.exists():
            raise FileNotFoundError(f"{typed}: a link to what is not there")
        raise ValueError(f"{typed}: neither a file nor a folder")
    elif glob.has_magic(place):
        yield from _matches(place, typed, ignore=ignore, say=say)
    else:
        raise FileNotFoundError(f"{typed}: no such image or folder")


def _matches(
    pattern: str, typed: str, *, ignore: Path | None, say: Callable[[str], object]
) -> Iterator[tuple[Path, str]]:
    """Yield the images that a pattern matches, in natural order, and those in folders that it matches."""
    ours = cache(holds_results)
    # The part of the pattern that was not typed stands before each match, and is taken off again.
    start = len(pattern) - len(typed) if pattern.endswith(typed) else 0
    found = sorted(map(Path, glob.glob(pattern, recursive=True)), key=_natural_path)
    left, count = [], 0
    for path in found:
        shown = str(path)[start:]
        if is_ignore_mask(path, ignore) or any(map(ours, path.parents)):
            continue
        if path.is_dir():
            # `**` matches a folder and its files.
            if "**" not in pattern and not ours(path):
                below = list(_images_at(str(path), shown, ignore=ignore, say=say))
                count += len(below)
                yield from below
        elif path.suffix.lower() in (*IMAGE_SUFFIXES, *PICTURE_SUFFIXES):
            count += 1
            yield path, shown
        else:
            left.append(PassedOver(path, f"with the suffix {path.suffix}, which is not read"))
    if not count:
        raise FileNotFoundError(f"{typed}: no image matches this pattern")
    if line := in_one_line(left, Path(os.path.commonpath([file.path.parent for file in left]) if left else "/")):
        say(line)


def _natural_path(path: Path) -> list[tuple[list[tuple[int, str]], str]]:
    return [natural_key(Path(part)) for part in path.parts]
