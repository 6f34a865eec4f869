"""Compute the maps of held-out good parts, and of the same with planted defects, once for all that is compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssimae.calibration.places import place_features
from ssimae.images.depth import Image
from ssimae.inspection.holdout import GoodImages, take
from ssimae.inspection.inspector import Inspector, surface_of
from ssimae.tuning.planting.planted import PlantedDefect, PlantedImage, plant_defects

FEWEST_PARTS, FOLDS = 3, 5
"""Held-out parts that a calibration takes, and groups of them, fewer where there are fewer parts: each group is
calibrated by what the others show. With three groups levels come out higher than those of new images, whose calibration
rests on half as many parts more."""

GOOD_PIXELS, PLANTED_PIXELS = 90_000_000, 24_000_000
PLANTED_IMAGES, DEFECTS_EACH = 24, 4
"""Bounds of what is inspected: maps of all of it are held at once, at about 16 bytes a pixel, and take minutes. In
colour, where a pixel takes twice as much, there are half as many good ones."""

Region = tuple[slice, slice]


@dataclass(frozen=True)
class Part:
    """The maps of an image of which a part was not trained on, before calibration."""

    channels: dict[str, NDArray[np.float32]]
    """(h, w) each, by kind; the residual of each channel (h', w', C)."""
    features: NDArray[np.float32]
    """Of the places of the image (see :func:`ssimae.calibration.places.place_features`)."""
    region: Region
    """Rows and columns that were not trained on: nothing else counts."""
    ignored: NDArray[np.bool_] | None
    fold: int
    labels: NDArray[np.int32] | None = None
    """Of `region`: 0 for good, else the number of a planted defect; None in a good image."""
    defects: tuple[PlantedDefect, ...] = ()

    @property
    def ignored_inside(self) -> NDArray[np.bool_] | None:
        """What of the region is not inspected."""
        return None if self.ignored is None else take(self.ignored, self.region)


def held_out_regions(good: GoodImages, scale: float) -> list[tuple[int, Region]]:
    """Return the number of each image of which something is held out, and the rows and columns, at its own size."""

    def unscaled(side: slice) -> slice:
        start, stop = (None if end is None else round(end / scale) for end in (side.start, side.stop))
        return slice(start, stop)

    return [(index, (unscaled(rows), unscaled(columns))) for index, (rows, columns) in good.split.held_out]


def fewer_parts(good: GoodImages, pixels: int) -> GoodImages:
    """Return good images of which so many held-out parts are left, evenly taken, that all fit into a number of pixels.

    As many as a calibration takes stay in any case.
    """
    if good.images[0].ndim == 3:
        pixels = min(pixels, GOOD_PIXELS // 2)
    parts = good.split.held_out
    sizes = [good.images[index].shape[0] * good.images[index].shape[1] for index, _ in parts]
    count = max(FEWEST_PARTS, int(pixels / np.mean(sizes))) if parts else 0
    if count >= len(parts):
        return good
    chosen = tuple(parts[number * len(parts) // count] for number in range(count))
    return dataclasses.replace(good, split=dataclasses.replace(good.split, held_out=chosen))


def planted_numbers(good: GoodImages, pixels: int, images: int = PLANTED_IMAGES) -> list[int]:
    """Return the held-out part that each planted image is made from: all in turn, as many as the bounds allow."""
    parts = good.split.held_out
    sizes = [good.images[index].shape[0] * good.images[index].shape[1] for index, _ in parts]
    count = int(np.clip(pixels / np.mean(sizes), 3, images))
    if count <= len(parts):  # evenly over them
        return [number * len(parts) // count for number in range(count)]
    return [number % len(parts) for number in range(count)]


def inspect_parts(
    inspector: Inspector,
    good: GoodImages,
    *,
    planted_pixels: int,
    planted_images: int = PLANTED_IMAGES,
    planted_kinds: Sequence[str] | None = None,
    on_part: Callable[[int], None],
) -> tuple[list[Part], list[Part]]:
    """Return the maps of the held-out good parts, and those of parts with planted defects.

    Parameters
    ----------
    inspector : Inspector
    good : GoodImages
        With at least one held-out part.
    planted_pixels : int
        Bound of the pixels of all planted images.
    planted_images : int
        Bound of their number.
    planted_kinds : sequence of str, optional
        Kinds of defects that are planted; all by default.
    on_part : callable
        Called after every image with the number of those so far.
    """
    regions = held_out_regions(good, inspector.settings.scale)
    folds = min(FOLDS, len(regions))
    parts = []
    for number, (index, region) in enumerate(regions):
        parts.append(_part(inspector, good.images[index], region, good.ignored[index], number % folds))
        on_part(len(parts))
    planted = []
    for made in plant_images(
        good,
        scale=inspector.settings.scale,
        seed=inspector.settings.seed,
        pixels=planted_pixels,
        images=planted_images,
        kinds=planted_kinds,
    ):
        index, region = regions[made.index]
        part = _part(inspector, made.image, region, good.ignored[index], made.index % folds)
        planted.append(
            Part(
                part.channels,
                part.features,
                region,
                part.ignored,
                part.fold,
                labels=take(made.labels, region),
                defects=made.defects,
            )
        )
        on_part(len(parts) + len(planted))
    return parts, planted


def plant_images(
    good: GoodImages,
    *,
    scale: float,
    seed: int,
    pixels: int,
    images: int = PLANTED_IMAGES,
    kinds: Sequence[str] | None = None,
) -> Iterator[PlantedImage]:
    """Yield images with defects planted in their held-out parts; the `index` of each is the number of that part.

    Parameters
    ----------
    good : GoodImages
        With at least one held-out part.
    scale : float
        Of the images that are trained on.
    seed : int
        All that the defects follow from.
    pixels, images : int
        Bounds of what is planted.
    kinds : sequence of str, optional
        Kinds of defects; all by default.
    """
    regions = held_out_regions(good, scale)
    sources = [good.images[index][region] for index, region in regions]
    for number, chosen in enumerate(planted_numbers(good, pixels, images)):
        index, region = regions[chosen]
        yield plant_defects(
            good.images[index][:],
            sources,
            index=chosen,
            region=region,
            ignored=good.ignored[index],
            count=DEFECTS_EACH,
            seed=seed,
            number=number,
            kinds=kinds,
        )


def labels_of(planted: Sequence[Part]) -> list[NDArray[np.int32]]:
    """Return where the defects of planted parts lie."""
    return [part.labels for part in planted if part.labels is not None]


def _part(
    inspector: Inspector,
    image: Image,
    region: Region,
    ignored: NDArray[np.bool_] | None,
    fold: int,
) -> Part:
    rebuilt, channels = inspector.channels(image)
    return Part(channels, place_features(surface_of(image, rebuilt), ignored), region, ignored, fold)
