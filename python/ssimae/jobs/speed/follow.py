"""Have the thresholds of all strides follow those of their run, from the maps that ``ssimae speed`` stored of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.atomic import write_text
from ssimae.inspection.threshold import Thresholds
from ssimae.jobs.inspect import thresholds_text
from ssimae.jobs.thresholds.change import Wanted, changed_thresholds
from ssimae.reading import read_json
from ssimae.storage.description import replace_thresholds
from ssimae.storage.revisions.held_out import read_held_out, write_held_out
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning.held_out import HeldOutMaps


@dataclass(frozen=True)
class Judged:
    """What one stride finds among held-out images, by the thresholds that it has now."""

    thresholds: Thresholds
    """Those in its model."""
    good: NDArray[np.bool_]
    """(n,), by held-out part: whether it passes."""
    planted: NDArray[np.bool_]
    """(m,), by planted defect: whether it is found."""

    @property
    def right(self) -> NDArray[np.bool_]:
        """Return by verdict whether it is right."""
        return np.concatenate([self.good, self.planted])

    def against(self, own: Judged) -> dict[str, Any]:
        """Return what a stride finds, and what it loses and wins against that of the training."""
        return {
            "review": self.thresholds.review,
            "found": int(self.planted.sum()),
            "flagged": int((~self.good).sum()),
            "lost": int((own.right & ~self.right).sum()),
            "won": int((~own.right & self.right).sum()),
        }


def stride_path(folder: RunFolder, stride: int) -> Path:
    """Return where the model of a run for another stride lies."""
    return folder.root / "strides" / f"{stride}.safetensors"


def keep_maps(folder: RunFolder, stride: int, thresholds: Thresholds, maps: HeldOutMaps) -> None:
    """Write the maps of a stride beside its model, and the thresholds that follow from them by the run's settings."""
    path = stride_path(folder, stride)
    write_held_out(path.with_suffix(".npz"), maps)
    write_text(path.with_suffix(".json"), thresholds_text(thresholds))


def follow(folder: RunFolder, strides: Sequence[int], trained: int, present: Thresholds) -> Mapping[int, Judged]:
    """Write thresholds into the models of strides that rest on their own maps, and are otherwise like the run's.

    Parameters
    ----------
    folder : RunFolder
        Held by the caller.
    strides : sequence of int
        Of which :func:`keep_maps` keeps the maps.
    trained : int
        That of the training, one of them: it has the run's thresholds themselves.
    present : Thresholds
        Of the run.

    Returns
    -------
    mapping of int to Judged
        By stride.

    Raises
    ------
    OSError, ValueError
        If a file is missing, damaged or cannot be written, or the maps of a stride do not show such thresholds.

    Notes
    -----
    Shares of false calls and rules of regions are kept. So are levels that were named by hand: a calibrated map is 1
    where a surface is as usual, at every stride. Good images that were added to the run's thresholds do not count.
    """
    found = {}
    for stride in strides:
        path = stride_path(folder, stride)
        maps = read_held_out(path.with_suffix(".npz"))
        first = Thresholds.from_dict(read_json(path.with_suffix(".json"), dict[str, Any]))
        try:
            like = _like(present, first, maps)
        except ValueError as error:
            raise ValueError(f"stride {stride}: {error}") from error
        used = present if stride == trained else like
        replace_thresholds(path, used)
        # All by levels that the stored maps tell apart: what lies between two of them would count for one stride alone.
        found[stride] = Judged(used, ~np.array(maps.flagged(like)), maps.found(like).hit)
    return found


def _like(present: Thresholds, first: Thresholds, maps: HeldOutMaps) -> Thresholds:
    wanted = Wanted(**asdict(present.rules))
    if present.rule == "given":
        wanted = replace(wanted, review=present.review, defective=present.defective)
    elif present.false_calls != first.false_calls:
        wanted = replace(wanted, false_calls=present.false_calls)
    return changed_thresholds(first, maps, wanted, [first])
