"""The table of detection holds each defect in one group, and survives its file."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from ssimae.pod.curve import fit_pod
from ssimae.pod.hits import PlantedDefects, equivalent_diameter
from ssimae.pod.table import CONTRASTS, DetectionTable, tabulate_detection


def planted(count: int = 300, seed: int = 0) -> PlantedDefects:
    """Defects that are found by size times contrast."""
    generator = np.random.default_rng(seed)
    sizes, contrast = np.exp(generator.uniform(1.4, 4.2, count)), generator.uniform(0.01, 0.4, count)
    return PlantedDefects(sizes, contrast, ("blob",) * count, sizes * contrast > generator.exponential(1, count))


def test_each_defect_is_in_one_group() -> None:
    defects = planted()
    table = tabulate_detection(defects)
    assert sum(curve.planted for curve in table.groups.values()) == len(defects.hit) == table.everything.planted
    assert sum(curve.found for curve in table.groups.values()) == int(defects.hit.sum()) == table.everything.found
    medium = (defects.contrast >= 0.05) & (defects.contrast < 0.15)
    assert table.groups["medium"] == fit_pod(defects.size_px[medium], defects.hit[medium])


def test_groups_meet_and_cover_every_contrast() -> None:
    limits = list(CONTRASTS.values())
    assert limits[0][0] == 0
    assert limits[-1][1] > 1
    assert all(low[1] == high[0] for low, high in itertools.pairwise(limits))


def test_json_keeps_the_table_and_tells_millimetres() -> None:
    table = tabulate_detection(planted(), pixel_size_mm=0.05)
    content = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    read = DetectionTable.from_dict(content)
    assert (read.everything, read.groups, read.pixel_size_mm) == (table.everything, table.groups, 0.05)
    np.testing.assert_array_equal(read.defects.hit, table.defects.hit)
    np.testing.assert_array_equal(read.defects.size_px, table.defects.size_px)
    assert content["all"]["mm"]["a50"] == pytest.approx(0.05 * content["all"]["a50"])
    assert "mm" not in tabulate_detection(planted()).to_dict()["all"]


def test_diameter_of_a_disk_is_its_own() -> None:
    assert equivalent_diameter(np.array([np.pi * 25])) == pytest.approx([10])


def test_defects_that_are_none_are_refused() -> None:
    defects = planted(5)
    with pytest.raises(ValueError, match="of one length, got 5, 5, 4 and 5"):
        dataclasses.replace(defects, kind=("blob",) * 4)
    with pytest.raises(ValueError, match=r"`contrast` must lie in \[0, 1\]"):
        dataclasses.replace(defects, contrast=defects.contrast + 1)
    with pytest.raises(ValueError, match="`size_px` must be positive"):
        dataclasses.replace(defects, size_px=-defects.size_px)


@pytest.mark.parametrize("content", [{}, {"defects": []}, {"defects": {"size_px": ["a"]}}])
def test_a_file_that_is_no_table_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"not a table|could not convert"):
        DetectionTable.from_dict(content)
