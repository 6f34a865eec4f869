"""Read how the thresholds of a run stand, write a new version of them, and take an earlier one back."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ssimae.atomic import write_text
from ssimae.export.folder import exported_description
from ssimae.inspection.threshold import Thresholds
from ssimae.jobs.thresholds.again import rewrite_rows
from ssimae.pod.hits import PlantedDefects
from ssimae.pod.table import tabulate_detection
from ssimae.storage.agreement import check_settings
from ssimae.storage.description import describe_model, replace_thresholds
from ssimae.storage.revisions.held_out import read_held_out, write_held_out
from ssimae.storage.revisions.versions import Version, read_versions, write_version
from ssimae.storage.run_folder import RunFolder
from ssimae.tuning.held_out import GoodMap, HeldOutMaps


@dataclass(frozen=True)
class Effect:
    """What thresholds do to the stored maps."""

    thresholds: Thresholds
    flagged: int
    """Good maps that they flag."""
    images: int
    found: PlantedDefects | None
    """Which planted defects they find; None where none were planted."""


@dataclass(frozen=True)
class Standing:
    """The thresholds of a run, all versions of them, and the maps that they rest on."""

    folder: RunFolder
    stored: HeldOutMaps
    """All maps, also those that no version in use rests on."""
    versions: tuple[Version, ...]
    """At least one; the first is that of the training."""
    present: Version
    """The one in use."""
    pixel_size_mm: float | None

    @property
    def maps(self) -> HeldOutMaps:
        """The maps that the version in use rests on."""
        return maps_of(self.stored, self.present)

    @property
    def known(self) -> list[Thresholds]:
        """Thresholds that rest on the first of the maps in use."""
        mine = self.present.maps
        return [each.thresholds for each in self.versions if each.maps == mine[: len(each.maps)]]

    def new_version(self, thresholds: Thresholds, how: str, added: int) -> Version:
        """Return thresholds as the next version, which rests on so many more maps.

        It is the last version if that is the same: one that was interrupted before it was used is taken up again.
        """
        last = self.versions[-1]
        same = (thresholds, self.present.maps, self.present.number)
        if not added and (last.thresholds, last.maps, last.after) == same:
            return last
        count = len(self.stored.good)
        return Version(
            self.versions[-1].number + 1,
            how,
            datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            (*self.present.maps, *range(count, count + added)),
            thresholds,
            self.present.number,
        )


def maps_of(stored: HeldOutMaps, version: Version) -> HeldOutMaps:
    """Return the maps that a version rests on."""
    return replace(stored, good=tuple(stored.good[number] for number in version.maps))


def effect_of(thresholds: Thresholds, maps: HeldOutMaps) -> Effect:
    """Return what thresholds do to stored maps."""
    flagged = maps.flagged(thresholds)
    return Effect(thresholds, sum(flagged), len(flagged), maps.found(thresholds) if maps.planted else None)


@contextmanager
def held_standing(root: Path) -> Iterator[Standing]:
    """Hold the folder of a run, and yield how its thresholds stand once nobody else can change them.

    Raises
    ------
    OSError, ValueError
        As :func:`read_standing`, and if another command is writing there.
    """
    with _training(root).locked():
        yield read_standing(root)


def _training(root: Path) -> RunFolder:
    if root.is_file():
        raise ValueError(f"{root}: a file; thresholds are set in the folder of a run")
    if exported_description(root) is not None:
        raise ValueError(
            f"{root}: an exported model; set the thresholds of its run and export again, or judge once by "
            "`ssimae predict --review`"
        )
    folder = RunFolder(root)
    folder.read_training()
    return folder


def read_standing(root: Path) -> Standing:
    """Return how the thresholds of a run stand, by its model: that is what images are judged with.

    Raises
    ------
    OSError, ValueError
        If the folder is no finished run, its settings are not those of its model, or it stores no maps.
    """
    folder = _training(root)
    if not folder.model.exists() or (said := describe_model(folder.model)).thresholds is None:
        raise ValueError(f"{root}: no thresholds yet; its run sets them: {folder.command('run', '--resume')}")
    check_settings(folder)
    if not folder.held_out.exists():
        raise ValueError(
            f"{root}: stores no maps of held-out images, as runs of earlier versions; a run of the same network that "
            f"does is made from its images by: {folder.command('train', '--weights')}"
        )
    stored = read_held_out(folder.held_out)
    versions = read_versions(folder.versions) or (
        Version(1, "the training", "", tuple(range(said.thresholds.images)), said.thresholds, 0),
    )
    in_use = [version for version in versions if version.thresholds == said.thresholds]
    if not in_use:
        raise ValueError(
            f"{folder.model}: its thresholds are none of the versions in {folder.versions}: another command set them"
        )
    if any(number >= len(stored.good) for version in versions for number in version.maps):
        raise ValueError(f"{folder.held_out}: has fewer maps than the thresholds rest on")
    return Standing(folder, stored, versions, in_use[-1], said.settings.pixel_size)


def add_version(standing: Standing, version: Version, added: tuple[GoodMap, ...]) -> Standing:
    """Write other thresholds as a new version, and use it; the caller holds the folder.

    `added` are the maps of more good images, which the thresholds rest on, too.

    Raises
    ------
    OSError
        If a file cannot be written. What was begun is finished by the next call of :func:`use_version`.
    """
    folder, stored = standing.folder, standing.stored.with_good(added)
    if added:
        write_held_out(folder.held_out, stored)
    for earlier in standing.versions:
        if not (folder.versions / f"{earlier.number}.json").exists():
            write_version(folder.versions, earlier)
    write_version(folder.versions, version)
    return use_version(replace(standing, stored=stored, versions=(*standing.versions, version)), version)


def use_version(standing: Standing, version: Version) -> Standing:
    """Judge by a version of the thresholds from now on; the caller holds the folder.

    Notes
    -----
    The model comes first, since images are judged by it, and ``thresholds.json`` last: a kill in between leaves both
    different, which every command refuses, and this one mends.
    """
    folder = standing.folder
    replace_thresholds(folder.model, version.thresholds)
    maps = maps_of(standing.stored, version)
    if maps.planted:
        table = tabulate_detection(maps.found(version.thresholds), pixel_size_mm=standing.pixel_size_mm)
        write_text(folder.pod, json.dumps(table.to_dict(), indent=1) + "\n")
    rewrite_rows(folder, version.thresholds, pixel_size_mm=standing.pixel_size_mm)
    write_text(folder.thresholds, json.dumps(version.thresholds.to_dict(), indent=1) + "\n")
    return replace(standing, present=version)


def is_unfinished(standing: Standing) -> bool:
    """Return whether a change of thresholds was interrupted, or ``thresholds.json`` edited or lost."""
    try:
        return standing.folder.read_thresholds() != standing.present.thresholds
    except ValueError:
        return True
