"""Take what a caller gives a detector: images, folders and data sets of them, masks, and labels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssimae.config.settings import Settings
from ssimae.data.accounting import in_one_line, passed_over
from ssimae.data.dataset import GOOD, Dataset, Sample
from ssimae.data.layouts import open_dataset
from ssimae.data.masks import read_ignored
from ssimae.images.depth import Image
from ssimae.images.given import Given, take_image
from ssimae.progress import Progress

logger = logging.getLogger(__name__)

ImageLike = NDArray[Any] | str | Path
MaskLike = NDArray[np.bool_] | str | Path
Ignore = MaskLike | Sequence[MaskLike | None] | None


@dataclass(frozen=True)
class GoodOnes:
    """Good images to learn from, and what of each is not inspected."""

    images: Sequence[ImageLike]
    masks: Sequence[MaskLike | None]


def good_ones(
    X: Sequence[ImageLike] | str | Path | Dataset, y: ArrayLike | None, ignore: Ignore, progress: Progress
) -> GoodOnes:
    """Return the good images of what a fit was given.

    Raises
    ------
    OSError, ValueError
        If there is none, a folder is none that :func:`ssimae.open_dataset` opens, or `y` or `ignore` do not fit.
    """
    if isinstance(X, str | Path | Dataset):
        if y is not None:
            raise ValueError("`y` goes with a sequence of images; a folder says itself which of its images are good")
        return _good_ones_of(X, ignore, progress)
    masks = one_each(ignore, len(X))
    if y is None:
        return GoodOnes(X, masks)
    good = np.flatnonzero(~defective(y, len(X))).tolist()
    return GoodOnes([X[index] for index in good], [masks[index] for index in good])


def _good_ones_of(data: str | Path | Dataset, ignore: Ignore, progress: Progress) -> GoodOnes:
    """Return the good images of a folder or data set; say what was found, and warn of what is passed over."""
    if isinstance(data, Dataset):
        if ignore is not None:
            raise ValueError("`ignore` of a data set is given to ssimae.open_dataset")
        dataset = data
    else:
        if ignore is not None and not isinstance(ignore, str | Path):
            raise ValueError("`ignore` of a folder must be the path of a mask, or of a folder of one for each image")
        dataset = open_dataset(data, ignore=None if ignore is None else Path(ignore))
        if line := in_one_line(passed_over(dataset, ignore=None if ignore is None else Path(ignore)), dataset.root):
            logger.warning("%s", line)
    left = f"; {len(dataset.test)} test images are not learned from" if dataset.test else ""
    progress.say(f"{dataset.root}: {dataset.layout} layout, {len(dataset.train)} good images{left}")
    return GoodOnes(dataset.train, [dataset.ignore.get(path) for path in dataset.train])


def sequence_of(X: Sequence[ImageLike]) -> Sequence[ImageLike]:
    """Return a sequence of images, and refuse what looks like one and is a single path."""
    if isinstance(X, str | Path):
        got, hint = f"the path {str(X)!r}", "`inspect` takes a single image"
        if Path(X).is_dir():
            got, hint = f"the folder {str(X)!r}", f"list its images: sorted(Path({str(X)!r}).glob('*.png'))"
        raise ValueError(f"`X` must be a sequence of images, got {got}; {hint}")
    return X


def defective(y: ArrayLike, count: int) -> NDArray[np.bool_]:
    """Return which of some images labels call defective, (count,).

    Raises
    ------
    ValueError
        If the labels are neither True and False, 1 for defective and 0, nor -1 for defective and +1; or all are 1.
    """
    labels = np.asarray(y)
    if labels.shape != (count,):
        raise ValueError(f"`y` must hold a label for each of {count} images, got shape {labels.shape}")
    if labels.dtype == np.bool_:
        return labels
    found = set(np.unique(labels).tolist())
    if found == {1}:
        raise ValueError(
            "`y` holds nothing but 1, which is defective beside 0 and good beside -1: leave it out where all images "
            "are good"
        )
    if found <= {0, 1}:
        return np.asarray(labels == 1)
    if found <= {-1, 1}:
        return np.asarray(labels == -1)
    raise ValueError(
        "`y` must hold True or 1 for defective and False or 0 for good, or -1 for defective and +1 for good, got "
        f"{', '.join(map(repr, sorted(found, key=str)[:4]))}"
    )


def one_each(ignore: Ignore, count: int) -> list[MaskLike | None]:
    """Return a mask, or None, for each of `count` images."""
    masks = [ignore] * count if ignore is None or isinstance(ignore, np.ndarray | str | Path) else list(ignore)
    if len(masks) != count:
        raise ValueError(f"`ignore` must be one mask, or as many as images ({count}), got {len(masks)}")
    return masks


def ignored_of(mask: MaskLike | None, image: Image, what: str) -> NDArray[np.bool_] | None:
    """Return an ignore mask of an image, None where it ignores nothing."""
    if mask is None:
        return None
    if isinstance(mask, str | Path):
        return read_ignored(Sample(Path(what), what, GOOD, ignore=Path(mask)), image.shape)
    ignored = np.asarray(mask) != 0
    if ignored.shape != image.shape[:2]:
        raise ValueError(f"{what} must have the shape of its image {image.shape[:2]}, got {ignored.shape}")
    if ignored.all():
        raise ValueError(f"{what} leaves nothing of its image")
    return ignored if ignored.any() else None


def image_of(image: ImageLike, settings: Settings, what: str) -> Given:
    """Return one image in the channels of the settings."""
    return take_image(image, what, channels=settings.channels, data_range=settings.data_range)


def images_of(images: Sequence[ImageLike], settings: Settings, on_image: Callable[[int], None]) -> list[Given]:
    """Return all images; every one that cannot be taken is named in one error."""
    taken: list[Given] = []
    faults: list[OSError | ValueError] = []
    for index, image in enumerate(images):
        try:
            taken.append(image_of(image, settings, f"image {index}"))
        except (OSError, ValueError) as error:
            faults.append(error)
        on_image(index + 1)
    if len(faults) > 1:
        raise ValueError("\n".join(map(str, faults)))
    if faults:
        raise faults[0]
    return taken


def of_its_channels(image: ImageLike, settings: Settings) -> Settings:
    """Return the settings with as many channels as an image may have: three in files."""
    return replace(settings, channels=3 if is_coloured(image) or isinstance(image, str | Path) else 1)


def is_coloured(image: ImageLike) -> bool:
    """Return whether an image is an array of colour; files are read in as many channels as carry something."""
    return not isinstance(image, str | Path) and np.ndim(image) == 3
