"""Settle how maps are treated, on held-out good images alone: calibration, smoothing, thresholds, and what is found."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ssimae.calibration.reference import Reference
from ssimae.calibration.whole import fit_limits, measure_image
from ssimae.config.settings import Form, Settings
from ssimae.engines.pytorch import torch_engine
from ssimae.inspection.holdout import GoodImages, take
from ssimae.inspection.inspector import Inspector, surface_level
from ssimae.inspection.threshold import Thresholds, refuse_fine_shares, set_thresholds
from ssimae.models.build import Network
from ssimae.models.head import Head
from ssimae.pod.hits import PlantedDefects
from ssimae.tuning.folds import calibrated_maps, fit_folds, fit_references, forms_to_compare, joined
from ssimae.tuning.held_out import JudgedMaps, found_defects
from ssimae.tuning.parts import (
    FEWEST_PARTS,
    GOOD_PIXELS,
    PLANTED_IMAGES,
    PLANTED_PIXELS,
    Part,
    fewer_parts,
    held_out_regions,
    inspect_parts,
    labels_of,
    planted_numbers,
)
from ssimae.tuning.rate import with_rarer_calls
from ssimae.tuning.score import PlantedScore, score_maps

logger = logging.getLogger(__name__)

SMOOTHINGS = 0.0, 2.0, 4.0, 8.0, 16.0
"""Standard deviations in pixels that are compared."""

_FIRST_SMOOTHING = 4.0
"""What the forms are compared at, before the smoothing is chosen for the best of them."""


FITTING_S = 20.0
"""Seconds that it takes to settle besides the inspections, about: for calibrations, whatever the images."""


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
    judged: JudgedMaps
    """The maps that the thresholds were set on, and those of planted images."""


def settle(
    model: Network,
    good: GoodImages,
    settings: Settings,
    *,
    head: Head | None = None,
    device: torch.device,
    precision: str,
    good_pixels: int = GOOD_PIXELS,
    planted_pixels: int = PLANTED_PIXELS,
    planted_images: int = PLANTED_IMAGES,
    on_part: Callable[[int], None] = lambda count: None,
) -> Settled:
    """Return the treatment of maps that held-out good images give, and thresholds for it.

    Parameters
    ----------
    model : Autoencoder, VariationalAutoencoder or FeatureDictionary
        Trained network, on `device`.
    good : GoodImages
    settings : Settings
        Its `calibration` and `residual_smoothing` may be left to choose.
    head : Head or None
        Discriminative head, on `device`.
    device : torch.device
    precision : {"float32", "bfloat16"}
        Arithmetic of the forward pass.
    good_pixels, planted_pixels : int
        Bounds of the pixels of all held-out images that are inspected, and of all planted ones.
    planted_images : int
        Bound of the number of planted ones.
    on_part : callable, optional
        Called after every inspected part with the number of those so far; :func:`n_parts` tells how many there will be.

    Raises
    ------
    ValueError
        As :func:`ssimae.inspection.threshold.set_thresholds` does.

    Notes
    -----
    Every held-out part is calibrated by what the others show, in folds, and so are the planted images made from
    it: neither thresholds nor choices rest on pixels that were calibrated by themselves. The calibration that is kept
    rests on all parts.
    """
    settings = treatable(settings, good)
    engine = torch_engine(model, settings, head=head, device=device, precision=precision)
    inspector = Inspector(engine=engine, settings=settings, reference=None)
    if settings.calibration == "none":
        return _settle_plain(inspector, good, on_part)
    good = fewer_parts(good, good_pixels)
    parts, planted = inspect_parts(
        inspector, good, planted_pixels=planted_pixels, planted_images=planted_images, on_part=on_part
    )
    forms = (
        forms_to_compare(parts, whole=good.split.kind == "images")
        if settings.calibration == "auto"
        else [settings.calibration]
    )
    folds = fit_folds(parts, forms, seed=settings.seed)
    if any(part.defects for part in planted):
        settings, choices = _choose(parts, planted, folds, settings)
    else:
        # Too small or too plain for a defect that can be seen: nothing is compared.
        smoothing = _FIRST_SMOOTHING if settings.residual_smoothing is None else settings.residual_smoothing
        settings, choices = dataclasses.replace(settings, calibration=forms[-1], residual_smoothing=smoothing), []
    form = cast("Form", settings.calibration)
    maps = calibrated_maps(parts, folds[form], settings)
    thresholds = _thresholds(inspector, good, settings, maps, [part.ignored_inside for part in parts])
    levels = [
        surface_level(take(joined(part, folds[form], settings), part.region), part.ignored_inside) for part in parts
    ]
    images = [measure_image(*pair) for pair in zip(good.images, good.ignored, strict=True)]
    reference = fit_references(parts, [form], whole=fit_limits(images, levels), seed=settings.seed)[form]
    planted_maps = calibrated_maps(planted, folds[form], settings) if choices else []
    judged = dataclasses.replace(
        _judged(good, maps),
        planted=tuple(planted_maps),
        labels=tuple(labels_of(planted)) if choices else (),
        defects=tuple(part.defects for part in planted) if choices else (),
    )
    if choices and thresholds.rule == "area" and thresholds.false_calls is not None:
        thresholds = with_rarer_calls(thresholds, judged)
    found = found_defects(planted_maps, judged.labels, judged.defects, thresholds) if choices else None
    return Settled(settings, reference, thresholds, found, tuple(choices), judged)


def refuse_unsettled(good: GoodImages, settings: Settings) -> None:
    """Refuse before a training, with a ValueError, what :func:`settle` would refuse after it."""
    if settings.threshold_rule != "fpr":
        return
    kept = good if settings.calibration == "none" else fewer_parts(good, GOOD_PIXELS)
    pixels = 0
    for index, region in held_out_regions(kept, settings.scale):
        height, width = kept.images[index][region].shape[:2]
        ignored = kept.ignored[index]
        pixels += height * width - (0 if ignored is None else int(np.count_nonzero(ignored[region])))
    refuse_fine_shares(pixels, settings)


def treatable(settings: Settings, good: GoodImages) -> Settings:
    """Return the settings, without a calibration where too few good images are held out, which is said."""
    if settings.calibration == "none" or (good.split.kind != "none" and len(good.split.held_out) >= FEWEST_PARTS):
        return settings
    logger.warning(
        "the residual is not calibrated: that takes at least %d good images, or bands of them, beside those for "
        "training",
        FEWEST_PARTS,
    )
    return dataclasses.replace(settings, calibration="none")


def n_parts(good: GoodImages, settings: Settings, *, planted_images: int = PLANTED_IMAGES) -> int:
    """Return how many images are inspected to settle."""
    if settings.calibration == "none":
        return len(good.split.held_out)
    good = fewer_parts(good, GOOD_PIXELS)
    return len(good.split.held_out) + len(planted_numbers(good, PLANTED_PIXELS, planted_images))


def _settle_plain(inspector: Inspector, good: GoodImages, on_part: Callable[[int], None]) -> Settled:
    """Set thresholds on the residual as it is."""
    maps, masks = [], []
    for count, (index, region) in enumerate(held_out_regions(good, inspector.settings.scale), 1):
        ignored = good.ignored[index]
        maps.append(take(inspector.inspect(good.images[index], ignored).judged, region))
        masks.append(None if ignored is None else take(ignored, region))
        on_part(count)
    thresholds = _thresholds(inspector, good, inspector.settings, maps, masks)
    return Settled(inspector.settings, None, thresholds, None, (), _judged(good, maps))


def _judged(good: GoodImages, maps: Sequence[NDArray[np.float32]]) -> JudgedMaps:
    """Return the maps of held-out parts with the images that these are of."""
    numbers = tuple(index for index, _ in good.split.held_out)
    sizes = [good.images[index].shape[0] * good.images[index].shape[1] for index in numbers]
    shares = tuple(map_.size / size for map_, size in zip(maps, sizes, strict=True))
    return JudgedMaps(tuple(maps), numbers, shares)


def _choose(
    parts: Sequence[Part], planted: Sequence[Part], folds: dict[Form, list[Reference]], settings: Settings
) -> tuple[Settings, list[Choice]]:
    """Return the settings that find planted defects best, and all that was compared: one thing after the other."""
    given = settings.residual_smoothing
    choices: list[Choice] = []

    def compare(form: Form, smoothing: float) -> None:
        if any((form, smoothing) == (choice.calibration, choice.smoothing) for choice in choices):
            return
        treated = dataclasses.replace(settings, calibration=form, residual_smoothing=smoothing)
        score = score_maps(
            calibrated_maps(parts, folds[form], treated),
            calibrated_maps(planted, folds[form], treated),
            labels_of(planted),
            min_area=treated.smallest_region,
            ignored=[part.ignored_inside for part in planted],
        )
        choices.append(Choice(form, smoothing, score))

    def best() -> Choice:
        return max(choices, key=lambda choice: choice.score.value)

    for form in folds:
        compare(form, _FIRST_SMOOTHING if given is None else given)
    for smoothing in SMOOTHINGS if given is None else ():
        compare(best().calibration, smoothing)
    chosen = best()
    settings = dataclasses.replace(
        settings,
        calibration=chosen.calibration,
        residual_smoothing=chosen.smoothing,
    )
    return settings, choices


def _thresholds(
    inspector: Inspector,
    good: GoodImages,
    settings: Settings,
    maps: Sequence[NDArray[np.float32]],
    masks: Sequence[NDArray[np.bool_] | None],
) -> Thresholds:
    return set_thresholds(
        maps,
        settings,
        ignored=masks,
        shares=_judged(good, maps).shares,
        masked=good.masked,
        held_out=good.split.kind != "none",
        precision=inspector.engine.precision,
        engine=inspector.engine.name,
    )
