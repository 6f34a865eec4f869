"""Gather what the gallery of a page holds: its models, and each image with its rows, counts and pictures."""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ssimae.data.dataset import Sample
from ssimae.report.gallery.counts import LevelCounts
from ssimae.report.gallery.pictures import LONG_SIDE, Drawn, Shown, ShownMaps, draw

MOST_PICTURED = 1000
"""Images that have pictures, the worst first; all others are counted and listed."""

_PAGE_BYTES = 37_000_000
"""All pictures together, as they stand in the page."""

_PROBES = 8
"""Images drawn first, to see how many pixels the others may have."""

_FEWEST_PIXELS = 64 * 64
_MOST_AT_ONCE = 2**24
"""Pixels of an image above which the next one waits, so that memory is bounded."""

_COLOURS = "inferno"


@dataclass(frozen=True)
class Row:
    """What one model said of one image."""

    score: float
    verdict: str | None
    """None where maps have no thresholds."""
    reason: str = ""
    whole: bool = False
    """Whether the image is flagged as a whole, at whatever threshold."""


@dataclass(frozen=True)
class Subject:
    """One image that the gallery shows."""

    sample: Sample
    shape: tuple[int, int]
    defective: bool | None
    """None where nothing says."""
    has_truth: bool
    """Whether its defective pixels are known."""
    link: str
    """To the original file."""
    rows: tuple[Row | None, ...]
    """Of each model; None where it did not inspect the image."""


@dataclass(frozen=True)
class Gallery:
    """The data of a page, each text fit to stand in a script element."""

    content: Markup
    pictures: tuple[Markup, ...]
    """Of each image that has some, in the order of the images."""


def build_gallery(
    subjects: Sequence[Subject],
    models: Sequence[Shown],
    about: Sequence[Mapping[str, Any]],
    *,
    commands: Mapping[str, str | None],
    channels: int = 1,
    data_range: float | None = None,
) -> Gallery:
    """Return the data of all images, the worst first.

    Parameters
    ----------
    subjects : sequence of Subject
        The worst first.
    models : sequence of Shown
    about : sequence of mapping
        What else the page is told of each model, ready for JSON.
    commands : mapping
        ``improve``: the run as a word of a command, ``inspect``: the command that inspects with it; None for neither.
    channels, data_range : int, float or None
        How images are read.
    """

    def drawn(chosen: Sequence[tuple[int, int]]) -> list[Drawn]:
        def one(item: tuple[int, int]) -> Drawn:
            subject = subjects[item[0]]
            return draw(
                subject.sample,
                subject.shape,
                models,
                channels=channels,
                data_range=data_range,
                has_truth=subject.has_truth,
                pixels=item[1],
            )

        large = any(math.prod(subjects[index].shape) > _MOST_AT_ONCE for index, _ in chosen)
        with ThreadPoolExecutor(1 if large else min(4, os.cpu_count() or 1)) as pool:
            return list(pool.map(one, chosen))

    pictured = min(len(subjects), MOST_PICTURED)
    pixels = LONG_SIDE**2
    probes = [index * pictured // _PROBES for index in range(_PROBES)] if pictured > 2 * _PROBES else range(pictured)
    while True:
        # A picture's bytes grow with its pixels, a little less than in proportion.
        size = sum(item.size for item in drawn([(index, pixels) for index in probes])) * pictured / max(1, len(probes))
        if size <= _PAGE_BYTES or pixels <= _FEWEST_PIXELS:
            items = drawn([(index, pixels if index < pictured else 0) for index in range(len(subjects))])
            size = sum(item.size for item in items)
            if size <= _PAGE_BYTES or pixels <= _FEWEST_PIXELS:
                break
        widest = max((math.prod(item.shape) for item in drawn([(index, pixels) for index in probes])), default=pixels)
        pixels = max(_FEWEST_PIXELS, int(0.9 * min(pixels, widest) * _PAGE_BYTES / size))
    content = {
        **commands,
        "models": [
            {**_model(model, [item.maps[number] for item in items]), **words}
            for number, (model, words) in enumerate(zip(models, about, strict=True))
        ],
        "images": [_image(subject, item) for subject, item in zip(subjects, items, strict=True)],
        "colours": _base64((255 * mpl.colormaps[_COLOURS](np.arange(256))[:, :3]).round().astype(np.uint8)),
    }
    return Gallery(_json(content), tuple(_json(_pictures(item)) for item in items[:pictured]))


def _model(model: Shown, maps: Sequence[ShownMaps]) -> dict[str, Any]:
    return {
        "title": model.title,
        "map": model.map_name,
        "bounds": model.levels.bounds.tolist(),
        "colours": list(model.colours),
        "rates": _rates([item.counts for item in maps]),
    }


def _rates(counts: Sequence[LevelCounts | None]) -> dict[str, list[float]] | None:
    """Return false and true positive rate of the pixels above each threshold; None without truth of every image."""
    good, defective = 0, 0
    above: list[NDArray[np.int64]] = []
    for count in counts:
        if count is None or count.good_above is None or count.defective_above is None:
            return None
        good, defective = good + count.good, defective + count.defective
        above.append(np.stack([count.good_above, count.defective_above]))
    if not (good and defective):
        return None
    rates = np.sum(above, axis=0) / [[good], [defective]]
    return {name: [_short(value) for value in line] for name, line in zip(("fpr", "tpr"), rates, strict=True)}


def _image(subject: Subject, drawn: Drawn) -> dict[str, Any]:
    height, width = subject.shape
    return {
        "name": subject.sample.name,
        "defect": subject.sample.defect,
        "defective": subject.defective,
        "path": str(subject.sample.path),
        "link": subject.link,
        "size": [width, height],
        "preview": [drawn.shape[1], drawn.shape[0]],
        "problems": drawn.problems,
        "rows": [None if row is None else _row(row, maps) for row, maps in zip(subject.rows, drawn.maps, strict=True)],
    }


def _row(row: Row, maps: ShownMaps) -> dict[str, Any]:
    content: dict[str, Any] = {
        "score": row.score,
        "verdict": row.verdict,
        "reason": row.reason,
        "whole": row.whole,
    }
    if (counts := maps.counts) is not None:
        content["peaks"] = _base64(counts.peaks)
        if counts.hit is not None and counts.false is not None:
            content |= {"hit": _base64(counts.hit.astype("<u4")), "false": _base64(counts.false.astype("<u4"))}
            content |= {"defectivePx": counts.defective, "goodPx": counts.good}
    return content


def _pictures(drawn: Drawn) -> dict[str, Any]:
    maps = [{"map": item.map, "opened": item.opened, "rebuilt": item.rebuilt} for item in drawn.maps]
    return {"original": drawn.original, "masks": drawn.masks, "maps": maps}


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _json(content: Any) -> Markup:
    """Return JSON that no HTML parser takes for markup, whatever names it holds."""
    return Markup(json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"))
