"""Compare the probability of detection that planted defects give with how often real defects are found."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit
from scipy.stats import binomtest

from ssimae.pod.hits import equivalent_diameter
from ssimae.regions import label_regions
from ssimae.report.assessment import read_maps
from ssimae.reproduce.figures.curves import COLUMN_CM, PRINT, printed_figure
from ssimae.storage.records import read_results
from ssimae.storage.run_folder import RunFolder

_EDGES = 0.0, 0.2, 0.4, 0.6, 0.8, 1.0
"""Of the bins of predicted probabilities."""


def real_detections(folder: RunFolder) -> list[dict[str, Any]]:
    """Return each real defect of a finished run: its size, whether it was found, and how likely that was said to be.

    Returns
    -------
    list of dict
        ``size_px``, the diameter in pixels of the disk of its area; ``found``, whether a marked region touches it;
        ``predicted``, the curve of all planted defects at that size, None beyond the sizes that were planted or where
        there is no curve.

    Raises
    ------
    OSError, ValueError
        If this is no run folder, or a file in it is damaged.
    """
    results = read_results(folder)
    defects = []
    for inspection in results.inspections:
        if not inspection.has_truth or not inspection.is_defective:
            continue
        maps = read_maps(results, inspection)
        if maps.segmentation is None or maps.truth is None:
            continue
        labels, count = label_regions(maps.truth)
        areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        touched = np.bincount(labels[maps.segmentation], minlength=count + 1)[1:] > 0
        for size, found in zip(equivalent_diameter(areas.astype(np.float64)).tolist(), touched.tolist(), strict=True):
            defects.append({"size_px": size, "found": found, "predicted": _predicted(results.detection, size)})
    return defects


def _predicted(detection: Any, size: float) -> float | None:
    curve = None if detection is None else detection.everything
    if curve is None or curve.slope is None or not curve.smallest_px <= size <= curve.largest_px:
        return None
    return float(expit(curve.intercept + curve.slope * np.log(size)))


def reliability_table(detected: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return, for each data set, how often real defects were found where the curve says so often, as Markdown."""
    columns = [f"{low:.0%} to {high:.0%}" for low, high in itertools.pairwise(_EDGES)]
    lines = [
        f"| data | real defects | found | predicted for them | {' | '.join(f'found at {name}' for name in columns)} |",
        "|---|---|---|---|" + "---|" * len(columns),
    ]
    for data, defects in detected.items():
        told = [defect for defect in defects if defect["predicted"] is not None]
        bins = [
            f"{sum(defect['found'] for defect in chosen)} of {len(chosen)}" if chosen else ""
            for chosen in _binned(told)
        ]
        predicted = f"{np.mean([defect['predicted'] for defect in told]):.0%}" if told else "no curve"
        found = f"{np.mean([defect['found'] for defect in defects]):.0%}" if defects else ""
        lines.append(f"| {' | '.join([data, str(len(defects)), found, predicted, *bins])} |")
    return "\n".join(lines)


def _binned(defects: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    places = np.digitize([defect["predicted"] for defect in defects], _EDGES[1:-1])
    return [[defect for defect, at in zip(defects, places, strict=True) if at == n] for n in range(len(_EDGES) - 1)]


@mpl.rc_context(PRINT)
def reliability_figure(detected: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Return the share of real defects found over the predicted one, with 95 % intervals, a line a data set."""
    figure, (axis,) = printed_figure(1, 1, width_cm=COLUMN_CM, height_cm=COLUMN_CM)
    axis.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
    for number, (data, defects) in enumerate(detected.items()):
        groups = [group for group in _binned([d for d in defects if d["predicted"] is not None]) if group]
        if not groups:
            continue
        predicted = [float(np.mean([defect["predicted"] for defect in group])) for group in groups]
        found = [float(np.mean([defect["found"] for defect in group])) for group in groups]
        bounds = [
            binomtest(sum(d["found"] for d in group), len(group)).proportion_ci(method="wilson") for group in groups
        ]
        below = [share - bound.low for share, bound in zip(found, bounds, strict=True)]
        above = [bound.high - share for share, bound in zip(found, bounds, strict=True)]
        shifted = [value + 0.008 * number for value in predicted]  # so that intervals do not hide each other
        axis.errorbar(
            shifted, found, yerr=np.clip([below, above], 0, None), marker="o", markersize=3, linewidth=0.8, label=data
        )
    axis.set_xlabel("probability of detection by planted defects of the same size")
    axis.set_ylabel("share of real defects found")
    axis.set_xlim(-0.02, 1.04)
    axis.set_ylim(-0.02, 1.02)
    if axis.get_legend_handles_labels()[0]:
        axis.legend()
    return figure
