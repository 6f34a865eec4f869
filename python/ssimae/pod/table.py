"""Estimate a curve for each contrast of planted defects and one for all: the content of ``pod.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssimae.pod.curve import PodCurve, fit_pod
from ssimae.pod.hits import PlantedDefects
from ssimae.reading import Positive, as_kind

CONTRASTS: dict[str, tuple[float, float]] = {"faint": (0.0, 0.05), "medium": (0.05, 0.15), "strong": (0.15, math.inf)}
"""Groups by contrast, each from its first limit up to below its second.

The limits are fixed, so that "medium" means the same on every surface and in every run. Up to .05 of the gray range a
change is hard to see by eye on a grained surface, from .15 on it catches the eye.
"""

METHOD = (
    "Hit/miss data of planted defects, logistic regression on log size, lower bounds from the likelihood ratio "
    "(MIL-HDBK-1823A). Size is the diameter of the disk of the defect's area, contrast the mean absolute change of the "
    "gray value over it. a90_95 is the size at which the bound crosses 90 %. Curves marked as penalised have Firth's "
    "penalty, because hits and misses do not overlap. Where all were found, a90_95 is that of the 29 smallest."
)


@dataclass(frozen=True)
class _StoredDefects:
    """Columns of the planted defects, as JSON carries them."""

    size_px: tuple[float, ...]
    contrast: tuple[float, ...]
    kind: tuple[str, ...]
    hit: tuple[bool, ...]


@dataclass(frozen=True)
class _StoredTable:
    """The part of ``pod.json`` that a table is made of again."""

    pixel_size_mm: Positive | None
    all: dict[str, Any]
    by_contrast: dict[str, dict[str, Any]]
    defects: _StoredDefects


@dataclass(frozen=True)
class DetectionTable:
    """The probability of detection of all planted defects, and of each group by contrast."""

    defects: PlantedDefects
    pixel_size_mm: float | None
    """Millimetres that a pixel stands for; None where nobody said."""
    everything: PodCurve
    groups: Mapping[str, PodCurve]
    """By the names of :data:`CONTRASTS`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``pod.json``."""
        return {
            "method": METHOD,
            "pixel_size_mm": self.pixel_size_mm,
            "contrast_limits": {
                name: [low, high if high < math.inf else None] for name, (low, high) in CONTRASTS.items()
            },
            "all": self._with_mm(self.everything),
            "by_contrast": {name: self._with_mm(curve) for name, curve in self.groups.items()},
            "defects": {
                "size_px": self.defects.size_px.tolist(),
                "contrast": self.defects.contrast.tolist(),
                "kind": list(self.defects.kind),
                "hit": self.defects.hit.tolist(),
            },
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DetectionTable:
        """Return the table that :meth:`to_dict` gave.

        Raises
        ------
        ValueError
            If something is absent or of another kind.
        """
        try:
            table = as_kind(dict(content), _StoredTable)
            if table.by_contrast.keys() != CONTRASTS.keys():
                raise ValueError(f"`by_contrast` must hold {', '.join(CONTRASTS)}")
            return cls(
                defects=PlantedDefects(
                    size_px=np.array(table.defects.size_px, np.float64),
                    contrast=np.array(table.defects.contrast, np.float64),
                    kind=table.defects.kind,
                    hit=np.array(table.defects.hit, np.bool_),
                ),
                pixel_size_mm=table.pixel_size_mm,
                everything=_without_mm(table.all),
                groups={name: _without_mm(curve) for name, curve in table.by_contrast.items()},
            )
        except ValueError as error:
            raise ValueError(f"not a table of detection: {error}") from error

    def _with_mm(self, curve: PodCurve) -> dict[str, Any]:
        """Return a curve with its sizes in millimetres too, where a pixel has a size."""
        values = curve.to_dict()
        if self.pixel_size_mm is not None:
            sizes = (curve.a50, curve.a90, curve.a90_95)
            values["mm"] = {
                name: None if size is None else size * self.pixel_size_mm
                for name, size in zip(("a50", "a90", "a90_95"), sizes, strict=True)
            }
        return values


def _without_mm(values: Mapping[str, Any]) -> PodCurve:
    return PodCurve.from_dict({name: value for name, value in values.items() if name != "mm"})


def tabulate_detection(defects: PlantedDefects, *, pixel_size_mm: float | None = None) -> DetectionTable:
    """Return the curves of planted defects: of all, and of each group by contrast.

    Parameters
    ----------
    defects : PlantedDefects
        What was planted, and what was found of it.
    pixel_size_mm : float or None
        Millimetres that a pixel stands for.
    """
    groups = {}
    for name, (low, high) in CONTRASTS.items():
        inside = (defects.contrast >= low) & (defects.contrast < high)
        groups[name] = fit_pod(defects.size_px[inside], defects.hit[inside])
    return DetectionTable(defects, pixel_size_mm, fit_pod(defects.size_px, defects.hit), groups)
