"""Keep every version of a run's thresholds beside the one in use: ``thresholds/<number>.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssimae.atomic import write_text
from ssimae.inspection.threshold import Thresholds
from ssimae.reading import Count, as_kind, read_json


@dataclass(frozen=True)
class Version:
    """Thresholds as they were at one time."""

    number: Count
    """From 1, those of the training."""
    how: str
    """What set them, in words."""
    created: str
    """When, in UTC as ISO 8601 writes it; empty for those of the training."""
    maps: tuple[Count, ...]
    """Numbers of the stored good maps that they rest on, from 0."""
    thresholds: Thresholds
    after: Count
    """Number of the version that was in use when this one was made; 0 for those of the training."""


@dataclass(frozen=True)
class _Stored:
    how: str
    created: str
    maps: tuple[Count, ...]
    thresholds: dict[str, Any]
    after: Count | None = None
    """None in files of earlier versions of ssimae: the one of the number before, as far as is known."""


def write_version(folder: Path, version: Version) -> None:
    """Write one version into a folder, which is made where it is missing."""
    folder.mkdir(exist_ok=True)
    content = {name: value for name, value in asdict(version).items() if name != "number"}
    content["thresholds"] = version.thresholds.to_dict()
    write_text(folder / f"{version.number}.json", json.dumps(content, indent=1) + "\n")


def read_versions(folder: Path) -> tuple[Version, ...]:
    """Return the versions in a folder by their numbers; none where there is no such folder.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read, or is damaged; the message names it.
    """
    paths = [path for path in folder.glob("*.json") if path.stem.isdecimal()]
    return tuple(sorted(map(_read, paths), key=lambda version: version.number))


def _read(path: Path) -> Version:
    content = read_json(path, dict[str, Any])
    try:
        stored = as_kind(content, _Stored)
        number = int(path.stem)
        after = number - 1 if stored.after is None else stored.after
        thresholds = Thresholds.from_dict(stored.thresholds)
        return Version(number, stored.how, stored.created, stored.maps, thresholds, after)
    except ValueError as error:
        raise ValueError(f"{path}: not a version of thresholds ({error})") from error
