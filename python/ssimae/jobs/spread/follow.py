"""Take part in the trainings of another process that torchrun started."""

from __future__ import annotations

import logging
from pathlib import Path

from ssimae.data.dataset import dataset_fingerprint
from ssimae.errors import DivergedError, InterruptedRunError, PlateauError
from ssimae.hardware import resolve_device
from ssimae.jobs.accounts import open_again
from ssimae.jobs.stages import InterruptibleMonitor, read_good_images
from ssimae.progress import SilentProgress
from ssimae.storage.run_folder import RunFolder
from ssimae.training.interrupt import interruption_of, noted_signals
from ssimae.training.learn import learn
from ssimae.training.sharing.torchrun import Announcement, Process


def follow(process: Process) -> int:
    """Take part in every training that the first process announces, until its command ends; return 128 + a signal or 0.

    Nothing is written or said; the first process says and does it all.

    Raises
    ------
    OSError, ValueError
        If the images cannot be read from here, or are not the same here.
    """
    logging.disable(logging.WARNING)  # the first process warns of the same
    try:
        for announcement in process.announcements():
            try:
                _train(process, announcement)
            except (PlateauError, DivergedError):
                continue  # the first process raises the same, and says what comes next
    except InterruptedRunError as error:
        return 128 + error.signal
    except KeyboardInterrupt as error:
        return 128 + interruption_of(error).signal
    return 0


def _train(process: Process, announcement: Announcement) -> None:
    folder = RunFolder(Path(announcement.folder))
    settings, facts = folder.read_training()
    dataset = open_again(folder, facts)
    if dataset_fingerprint(dataset) != facts.fingerprint:
        raise ValueError(f"{dataset.root}: holds other images or masks for process {process.rank} than for the first")
    good = read_good_images(dataset, settings, SilentProgress())
    parts, ignored = good.training_parts(settings)
    device = resolve_device(process.device(announcement.device))
    with noted_signals() as interruption, process.joining(device) as group:
        learn(
            parts,
            settings,
            ignored=ignored,
            pretrained=facts.pretrained,
            device=device,
            may_give_up=announcement.may_give_up,
            group=group,
            monitor=InterruptibleMonitor(interruption),
        )
