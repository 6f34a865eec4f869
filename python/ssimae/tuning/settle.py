"""Settle how maps are treated, on held-out good images alone: calibration, smoothing, thresholds, and what is found."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.calibration.calibration import (
    Calibration,
    Place,
    describe_place,
    fit_calibration,
    shares_geometry,
    with_position,
)
from ssimae.calibration.places import place_features
from ssimae.calibration.reference import RESIDUAL, Reference
from ssimae.calibration.whole import fit_limits, measure_image
from ssimae.config.settings import Form, Settings
from ssimae.hardware import describe
from ssimae.inspection.cleaning import clean
from ssimae.inspection.holdout import GoodImages, take
from ssimae.inspection.inspector import Inspector, surface_level, surface_of
from ssimae.inspection.threshold import Thresholds, set_thresholds
from ssimae.inspection.verdict import segment
from ssimae.models.build import Network
from ssimae.pod.hits import PlantedDefects, equivalent_diameter
from ssimae.tuning.planted import PlantedImage, plant_defects
from ssimae.tuning.score import PlantedScore, score_maps

logger = logging.getLogger(__name__)

FOLDS = 3
"""Parts of the held-out images: each is calibrated by what the others show."""

SMOOTHINGS = 0.0, 2.0, 4.0, 8.0, 16.0
"""Standard deviations in pixels that are compared."""

_PLANTED_IMAGES, _DEFECTS_EACH = 24, 4
PLANTED_PIXELS = 24_000_000
"""Bounds of the planted images: about a hundred defects, and no more pixels than a minute inspects."""


@dataclass(frozen=True)
class Choice:
    """One treatment that was compared."""

    calibration: Form
    smoothing: float
    score: PlantedScore

    def to_dict(self) -> dict[str, Any]:
        """Return the treatment and its scores, ready for JSON."""
        return {
            "calibration": self.calibration,
            "residual_smoothing": self.smoothing,
            "au_pro_0.05": self.score.au_pro,
            "found": self.score.found,
            "score": self.score.value,
        }


@dataclass(frozen=True)
class Settled:
    """How maps are treated from now on."""

    settings: Settings
    """Nothing in them is left to choose."""
    reference: Reference | None
    thresholds: Thresholds
    planted: PlantedDefects | None
    """What was found of the planted defects; None where none were planted."""
    choices: tuple[Choice, ...]
    """All treatments that were compared; the highest score was taken."""


@dataclass(frozen=True)
class _Part:
    """The maps of a held-out part of a good image, or of one with planted defects, with all that treats them."""

    image: NDArray[np.float32]
    channels: dict[str, NDArray[np.float32]]
    features: NDArray[np.float32]
    region: tuple[slice, slice]
    """Rows and columns that were not trained on."""
    ignored: NDArray[np.bool_] | None
    fold: int

    def inside(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return take(values, self.region)

    @property
    def ignored_inside(self) -> NDArray[np.bool_] | None:
        return None if self.ignored is None else take(self.ignored, self.region)


def settle(
    model: Network,
    good: GoodImages,
    settings: Settings,
    *,
    device: torch.device,
    precision: str,
    planted_pixels: int = PLANTED_PIXELS,
    on_part: Callable[[int], None] | None = None,
) -> Settled:
    """Return the treatment of maps that held-out good images give, and thresholds for it.

    Parameters
    ----------
    model : Autoencoder, VariationalAutoencoder or FeatureDictionary
        Trained network, on `device`.
    good : GoodImages
    settings : Settings
        Its `calibration` and `residual_smoothing` may be left to choose.
    device : torch.device
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass.
    planted_pixels : int
        Bound of the pixels of all planted images.
    on_part : callable, optional
        Called after every inspected part with the number of those so far; :func:`n_parts` tells how many there will be.

    Raises
    ------
    ValueError
        As :func:`ssimae.inspection.threshold.set_thresholds` does.

    Notes
    -----
    Every held-out part is calibrated by what the others show, in three folds, and so are the planted images made from
    it: neither thresholds nor choices rest on pixels that were calibrated by themselves. The calibration that is kept
    rests on all parts.
    """
    inspector = Inspector(model=model, settings=settings, reference=None, device=device, precision=precision)
    if settings.calibration != "none" and (good.split.kind == "none" or len(good.split.held_out) < FOLDS):
        logger.warning(
            "the residual is not calibrated: that takes at least %d good images, or bands of them, beside those for "
            "training",
            FOLDS,
        )
        settings = dataclasses.replace(settings, calibration="none")
    if settings.calibration == "none":
        return _settle_plain(inspector, good, settings, on_part)
    return _Settling(inspector, good, settings, planted_pixels, on_part).settled()


def n_parts(good: GoodImages, settings: Settings) -> int:
    """Return how many images are inspected to settle."""
    held_out = len(good.split.held_out)
    return held_out if settings.calibration == "none" else held_out + len(_planted_numbers(good, PLANTED_PIXELS))


def held_out_regions(good: GoodImages, settings: Settings) -> list[tuple[int, tuple[slice, slice]]]:
    """Return the number of each image of which something is held out, and the rows and columns, at its own size."""

    def unscaled(side: slice) -> slice:
        start, stop = (None if end is None else round(end / settings.scale) for end in (side.start, side.stop))
        return slice(start, stop)

    return [(index, (unscaled(rows), unscaled(columns))) for index, (rows, columns) in good.split.held_out]


def _settle_plain(
    inspector: Inspector, good: GoodImages, settings: Settings, on_part: Callable[[int], None] | None
) -> Settled:
    """Set thresholds on the residual as it is."""
    inspector = dataclasses.replace(inspector, settings=settings)
    maps, masks = [], []
    for count, (index, region) in enumerate(held_out_regions(good, settings), 1):
        ignored = good.ignored[index]
        maps.append(take(inspector.inspect(good.images[index], ignored).judged, region))
        masks.append(None if ignored is None else take(ignored, region))
        if on_part is not None:
            on_part(count)
    return Settled(settings, None, _thresholds(inspector, good, settings, maps, masks), None, ())


def _thresholds(
    inspector: Inspector,
    good: GoodImages,
    settings: Settings,
    maps: Sequence[NDArray[np.float32]],
    masks: Sequence[NDArray[np.bool_] | None],
) -> Thresholds:
    sizes = [good.images[index].shape[0] * good.images[index].shape[1] for index, _ in good.split.held_out]
    return set_thresholds(
        maps,
        settings,
        ignored=masks,
        shares=[map_.size / size for map_, size in zip(maps, sizes, strict=True)],
        masked=good.masked,
        held_out=good.split.kind != "none",
        precision=inspector.precision,
        engine=f"torch {torch.__version__} on {describe(inspector.device)}",
    )


def _planted_numbers(good: GoodImages, pixels: int) -> list[int]:
    """Return the held-out part that each planted image is made from: all in turn, as many as the bounds allow."""
    parts = good.split.held_out
    sizes = [good.images[index].shape[0] * good.images[index].shape[1] for index, _ in parts]
    count = int(np.clip(pixels / np.mean(sizes), 3, _PLANTED_IMAGES))
    # Evenly over the parts, in case there are more of them.
    if count <= len(parts):
        return [number * len(parts) // count for number in range(count)]
    return [number % len(parts) for number in range(count)]


class _Settling:
    """One calibrated settling: maps are computed once, and treated in every way that is compared."""

    def __init__(
        self,
        inspector: Inspector,
        good: GoodImages,
        settings: Settings,
        planted_pixels: int,
        on_part: Callable[[int], None] | None,
    ) -> None:
        self._inspector, self._good, self._settings, self._on_part = inspector, good, settings, on_part
        self._planted_pixels = planted_pixels
        self._done = 0
        self._regions = held_out_regions(good, settings)
        self._parts = [
            self._part(good.images[index], index, region, number % FOLDS)
            for number, (index, region) in enumerate(self._regions)
        ]
        self._planted, self._planted_parts = [], []
        for planted in self._plant():
            self._planted.append(planted)
            index, region = self._regions[planted.index]
            self._planted_parts.append(self._part(planted.image, index, region, planted.index % FOLDS))

    def settled(self) -> Settled:
        """Return what is chosen, and what follows from it."""
        references = self._references()
        choices: list[Choice] = []
        first = self._settings.smoothing if self._settings.residual_smoothing is not None else SMOOTHINGS[2]
        for form, folds in references.items():
            choices.append(self._choice(form, first, folds))
        best = max(choices, key=lambda choice: choice.score.value)
        if self._settings.residual_smoothing is None:
            for smoothing in SMOOTHINGS:
                if smoothing != first:
                    choices.append(self._choice(best.calibration, smoothing, references[best.calibration]))
            best = max(choices, key=lambda choice: choice.score.value)
        folds = references[best.calibration]
        settings = dataclasses.replace(self._settings, calibration=best.calibration, residual_smoothing=best.smoothing)
        good_maps = self._maps(self._parts, folds, settings)
        masks = [part.ignored_inside for part in self._parts]
        thresholds = _thresholds(self._inspector, self._good, settings, good_maps, masks)
        planted = self._found(self._maps(self._planted_parts, folds, settings), thresholds)
        levels = [
            surface_level(part.inside(folds[part.fold].joined(part.channels, part.features, 0.0)), part.ignored_inside)
            for part in self._parts
        ]
        images = [measure_image(*pair) for pair in zip(self._good.images, self._good.ignored, strict=True)]
        reference = Reference(self._calibrations(self._parts, best.calibration), fit_limits(images, levels))
        return Settled(settings, reference, thresholds, planted, tuple(choices))

    def _part(self, image: NDArray[np.float32], index: int, region: tuple[slice, slice], fold: int) -> _Part:
        ignored = self._good.ignored[index]
        rebuilt, channels = self._inspector.channels(image)
        features = place_features(surface_of(image, rebuilt), ignored)
        self._done += 1
        if self._on_part is not None:
            self._on_part(self._done)
        return _Part(image, channels, features, region, ignored, fold)

    def _plant(self) -> Iterator[PlantedImage]:
        sources = [self._good.images[index][region] for index, region in self._regions]
        for number, part in enumerate(_planted_numbers(self._good, self._planted_pixels)):
            index, region = self._regions[part]
            yield plant_defects(
                self._good.images[index],
                sources,
                index=part,
                region=region,
                ignored=self._good.ignored[index],
                count=_DEFECTS_EACH,
                seed=self._settings.seed,
                number=number,
            )

    def _references(self) -> dict[Form, list[Reference]]:
        """Return, for every form that is compared, what the other folds show each fold."""
        whole = fit_limits([(0.0, 0.0, 0.0)], [0.0])
        references: dict[Form, list[Reference]] = {}
        for form in self._forms():
            references[form] = []
        for fold in range(FOLDS):
            others = [part for part in self._parts if part.fold != fold]
            fitted = self._fitted(others, list(references))
            for form, folds in references.items():
                folds.append(Reference(fitted[form], whole))
        return references

    def _forms(self) -> list[Form]:
        if self._settings.calibration != "auto":
            return [cast("Form", self._settings.calibration)]
        geometry = shares_geometry(self._places(self._parts, RESIDUAL))
        return ["border", "surface", "position", "both"] if geometry else ["border", "surface"]

    def _calibrations(self, parts: Sequence[_Part], form: Form) -> dict[str, Calibration]:
        return self._fitted(parts, [form])[form]

    def _fitted(
        self, parts: Sequence[_Part], forms: Sequence[Form] | dict[Form, list[Reference]]
    ) -> dict[Form, dict[str, Calibration]]:
        """Return the calibration of each channel by parts, for each form; the expectations are fitted once."""
        found: dict[Form, dict[str, Calibration]] = {form: {} for form in forms}
        for channel in parts[0].channels:
            places = self._places(parts, channel)
            pairs: tuple[tuple[bool, Form, Form], ...] = ((False, "border", "position"), (True, "surface", "both"))
            for surface, plain, positioned in pairs:
                if plain not in found and positioned not in found:
                    continue
                calibration = fit_calibration(places, surface=surface, seed=self._settings.seed)
                if plain in found:
                    found[plain][channel] = calibration
                if positioned in found:
                    found[positioned][channel] = with_position(calibration, places)
        return found

    def _places(self, parts: Sequence[_Part], channel: str) -> list[Place]:
        return [
            describe_place(part.channels[channel], part.features, region=part.region, ignored=part.ignored)
            for part in parts
        ]

    def _choice(self, form: Form, smoothing: float, folds: Sequence[Reference]) -> Choice:
        settings = dataclasses.replace(self._settings, calibration=form, residual_smoothing=smoothing)
        score = score_maps(
            self._maps(self._parts, folds, settings),
            self._maps(self._planted_parts, folds, settings),
            [
                take(planted.labels, part.region)
                for planted, part in zip(self._planted, self._planted_parts, strict=True)
            ],
            min_area=settings.smallest_region,
            ignored=[part.ignored_inside for part in self._planted_parts],
        )
        return Choice(form, smoothing, score)

    def _maps(
        self, parts: Sequence[_Part], folds: Sequence[Reference], settings: Settings
    ) -> list[NDArray[np.float32]]:
        return [
            part.inside(clean(folds[part.fold].joined(part.channels, part.features, 0.0), settings, part.ignored))
            for part in parts
        ]

    def _found(self, maps: Sequence[NDArray[np.float32]], thresholds: Thresholds) -> PlantedDefects:
        """Return which planted defects are found: some of their pixels lie in a marked region."""
        defects = [defect for planted in self._planted for defect in planted.defects]
        hits = []
        for map_, planted, part in zip(maps, self._planted, self._planted_parts, strict=True):
            mask, _, _ = segment(map_, thresholds)
            marked = np.bincount(take(planted.labels, part.region)[mask], minlength=len(planted.defects) + 1)
            hits += [bool(count) for count in marked[1:]]
        return PlantedDefects(
            equivalent_diameter(np.array([defect.area for defect in defects], np.float64)),
            np.array([defect.contrast for defect in defects]),
            tuple(defect.kind for defect in defects),
            np.array(hits, bool),
        )
