"""Say which thresholds follow from the stored maps of held-out images, for what is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ssimae.inspection.threshold import Thresholds, named_thresholds, thresholds_of_levels
from ssimae.levels.rules import RegionRules
from ssimae.tuning.held_out import HeldOutMaps

_LARGEST = 10
"""Part of the smallest image that the least area of a region may have."""


@dataclass(frozen=True)
class Wanted:
    """What is to change; None leaves a thing as it is."""

    false_calls: float | None = None
    """Share of good images that may be flagged."""
    review: float | None = None
    defective: float | None = None
    min_area: int | None = None
    """Pixels, as all lengths and areas here."""
    hysteresis: float | None = None
    merge_distance: int | None = None
    min_length: float | None = None
    min_contrast: float | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises
        ------
        ValueError
            Naming both.
        """
        if self.false_calls is not None and (self.review is not None or self.defective is not None):
            raise ValueError(
                "`--false-calls` sets the thresholds from good images, and `--review` or `--defective` names them: "
                "give one or the other"
            )

    def rules(self, present: RegionRules) -> RegionRules:
        """Return the rules of regions, those that are asked for in place of the present ones."""
        asked = {field.name: getattr(self, field.name) for field in dataclasses.fields(RegionRules)}
        return replace(present, **{name: value for name, value in asked.items() if value is not None})


def changed_thresholds(
    present: Thresholds, maps: HeldOutMaps, wanted: Wanted, known: Sequence[Thresholds] = ()
) -> Thresholds:
    """Return the thresholds that follow from stored maps.

    Parameters
    ----------
    present : Thresholds
        Those in use; they may rest on fewer good maps, the first ones.
    maps : HeldOutMaps
    wanted : Wanted
    known : sequence of Thresholds
        Earlier ones, whose levels are taken where they are of the same rules and of the first good maps.

    Raises
    ------
    ValueError
        If the levels do not fit each other, or lie below what the stored maps tell apart.
    """
    rules = wanted.rules(present.rules)
    smallest = round(min(part.codes.size / part.share for part in maps.good))
    if rules.min_area > smallest / _LARGEST:
        raise ValueError(
            f"`--min-area` must be at most a tenth of the smallest image ({smallest} pixels), got {rules.min_area}"
        )
    levels = _levels(maps, rules, [present, *known])
    scores = [float(maps.read(part.codes).max()) for part in maps.good[len(present.good_scores) :]]
    pixels = sum(part.codes.size for part in maps.good[present.images :])
    changed = replace(
        present,
        **dataclasses.asdict(rules),
        images=len(levels),
        pixels=present.pixels + pixels,
        good_scores=(*present.good_scores, *scores),
        good_levels=levels,
    )
    if wanted.review is not None or wanted.defective is not None:
        return _checked(named_thresholds(changed, wanted.review, wanted.defective), maps)
    if present.rule != "area" and wanted.false_calls is None:
        return changed
    false_calls = present.false_calls if wanted.false_calls is None else wanted.false_calls
    first = known[0] if known else present
    same = rules == first.rules and len(levels) == first.images
    review, defective, extrapolated = thresholds_of_levels(
        levels,
        false_calls,
        share=maps.share,
        # Of the maps themselves, while it holds for these.
        scale=lambda: maps.tail if same else maps.tail_under(rules),
    )
    return _checked(
        replace(
            changed,
            review=review,
            defective=defective,
            rule="area",
            false_calls=false_calls,
            allowed=present.allowed if wanted.false_calls is None else None,
            extrapolated=extrapolated,
        ),
        maps,
    )


def _levels(maps: HeldOutMaps, rules: RegionRules, known: Sequence[Thresholds]) -> tuple[float, ...]:
    """Return the level of each good map, those that are known exactly in place of stored ones."""
    fitting = [each.good_levels for each in known if each.rules == rules and len(each.good_levels) <= len(maps.good)]
    exact = max(fitting, key=len, default=())
    rest = replace(maps, good=maps.good[len(exact) :])
    return (*exact, *rest.levels(rules))


def _checked(thresholds: Thresholds, maps: HeldOutMaps) -> Thresholds:
    lowest = float(maps.tops[0])
    if thresholds.review * thresholds.hysteresis < lowest:
        level = "`review`" if thresholds.hysteresis == 1 else "`hysteresis` times `review`"
        raise ValueError(
            f"{level} would be {thresholds.review * thresholds.hysteresis:.4g}, and the stored maps tell nothing apart "
            f"below {lowest:.4g}, where good surfaces lie"
        )
    return thresholds
