"""Write and read ``held_out.npz``: the judged maps of held-out parts in 8 bits, with names, labels and defects."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimae.atomic import write_bytes
from ssimae.errors import in_short
from ssimae.images.npy import read_npy
from ssimae.images.pixels import DEFLATED
from ssimae.pod.hits import PlantedDefects, equivalent_diameter
from ssimae.reading import Count, Finite, NotNegative, from_json, open_regular
from ssimae.tuning.held_out import GoodMap, HeldOutMaps, PlantedMap
from ssimae.tuning.planting.planted import PlantedDefect

_VERSION = 1

_LEVEL = 6
"""Of compression: higher ones take long and gain little."""


@dataclass(frozen=True)
class _Good:
    name: str
    share: Finite
    sha256: str | None = None


@dataclass(frozen=True)
class _Defect:
    kind: str
    area: Count
    contrast: NotNegative


@dataclass(frozen=True)
class _Index:
    version: int
    tail: NotNegative
    good: tuple[_Good, ...]
    planted: tuple[tuple[_Defect, ...], ...]


def write_held_out(path: Path, maps: HeldOutMaps) -> None:
    """Write the maps, whole or not at all; equal maps give equal bytes.

    Raises
    ------
    OSError
        If the file cannot be written; what stood there stays.
    """
    index = {
        "version": _VERSION,
        "tail": maps.tail,
        "good": [{"name": part.name, "share": part.share, "sha256": part.sha256} for part in maps.good],
        "planted": [[asdict(defect) for defect in part.defects] for part in maps.planted],
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        archive.writestr(zipfile.ZipInfo("index.json"), json.dumps(index), zipfile.ZIP_DEFLATED, _LEVEL)
        for name, array in _arrays(maps):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED, _LEVEL)
    write_bytes(path, content.getvalue())


def read_held_out(path: Path) -> HeldOutMaps:
    """Return the maps of a file.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is damaged; the message names it.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                return _maps_of(_members(archive, size))
        # What zipfile raises for damaged archives.
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
            raise ValueError(f"{path}: not the maps of held-out images ({in_short(error)})") from error


def _arrays(maps: HeldOutMaps) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "tops", maps.tops
    for number, good in enumerate(maps.good):
        yield f"good_{number}", good.codes
    for number, planted in enumerate(maps.planted):
        yield f"planted_{number}", planted.codes
        yield f"labels_{number}", planted.labels


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for member in archive.infolist():
        if member.file_size > DEFLATED * size:
            raise ValueError(f"{member.filename} announces {member.file_size} bytes")
        with archive.open(member) as stored:
            if member.filename == "index.json":
                found["index"] = from_json(stored.read(), _Index)
            else:
                found[member.filename.removesuffix(".npy")] = read_npy(stored, member.file_size)
    return found


def _maps_of(members: dict[str, Any]) -> HeldOutMaps:
    index, tops = members["index"], members["tops"]
    if index.version != _VERSION:
        raise ValueError(f"version {index.version}; this version of ssimae reads {_VERSION}")
    rising = tops.dtype == np.float32 and tops.ndim == 1 and 2 <= len(tops) <= 256
    if not (rising and np.isfinite(tops).all() and tops[0] > 0 and (np.diff(tops) > 0).all()):
        raise ValueError("the steps are no rising numbers")
    if not index.good or not all(0 < good.share <= 1 for good in index.good):
        raise ValueError("no good image, or a share that none can have")
    good = tuple(
        GoodMap(_codes(members, f"good_{number}", len(tops)), each.name, each.share, each.sha256)
        for number, each in enumerate(index.good)
    )
    planted = []
    for number, each in enumerate(index.planted):
        codes, labels = _codes(members, f"planted_{number}", len(tops)), _codes(members, f"labels_{number}", 256)
        defects = tuple(PlantedDefect(defect.kind, defect.area, defect.contrast) for defect in each)
        if codes.shape != labels.shape or int(labels.max()) > len(defects):
            raise ValueError(f"the labels of planted image {number} do not fit it")
        planted.append(PlantedMap(codes, labels, defects))
    _check_defects([defect for part in planted for defect in part.defects])
    return HeldOutMaps(tops, good, tuple(planted), index.tail)


def _codes(members: dict[str, Any], name: str, limit: int) -> NDArray[np.uint8]:
    array = members[name]
    if array.dtype != np.uint8 or array.ndim != 2 or not array.size or int(array.max()) >= limit:
        raise ValueError(f"{name} is no map")
    codes: NDArray[np.uint8] = array
    return codes


def _check_defects(defects: list[PlantedDefect]) -> None:
    """Refuse sizes and contrasts that none can have."""
    sizes = equivalent_diameter(np.array([defect.area for defect in defects], np.float64))
    contrasts = np.array([defect.contrast for defect in defects], np.float64)
    PlantedDefects(sizes, contrasts, tuple(defect.kind for defect in defects), np.zeros(len(defects), bool))
