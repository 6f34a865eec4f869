"""Set the thresholds of the residual from good images alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssimae.config.settings import Settings
from ssimae.levels.false_calls import FEWEST_FOR_TAIL, false_call_level, tail_of_blocks
from ssimae.levels.rules import RegionRules, region_level
from ssimae.reading import Count, Precision, as_kind

OUTLIER = 1.25
"""A good image stands alone if its level exceeds that of all others by more than this factor."""

FEWEST_LEVELS = 3
"""Among fewer good images none can be told to stand alone."""


@dataclass(frozen=True)
class Thresholds:
    """Two levels of the residual, and where they come from.

    A region is what lies above `review` and has at least `min_area` pixels, and keeps the other rules that are asked
    for (:class:`ssimae.levels.rules.RegionRules`). It is defective if its highest residual lies above `defective`.
    """

    review: float
    defective: float
    rule: Literal["area", "fpr", "given"]
    """What they follow from; `given` for levels that somebody named."""
    min_area: int
    held_out: bool
    """Whether the images they were set on were kept out of training."""
    images: Count
    """Good images, or bands of them, they were set on."""
    pixels: Count
    """Pixels they were set on, all together."""
    precision: Precision
    """Arithmetic of the forward pass they hold for."""
    engine: str
    """What ran the network."""
    good_scores: tuple[float, ...]
    """Highest residual of each good image."""
    good_levels: tuple[float, ...] = ()
    """Under the rule `area`, the level of each good image above which it shows no region."""
    masked: bool = False
    """Whether parts of the good images were left out by an ignore mask."""
    false_calls: float | None = None
    """Share of good images that may be flagged, where one was asked for."""
    extrapolated: bool = False
    """Whether that share is finer than the good images can show, so that the tail of their levels was extended."""
    hysteresis: float = 1.0
    """This and the next are rules of regions."""
    merge_distance: Count = 0
    min_length: float = 0.0
    min_contrast: float = 1.0
    allowed: float | None = None
    """Share of good images that was asked for, where a rarer one was taken; it costs little of what is found."""

    def __post_init__(self) -> None:
        """Refuse levels that would pass every part, or none.

        Raises
        ------
        ValueError
            If a level is not finite, `defective` lies below `review`, or no region can be smaller than `min_area`.
        """
        if not (math.isfinite(self.review) and math.isfinite(self.defective)):
            raise ValueError(f"thresholds must be finite, got {self.review} and {self.defective}")
        if self.defective < self.review:
            raise ValueError(f"`defective` ({self.defective}) must not lie below `review` ({self.review})")
        if self.min_area < 1:
            raise ValueError(f"`min_area` must be at least 1, got {self.min_area}")
        if not (0 < self.hysteresis <= 1 and 1 <= self.min_contrast < math.inf and 0 <= self.min_length < math.inf):
            raise ValueError("`hysteresis`, `min_contrast` or `min_length` lies outside its range")

    @property
    def rules(self) -> RegionRules:
        """What a region must be."""
        return RegionRules(self.min_area, self.hysteresis, self.merge_distance, self.min_length, self.min_contrast)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return {**asdict(self), "good_scores": list(self.good_scores), "good_levels": list(self.good_levels)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Thresholds:
        """Return thresholds from the dictionary of :meth:`to_dict`.

        Raises
        ------
        ValueError
            If a field is missing, unknown or of another type, or the thresholds cannot be.
        """
        unknown = fields.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            raise ValueError(f"thresholds do not have the fields of this version: {min(unknown)!r} is unknown")
        try:
            return as_kind(fields, cls)
        except ValueError as error:
            raise ValueError(f"thresholds do not have the fields of this version: {error}") from error


def rules_of(settings: Settings) -> RegionRules:
    """Return the rules that settings ask for."""
    return RegionRules(
        settings.smallest_region,
        settings.hysteresis,
        settings.merge_distance,
        settings.min_length,
        settings.min_contrast,
    )


def set_thresholds(
    residuals: Sequence[NDArray[np.float32]],
    settings: Settings,
    *,
    ignored: Sequence[NDArray[np.bool_] | None] | None = None,
    shares: Sequence[float] | None = None,
    masked: bool = False,
    held_out: bool,
    precision: str,
    engine: str,
) -> Thresholds:
    """Return the thresholds that good images give.

    Parameters
    ----------
    residuals : sequence of ndarray of shape (h, w), float32
        Residual maps of defect-free images or bands, at least one.
    settings : Settings
        Its `threshold_rule`, `smallest_region`, `false_calls`, `threshold_fpr` and `review_fpr` count.
    ignored : sequence of (ndarray of shape (h, w), bool, or None), optional
        Pixels of each map that are not inspected; its residual is 0 there.
    shares : sequence of float, optional
        How much of its image each map is; a band of it shows fewer false calls than the whole. By default all.
    masked : bool
        Whether an ignore mask was given for any of the images; recorded.
    held_out : bool
        Whether the images were kept out of training.
    precision, engine : str
        Recorded, so that prediction can use the same.

    Raises
    ------
    ValueError
        If a share of pixels is asked for that is finer than these images carry.

    Notes
    -----
    Rule ``area`` (after MVTec AD, Bergmann et al., CVPR 2019): `review` is the lowest level above which no good image
    shows a region of that many pixels; with n good images, about one good image in n + 1 will still show one.
    `defective` lies as far above it as it lies above the middle of the good images' own levels. A single good image
    whose level exceeds those of all others by more than a quarter does not raise `review`, only `defective`: it would
    be looked at, and hides no defect of other images.

    With `false_calls`, `review` is the level that this share of good images exceeds (:func:`false_call_level`).

    Rule ``fpr``: the shares `review_fpr` and `threshold_fpr` of the good pixels lie above the two levels. Neighbouring
    pixels are not independent, so a share is refused when fewer than one window's worth of pixels lies above it.
    """
    masks = [None] * len(residuals) if ignored is None else ignored
    inspected = [
        residual.ravel() if mask is None else residual[~mask] for residual, mask in zip(residuals, masks, strict=True)
    ]
    pixels = sum(values.size for values in inspected)
    rules = rules_of(settings)
    if settings.threshold_rule == "area":
        levels = tuple(region_level(residual, rules) for residual in residuals)
        share = float(np.mean([1.0] if shares is None else shares))
        review, defective, extrapolated = thresholds_of_levels(
            levels, settings.false_calls, share=share, scale=lambda: tail_of_blocks(residuals, rules)
        )
    else:
        levels, extrapolated = (), False
        pooled = np.sort(np.concatenate(inspected))
        refuse_fine_shares(pixels, settings)
        review = float(pooled[pixels - 1 - int(settings.review_fpr * pixels)])
        defective = float(pooled[pixels - 1 - int(settings.threshold_fpr * pixels)])
    return Thresholds(
        review=review,
        defective=defective,
        rule=settings.threshold_rule,
        min_area=rules.min_area,
        held_out=held_out,
        images=len(residuals),
        pixels=pixels,
        masked=masked,
        precision=precision,
        engine=engine,
        good_scores=tuple(float(residual.max()) for residual in residuals),
        good_levels=levels,
        false_calls=settings.false_calls if settings.threshold_rule == "area" else None,
        extrapolated=extrapolated,
        hysteresis=rules.hysteresis,
        merge_distance=rules.merge_distance,
        min_length=rules.min_length,
        min_contrast=rules.min_contrast,
    )


def thresholds_of_levels(
    levels: Sequence[float], false_calls: float | None, *, share: float, scale: Callable[[], float]
) -> tuple[float, float, bool]:
    """Return `review` and `defective` that the levels of good images give, and whether their tail was extended.

    Parameters
    ----------
    levels : sequence of float
        At least one.
    false_calls : float or None
        Share of good images that may exceed `review`; None for as few as the levels can show.
    share : float in (0, 1]
        How much of an image each level is of.
    scale : callable
        Returns the scale of the tail for :func:`false_call_level`; asked for below :data:`FEWEST_FOR_TAIL` levels.
    """
    extrapolated = False
    if false_calls is None:
        review = highest_common(levels)
    else:
        review, extrapolated = false_call_level(
            levels, 1 - (1 - false_calls) ** share, scale=scale() if len(levels) < FEWEST_FOR_TAIL else None
        )
    return review, defective_level(review, levels), extrapolated


def defective_level(review: float, levels: Sequence[float]) -> float:
    """Return the level as far above `review` as that lies above the middle of good levels, and no lower than these."""
    return max(review + (review - float(np.median(levels))), review, *levels)


def named_thresholds(present: Thresholds, review: float | None, defective: float | None) -> Thresholds:
    """Return thresholds at levels that somebody named; the other one follows from good images, or stays.

    Raises
    ------
    ValueError
        If a level is not positive and finite, or `defective` lies below `review`.
    """
    for name, value in (("review", review), ("defective", defective)):
        if value is not None and not 0 < value < np.inf:
            raise ValueError(f"`--{name}` must be positive and finite, got {value}")
    low = present.review if review is None else float(np.float32(review))
    if defective is not None:
        high = float(np.float32(defective))
    elif review is not None and present.good_levels:
        high = float(np.float32(defective_level(low, present.good_levels)))
    else:
        high = max(present.defective, low)
    return replace(
        present, review=low, defective=high, rule="given", false_calls=None, allowed=None, extrapolated=False
    )


def refuse_fine_shares(pixels: int, settings: Settings) -> None:
    """Refuse the shares of the rule ``fpr`` with a ValueError, where so many good pixels do not carry them."""
    finest = settings.residual_window_size**2 / pixels
    for name in ("threshold_fpr", "review_fpr"):
        if getattr(settings, name) < finest:
            raise ValueError(
                f"`{name}` {getattr(settings, name)} is finer than {pixels} good pixels carry (at least {finest:.2g})"
            )


def highest_common(levels: Sequence[float]) -> float:
    """Return the highest level of good images, or the second highest where one of at least three stands alone."""
    *_, second, highest = sorted([-np.inf, *levels])
    return second if len(levels) >= FEWEST_LEVELS and highest > OUTLIER * second else highest


def outlier_note(thresholds: Thresholds, names: Sequence[str]) -> str | None:
    """Return advice on the one good image that stands out from those of these names; None if none does."""
    levels = thresholds.good_levels
    if len(names) != len(levels) or not levels or highest_common(levels) == max(levels):
        return None
    effect = "raised" if thresholds.review >= max(levels) else "did not raise"
    return (
        f"the good image {names[levels.index(max(levels))]} stands alone: its residual exceeds {max(levels):.3g} on a "
        f"whole region, that of the others at most {highest_common(levels):.3g}. It {effect} the threshold for review. "
        "If it shows a defect there, take it out of the good images; if that part need not be inspected, mask it "
        "(--ignore)"
    )
