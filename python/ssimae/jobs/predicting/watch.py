"""Watch a folder for images: each counts once its file rests, whoever writes it and on whatever drive."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ssimae.data.files import leads_to_file, natural_key, walk_folders
from ssimae.data.ignore import is_ignore_mask
from ssimae.data.opening.lots import masks_among
from ssimae.errors import reason_of
from ssimae.images.decoding import IMAGE_SUFFIXES, PICTURE_SUFFIXES
from ssimae.jobs.predicting.arrivals import Arrival
from ssimae.storage.predictions import Stamp, make_stamp

logger = logging.getLogger(__name__)

POLL_S = 0.2
"""Seconds between two looks at the folder, at least."""

_LOOKS = 0.25
"""Share of the time that looking may take, however many files there are."""

_SUFFIXES = IMAGE_SUFFIXES + PICTURE_SUFFIXES
"""Also of formats that are not read: who watches must hear of each image that is not inspected."""

ATTEMPTS = 3
"""How often a file is tried before it is told that it cannot be read."""


class _State(NamedTuple):
    """What a file is like; whoever writes to it changes that."""

    inode: int
    size: int
    mtime_ns: int


@dataclass
class _Failure:
    """An image that could not be read."""

    state: _State
    attempts: int
    not_before: float


class Watched:
    """The images that come into a folder and the folders below it, beside those that are there.

    An image counts once size and time of its file have rested for a while, or as soon as a file that rested under
    another name is renamed to it. What cannot be read then, because it is locked or not complete after all, is tried
    again, and once more when it changes.

    Parameters
    ----------
    folder : Path
        Absolute.
    shown : str
        The folder as it was given.
    settle : float
        Seconds for which a file rests.
    ignore : Path, optional
        Ignore mask, or folder of them: no images.
    known : callable
        Tells whether an image of some stamp has been inspected.
    stopped : callable
        Tells whether to end.
    in_order : bool
        Hold an image back while one that comes before it is not at rest.
    clock, sleep : callable

    Notes
    -----
    The folder is listed again and again: the events that systems offer instead do not come from network drives, and
    none of them tells that a file is complete.
    """

    def __init__(
        self,
        folder: Path,
        shown: str,
        *,
        settle: float,
        ignore: Path | None,
        known: Callable[[Path, Stamp], bool],
        stopped: Callable[[], bool],
        in_order: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._folder, self._shown, self._settle, self._ignore = folder, shown, settle, ignore
        self._known, self._stopped, self._in_order = known, stopped, in_order
        self._clock, self._sleep = clock, sleep
        self._since: dict[_State, tuple[float, str]] = {}
        self._done: dict[str, _State] = {}
        self._failures: dict[str, _Failure] = {}
        self._absent: str | None = None

    def __iter__(self) -> Iterator[Arrival]:
        """Yield the images until somebody stops."""
        while not self._stopped():
            start = self._clock()
            ready = self._look(start)
            for path, state in ready:
                if self._stopped():
                    return
                self._done[path] = state
                yield Arrival(Path(path), os.path.join(self._shown, os.path.relpath(path, self._folder)))
            if not ready:
                self._sleep(max(POLL_S, (self._clock() - start) * (1 / _LOOKS - 1)))

    def comes_again(self, arrival: Arrival, error: Exception) -> bool:
        """Return whether an image is tried again: one that has vanished, or has not failed often enough."""
        path = str(arrival.path)
        state = self._done.pop(path)
        if isinstance(error, FileNotFoundError):
            return True
        failure = self._failures.get(path)
        attempts = 1 if failure is None or failure.state != state else failure.attempts + 1
        if attempts < ATTEMPTS:
            wait = max(self._settle, POLL_S) * 2**attempts
            self._failures[path] = _Failure(state, attempts, self._clock() + wait)
            return True
        self._done[path] = state
        return False

    def _look(self, now: float) -> list[tuple[str, _State]]:
        """Return the images that are new, or have changed, and are at rest, in natural order."""
        files = self._files()
        if files is None:
            return []
        self._done = {path: state for path, state in self._done.items() if path in files}
        before, self._since = self._since, {}
        for path, state in files.items():
            self._since[state] = before.get(state, (now, path))
        waiting = [
            path
            for path in files
            if path.lower().endswith(_SUFFIXES)
            and not os.path.basename(path).startswith(".")
            and self._done.get(path) != files[path]
        ]
        if not waiting:
            return []
        images = [Path(path) for path in files if path.lower().endswith(_SUFFIXES)]
        masks = masks_among(images, self._folder)
        ready = []
        for path in sorted(waiting, key=_natural):
            state = files[path]
            if self._is_none(Path(path), state, masks):
                self._done[path] = state
            elif self._rests(path, state, now):
                ready.append((path, state))
            elif self._in_order:
                break
        return ready

    def _is_none(self, path: Path, state: _State, masks: set[Path]) -> bool:
        """Return whether a file is a mask, or an image that has been inspected."""
        return (
            path in masks
            or is_ignore_mask(path, self._ignore)
            or self._known(path, make_stamp(state.size, state.mtime_ns))
        )

    def _rests(self, path: str, state: _State, now: float) -> bool:
        since, name = self._since[state]
        failure = self._failures.get(path)
        if failure is not None and failure.state == state and now < failure.not_before:
            return False
        return now - since >= self._settle or name != path

    def _files(self) -> dict[str, _State] | None:
        """Return what all files are like; None where the folder cannot be listed for now."""
        files = {}
        try:
            for folder in walk_folders(self._folder):
                with os.scandir(folder) as entries:
                    for entry in entries:
                        try:
                            if leads_to_file(entry):
                                status = entry.stat()
                                files[entry.path] = _State(status.st_ino, status.st_size, status.st_mtime_ns)
                        except OSError:
                            continue  # it has gone meanwhile, or nobody may look at it yet
        except OSError as error:
            reason = reason_of(error, self._folder)
            if reason != self._absent:
                logger.warning("%s: cannot be listed for now (%s); it is tried again", self._folder, reason)
            self._absent = reason
            return None
        self._absent = None
        return files


def _natural(path: str) -> list[tuple[list[tuple[int, str]], str]]:
    return [natural_key(Path(part)) for part in Path(path).parts]
