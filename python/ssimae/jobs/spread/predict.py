"""Inspect images on a Ray cluster: its workers read, judge and write; the rows are written here, in order."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ssimae.data.ignore import IgnoreMasks
from ssimae.jobs.predicting.arrivals import AllAtOnce, Arrival
from ssimae.jobs.predicting.model import at_levels, open_model, start_inspector
from ssimae.jobs.predicting.one_by_one import OneByOne, Session, Writing
from ssimae.jobs.predicting.record import Found
from ssimae.jobs.spread.cluster import connected, spread
from ssimae.progress import Task
from ssimae.storage.facts import PredictFacts
from ssimae.storage.inspected import GrowingTables, Inspected
from ssimae.storage.predictions import SkippedImage, Stamp, stamp_of
from ssimae.storage.run_folder import RunFolder


@dataclass
class _Rows:
    """Rows of images on their way to the tables; the names were chosen there."""

    items: list[Inspected | SkippedImage] = field(default_factory=list)

    def known(self, image: Path, stamp: Stamp) -> None:
        """Return None: no image has a row here."""

    def free_name(self, image: Path, name: str | None = None) -> str:
        """Return the name that was chosen."""
        return image.stem if name is None else name

    def reserve(self, name: str) -> None:
        """Do nothing."""

    def add(self, item: Inspected) -> None:
        """Keep the rows of an image."""
        self.items.append(item)

    def skip(self, skipped: SkippedImage) -> None:
        """Keep the row of an image that could not be inspected."""
        self.items.append(skipped)


_Done = list[tuple[Inspected | SkippedImage, Found]]


def inspect_on_cluster(
    address: str,
    folder: RunFolder,
    facts: PredictFacts,
    listed: Sequence[Arrival],
    tables: GrowingTables,
    *,
    device: str,
    on_image: Callable[[Found], None],
    task: Task,
) -> Session:
    """Inspect listed images with the workers of a Ray cluster, as :class:`OneByOne` does with one process.

    All machines must see model, images and results under the same paths. Of what is written nothing differs from what
    one process writes.

    Parameters
    ----------
    address : str
        As for :func:`.cluster.connected`.
    folder : RunFolder
        Locked by this process.
    facts : PredictFacts
    listed : sequence of Arrival
        Those that have a row, and have not changed since, are passed over.
    tables : GrowingTables
        Of the folder.
    device : str
        Of each worker.
    on_image : callable
        Called with each image in order, once its rows are there.
    task : Task
        Told how many images are done.

    Raises
    ------
    OSError, ValueError
        As :func:`.cluster.connected` and :func:`.cluster.spread` say.
    """
    session = Session()
    start = time.perf_counter()
    waiting = []
    for arrival in listed:
        if not _is_done(arrival, tables):
            name = tables.free_name(arrival.path, arrival.name)
            tables.reserve(name)
            waiting.append(replace(arrival, name=name))
    task.update(count := len(listed) - len(waiting))
    if not waiting:
        return session
    make = functools.partial(_worker, folder.root.absolute(), facts, device)
    with connected(address) as ray:
        for done in spread(ray, make, waiting, gpu=device.startswith("cuda")):
            for item, found in done:
                if isinstance(item, Inspected):
                    tables.add(item)
                    session.inspected += 1
                else:
                    tables.skip(item)
                    session.skipped += 1
                on_image(found)
            task.update(count := count + len(done))
    session.busy_s = time.perf_counter() - start
    return session


def _is_done(arrival: Arrival, tables: GrowingTables) -> bool:
    try:
        return tables.known(arrival.path, stamp_of(arrival.path)) is not None
    except OSError:
        return False  # a worker finds the reason


def _worker(root: Path, facts: PredictFacts, device: str) -> Callable[[Sequence[Arrival]], _Done]:
    """Return what inspects a part of the images; the network is loaded once."""
    saved = open_model(facts.model, allow_collapsed=True)
    saved = at_levels(saved, facts.review, facts.defective)
    assert saved.thresholds is not None
    inspector, _ = start_inspector(saved, device, facts.engine)
    rows, found = _Rows(), list[Found]()
    one_by_one = OneByOne(
        RunFolder(root),
        rows,
        inspector,
        saved.thresholds,
        Writing(facts.pixel_size, facts.maps, facts.masks, facts.overlays),
        None if facts.ignore is None else IgnoreMasks(facts.ignore),
        None,
        found.append,
    )

    def inspect(part: Sequence[Arrival]) -> _Done:
        rows.items.clear()
        found.clear()
        one_by_one.inspect(AllAtOnce(part), Session())
        return list(zip(rows.items, found, strict=True))

    return inspect
