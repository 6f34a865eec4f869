"""Open what a measurement of strides rests on: a model that has strides, and the held-out images of its run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssimae.data.dataset import Dataset, dataset_fingerprint
from ssimae.inspection.holdout import GoodImages
from ssimae.jobs.accounts import open_again
from ssimae.jobs.stages import read_good_images, threshold_names
from ssimae.models.dictionary import FeatureDictionary
from ssimae.progress import Progress
from ssimae.storage.facts import Facts
from ssimae.storage.model_file import SavedModel
from ssimae.storage.run_folder import RunFolder

TIMED = 3
"""Held-out images that are timed, evenly taken."""


@dataclass(frozen=True)
class HeldOut:
    """The held-out images of a run."""

    dataset: Dataset
    good: GoodImages
    names: tuple[str, ...]
    """Of each held-out part, as thresholds name it."""

    @property
    def timed(self) -> list[Path]:
        """Return the files of the images that are timed."""
        images = [self.dataset.train[index] for index, _ in self.good.split.held_out]
        count = min(TIMED, len(images))
        return [images[number * len(images) // count] for number in range(count)]


def read_held_out(folder: RunFolder, facts: Facts, saved: SavedModel, progress: Progress) -> HeldOut:
    """Return the held-out images of a run; raises a ValueError where they are not those that it held out."""
    dataset = open_again(folder, facts)
    if dataset_fingerprint(dataset) != facts.fingerprint:
        raise ValueError(f"{dataset.root}: the images have changed since {folder.root} was started")
    good = read_good_images(dataset, saved.settings, progress)
    names = threshold_names(dataset, good)
    if tuple(names) != facts.threshold_images:
        raise ValueError(
            f"{folder.root}: an earlier version held out other parts of the good images, and those of this version "
            "were trained on; train it again"
        )
    return HeldOut(dataset, good, tuple(names))


def refuse_unfit(folder: RunFolder, saved: SavedModel) -> None:
    """Refuse, with a ValueError, a model of which no stride can be measured."""
    if saved.thresholds is None:
        raise ValueError(f"{folder.model}: the model has no thresholds yet; its run sets them: {folder.resumption}")
    if isinstance(saved.model, FeatureDictionary) or saved.settings.residual_average:
        raise ValueError(f"{folder.model}: its stride is a part of its method, and cannot be changed")
    if saved.reference is None:
        raise ValueError(
            f"{folder.model}: the residual is not calibrated, and without planted defects nothing tells what is lost; "
            "calibrate it by: ssimae run --weights RUN --calibration auto"
        )
