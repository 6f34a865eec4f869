"""Say what thresholds do, side by side: to held-out good images, to planted defects, and to images inspected before."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ssimae.cli.rates import one_in, rate_words
from ssimae.cli.tables import columns
from ssimae.jobs.thresholds.again import Judged
from ssimae.jobs.thresholds.standing import Effect
from ssimae.pod.curve import fit_pod
from ssimae.pod.table import CONTRASTS


def compared(names: Sequence[str], effects: Sequence[Effect], pixel_size_mm: float | None) -> str:
    """Return a table with a column for each of some thresholds."""
    rows = [["", *names]]

    def add(title: str, cells: Sequence[str]) -> None:
        rows.append([title, *cells])

    each = [effect.thresholds for effect in effects]
    add("review", [f"{one.review:.4g}" for one in each])
    add("defective", [f"{one.defective:.4g}" for one in each])
    add("smallest region", [_area(one.min_area, pixel_size_mm) for one in each])
    for name, off in (("hysteresis", 1), ("merge_distance", 0), ("min_length", 0), ("min_contrast", 1)):
        values = [getattr(one, name) for one in each]
        if any(value != off for value in values):
            add(name.replace("_", " "), ["off" if value == off else f"{value:g}" for value in values])
    add("false calls", [rate_words(one) for one in each])
    if any(one.allowed is not None for one in each):
        add("  allowed", ["" if one.allowed is None else one_in(one.allowed) for one in each])
    add("held-out good images flagged", [f"{effect.flagged} of {effect.images}" for effect in effects])
    add("planted defects found", [_found(effect) for effect in effects])
    for name, limits in CONTRASTS.items():
        add(f"  of {name} contrast", [_found(effect, limits) for effect in effects])
    add("size found (a90/95)", [_size(effect, pixel_size_mm) for effect in effects])
    return columns(rows)


def other_rates(effects: Sequence[tuple[float, Effect]], pixel_size_mm: float | None) -> str:
    """Return a table of what rates of false calls would flag and find; it fits into 80 columns."""
    rows = [["false calls", "review", "defective", "", "flagged", "found", "a90/95"]]
    for rate, effect in effects:
        rows.append(
            [
                one_in(rate),
                f"{effect.thresholds.review:.4g}",
                f"{effect.thresholds.defective:.4g}",
                "extrapolated" if effect.thresholds.extrapolated else "seen",
                f"{effect.flagged} of {effect.images}",
                _found(effect),
                _size(effect, pixel_size_mm),
            ]
        )
    return columns(rows)


def verdict_words(judged: Judged, name: str) -> str:
    """Return in a line how the verdicts on the images of a folder change."""
    more = f"; {judged.unknown} have no stored map, and cannot be told" if judged.unknown else ""
    more = (
        "".join(
            f"; {after} instead of {before} of {count} {name} ones flagged"
            for name, (before, after, count) in judged.flagged.items()
            if before != after
        )
        + more
    )
    if not judged.changed:
        return f"{name}: none of {judged.images} verdicts change{more}"
    moves = ", ".join(
        f"{count} {before} -> {after}" for (before, after), count in sorted(judged.counts.items(), key=str)
    )
    return f"{name}: {len(judged.changed)} of {judged.images} verdicts change ({moves}){more}"


def _area(pixels: int, pixel_size_mm: float | None) -> str:
    return f"{pixels} px" + ("" if pixel_size_mm is None else f" ({pixels * pixel_size_mm**2:.3g} mm²)")


def _found(effect: Effect, contrast: tuple[float, float] = (0, math.inf)) -> str:
    if effect.found is None:
        return "none planted"
    hits = effect.found.hit[(effect.found.contrast >= contrast[0]) & (effect.found.contrast < contrast[1])]
    return f"{int(hits.sum())} of {len(hits)}"


def _size(effect: Effect, pixel_size_mm: float | None) -> str:
    if effect.found is None:
        return "-"
    size = fit_pod(effect.found.size_px, effect.found.hit).a90_95
    if size is None:
        return "not reached"
    return f"{size:.0f} px" + ("" if pixel_size_mm is None else f" ({size * pixel_size_mm:.3g} mm)")
