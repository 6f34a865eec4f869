"""Tell what ssimae wrote into a folder, so that nothing of anybody else is ever removed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ssimae.config.systems import ROWS
from ssimae.reading import read_bytes

MARK = b"A folder of ssimae. --force removes the files that ssimae wrote here, and no others.\n"
"""Content of ``.lock``, before anything else is written."""

SCORES = ("metrics.json", "curves.npz", "region_scores.csv")
"""Files that hold how maps compare with masks, of a run and of an evaluation of maps alike."""

_SYSTEMS = "|".join(ROWS)


def any_of(names: Iterable[str]) -> str:
    """Return a regular expression that matches each of some names, and nothing else."""
    return "|".join(map(re.escape, names))


_WRITTEN = re.compile(
    rf"""
    ((?:{_SYSTEMS})/)?
    (?: config\.toml | choices\.json | log\.jsonl | model\.safetensors | state/training\.safetensors
      | speed\.json | strides/\d+\.(?:safetensors|npz|json)
      | thresholds\.json | thresholds/\d+\.json | held_out\.npz | improvement\.json | pod\.json
      | {any_of(SCORES)} | report\.html
      | (?:predictions|regions)(?:\.partial)?\.csv
      | (?:reconstructions|residuals|calibrated)/.+/[^/]+\.tiff
      | (?:masks|overlays)/.+/[^/]+\.png
      | figures/(?:roc|pro|comparison|(?:overlap|training|scores|detection)_(?:{_SYSTEMS}))\.png
      | data/(?:train|test)/[a-z_]+/\d+\.png | data/ground_truth/[a-z_]+/\d+_mask\.png )
    | (?:.*/)?\.[a-z0-9_]{{8}}\.partial
    """,
    re.VERBOSE | re.DOTALL,
)
"""Paths below a run folder that ssimae writes, and the partial files that a kill leaves."""


def is_marked(lock: Path) -> bool:
    """Return whether a lock file is one that ssimae wrote."""
    try:
        return read_bytes(lock).startswith(MARK)
    except OSError:
        return False


def written_files(root: Path) -> Iterator[Path]:
    """Yield the files below a run folder that ssimae wrote, by their names; links are not followed, nor yielded."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if _WRITTEN.fullmatch(path.relative_to(root).as_posix()) and not path.is_symlink():
                yield path


def remove_written(root: Path) -> None:
    """Remove what ssimae wrote into a run folder, and the folders that are empty then; ``config.toml`` goes last."""
    files = sorted(written_files(root), key=lambda path: path == root / "config.toml")
    for path in files:
        path.unlink()
    folders = {parent for path in files for parent in path.relative_to(root).parents if parent.parts}
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        if not any((root / folder).iterdir()):
            (root / folder).rmdir()
