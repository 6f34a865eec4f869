"""Tell the page which planted defects every threshold finds, so that their curves move with the slider."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ssimae.pod.curve import PodCurve
from ssimae.pod.table import CONTRASTS, DetectionTable, tabulate_detection
from ssimae.report.detection import contrast_range, detection_sentences
from ssimae.report.gallery.levels import Levels
from ssimae.storage.records import ModelResults
from ssimae.storage.revisions.held_out import read_held_out

_STEPS = 48
"""Thresholds that curves are fitted at; between them the page shows the nearest."""

_EVERY = 5
"""Of the points of a curve, which stay in the page."""


def planted_content(results: ModelResults, levels: Levels) -> dict[str, Any] | None:
    """Return the planted defects of a model and what is found of them at each of some thresholds, ready for JSON.

    None where none were planted, or where the run does not hold the maps of held-out images.

    Raises
    ------
    OSError, ValueError
        If the file of these maps cannot be read, or is damaged.
    """
    table, thresholds = results.detection, results.thresholds
    if table is None or thresholds is None or not table.everything.planted or not results.folder.held_out.exists():
        return None
    maps = read_held_out(results.folder.held_out)
    own = levels.index(thresholds.review)
    steps: list[dict[str, Any]] = []
    for place in sorted({own, *np.linspace(0, len(levels.bounds) - 1, _STEPS).round().astype(int).tolist()}):
        review = float(levels.bounds[place])
        moved = dataclasses.replace(thresholds, review=review, defective=max(review, thresholds.defective))
        found = maps.found(moved)
        step = {"from": place, **_step(tabulate_detection(found, pixel_size_mm=table.pixel_size_mm))}
        if place == own or not steps or steps[-1]["hits"] != step["hits"]:
            steps.append(step)
    groups = [(name, *CONTRASTS[name]) for name, curve in table.groups.items() if curve.planted]
    contrast = table.defects.contrast
    return {
        "groups": [[name, contrast_range(name)] for name, _, _ in groups],
        "sizes": [_short(size) for size in table.defects.size_px],
        "group": [next(place for place, (_, low, high) in enumerate(groups) if low <= one < high) for one in contrast],
        "steps": steps,
    }


def _step(table: DetectionTable) -> dict[str, Any]:
    curves = [_curve(curve) for curve in table.groups.values() if curve.planted]
    if not any(curves):
        curves.append(_curve(table.everything))
    return {
        "hits": "".join("1" if hit else "0" for hit in table.defects.hit),
        "curves": curves,
        "sentences": detection_sentences(table),
    }


def _curve(curve: PodCurve) -> dict[str, Any] | None:
    """Return a curve in few points; None where there is none."""
    if not curve.sizes_px:
        return None
    return {
        "sizes": _thinned(curve.sizes_px),
        "pod": _thinned(curve.pod),
        "lower": _thinned(curve.lower),
        "sure": None if curve.a90_95 is None else _short(curve.a90_95),
    }


def _thinned(values: Sequence[float]) -> list[float]:
    return [_short(value) for value in values[::_EVERY]]


def _short(value: float) -> float:
    return float(f"{value:.4g}")
