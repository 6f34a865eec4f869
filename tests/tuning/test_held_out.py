"""Maps in 8 bits keep the order of values, and thresholds that are steps divide them as the maps themselves."""

import contextlib
import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from ssimae.config.settings import Settings
from ssimae.inspection.threshold import Thresholds, set_thresholds
from ssimae.inspection.verdict import segment
from ssimae.levels.false_calls import tail_of_blocks
from ssimae.levels.rules import RegionRules, region_level
from ssimae.storage.revisions.held_out import read_held_out, write_held_out
from ssimae.tuning.held_out import HeldOutMaps, JudgedMaps, found_defects, store_judged
from ssimae.tuning.planting.planted import PlantedDefect


def judged_maps(seed: int = 0) -> tuple[JudgedMaps, Thresholds]:
    rng = np.random.default_rng(seed)
    good = tuple(np.exp(gaussian_filter(rng.normal(size=(60 + n, 90)), 2) * 3).astype(np.float32) for n in range(9))
    planted, labels = good[3].copy(), np.zeros(good[3].shape, np.int32)
    for number, (factor, columns) in enumerate([(1.2, slice(5, 15)), (4.0, slice(40, 52)), (90.0, slice(70, 75))], 1):
        planted[20:30, columns] *= factor
        labels[20:30, columns] = number
    planted[:5] = 0  # ignored
    defects = (PlantedDefect("flat", 100, 0.1), PlantedDefect("blur", 120, 0.2), PlantedDefect("noise", 50, 0.5))
    judged = JudgedMaps(good, tuple(range(9)), (1.0,) * 9, (planted,), (labels,), (defects,))
    settings = Settings(min_area=8, false_calls=0.2)
    return judged, set_thresholds(good, settings, held_out=True, precision="float32", engine="torch")


def stored_maps() -> tuple[HeldOutMaps, JudgedMaps, Thresholds]:
    judged, thresholds = judged_maps()
    return store_judged(judged, list("abcdefghi"), thresholds), judged, thresholds


def test_order_stays_and_values_differ_by_a_step_at_most() -> None:
    stored, judged, _ = stored_maps()
    for part, map_ in zip(stored.good, judged.good, strict=True):
        read = stored.read(part.codes)
        order = np.argsort(map_, axis=None)
        assert (np.diff(read.ravel()[order]) >= 0).all()
        told = (map_ > stored.tops[0]) & (map_ <= stored.tops[-2])
        assert (read[told] >= map_[told]).all()
        assert (read[told] <= map_[told] * (1 + stored.step) * (1 + 1e-6)).all()
        assert (read[map_ <= stored.tops[0]] == 0).all()
    assert stored.step < 0.03


def test_thresholds_that_are_steps_divide_stored_maps_as_the_maps_themselves() -> None:
    stored, judged, thresholds = stored_maps()
    assert np.isin(np.float32([thresholds.review, thresholds.defective, *thresholds.good_levels]), stored.tops).all()
    for review in (thresholds.review, *thresholds.good_levels, *stored.tops[20:250:40].tolist()):
        changed = dataclasses.replace(thresholds, review=review, defective=max(review, thresholds.defective))
        for codes, map_ in zip(
            [*(part.codes for part in stored.good), stored.planted[0].codes],
            [*judged.good, *judged.planted],
            strict=True,
        ):
            of_stored, of_map = segment(stored.read(codes), changed), segment(map_, changed)
            np.testing.assert_array_equal(of_stored[0], of_map[0])
            assert of_stored[2] == of_map[2]
        found = found_defects(judged.planted, judged.labels, judged.defects, changed)
        np.testing.assert_array_equal(stored.found(changed).hit, found.hit)


@pytest.mark.parametrize("rules", [RegionRules(8), RegionRules(2), RegionRules(40, merge_distance=4, hysteresis=0.8)])
def test_levels_from_stored_maps_are_no_lower_and_a_step_higher_at_most(rules: RegionRules) -> None:
    stored, judged, thresholds = stored_maps()
    levels = stored.levels(rules)
    true = [region_level(map_, rules) for map_ in judged.good]
    assert all(one <= other <= one * (1 + stored.step) * (1 + 1e-6) for one, other in zip(true, levels, strict=True))
    if rules == thresholds.rules:
        assert levels == thresholds.good_levels == tuple(true)
    assert stored.tail_under(rules) == pytest.approx(tail_of_blocks(judged.good, rules), abs=0.1)


def test_flat_maps_and_maps_of_nothing_can_be_stored() -> None:
    for value in (0.0, 1.0):
        flat = np.full((20, 30), value, np.float32)
        thresholds = set_thresholds([flat] * 3, Settings(), held_out=True, precision="float32", engine="torch")
        stored = store_judged(JudgedMaps((flat,) * 3, (0, 1, 2), (1.0,) * 3), list("abc"), thresholds)
        assert stored.flagged(thresholds) == [False] * 3


def test_files_give_back_the_same_and_equal_ones_have_equal_bytes(tmp_path: Path) -> None:
    stored, *_ = stored_maps()
    for name in "ab":
        write_held_out(tmp_path / name, stored)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    again = read_held_out(tmp_path / "a")
    for one, other in zip((*stored.good, *stored.planted), (*again.good, *again.planted), strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)
    assert [part.name for part in again.good] == list("abcdefghi")
    assert again.planted[0].defects == stored.planted[0].defects
    assert (again.tail, again.step) == (stored.tail, stored.step)


def test_damaged_files_are_refused_with_their_name(tmp_path: Path) -> None:
    path = tmp_path / "held_out.npz"
    write_held_out(path, stored_maps()[0])
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    changes = {
        "index.json": [b"{}", members["index.json"].replace(b'"version": 1', b'"version": 2'), b"[" * 10**5],
        "tops.npy": [members["tops.npy"][:-4], members["labels_0.npy"]],
        "labels_0.npy": [members["labels_0.npy"].replace(b"\x03", b"\x09"), members["good_1.npy"]],
    }
    for name, others in changes.items():
        for other in others:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for member, held in members.items():
                    archive.writestr(member, other if member == name else held)
            with pytest.raises(ValueError, match=r"held_out\.npz: not the maps of held-out images"):
                read_held_out(path)
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged[: rng.integers(len(damaged))] if rng.random() < 0.2 else damaged)
        with contextlib.suppress(ValueError):  # what is refused otherwise fails; a comment of the archive is not read
            read_held_out(path)
