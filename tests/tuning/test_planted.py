"""Planted defects follow from a seed, lie where they may, and are what is said of them."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter
from ssimae.tuning.planting.planted import PlantedImage, plant_defects

SIZE = (120, 150)
WHOLE = (slice(None), slice(None))
RIM = 20
"""Pixels from a mark beyond which nothing changes: a change of light of 20 x 40 pixels fades over 40 % of that."""


def good_image(number: int, size: tuple[int, ...] = SIZE) -> np.ndarray:
    grain = gaussian_filter(np.random.default_rng([1, number]).normal(size=size), (2, 2, 0)[: len(size)])
    return np.clip(0.5 + 0.12 * grain / grain.std(), 0, 1).astype(np.float32)


GOOD, SOURCES = good_image(0), [good_image(1), good_image(2)[:70, :33]]


def planted(image: np.ndarray = GOOD, **changes: object) -> PlantedImage:
    arguments = {"index": 7, "region": WHOLE, "ignored": None, "count": 4, "seed": 0, "number": 0, **changes}
    return plant_defects(image, arguments.pop("sources", SOURCES), **arguments)


def change(found: PlantedImage, image: np.ndarray = GOOD) -> np.ndarray:
    difference = np.abs(found.image - image)
    return difference if difference.ndim == 2 else difference.mean(axis=2)


def test_defects_follow_from_seed_and_number_alone() -> None:
    one, two = planted(seed=3, number=5), planted(seed=3, number=5)
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.labels, two.labels)
    assert one.defects == two.defects
    assert one.index == 7
    for other in (planted(seed=3, number=6), planted(seed=4, number=5)):
        assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("number", range(40))
def test_nothing_changes_beside_the_marks_and_the_good_image_stays(number: int) -> None:
    image = GOOD.copy()
    found = planted(image, number=number)
    np.testing.assert_array_equal(image, GOOD)
    assert found.image.dtype == np.float32
    assert found.labels.dtype == np.int32
    assert found.image.shape == found.labels.shape == GOOD.shape
    assert found.image.min() >= 0
    assert found.image.max() <= 1
    changed = found.image != GOOD
    if not found.defects:
        assert not changed.any()
        return
    assert not changed[distance_transform_edt(found.labels == 0) > RIM].any()


def test_defects_do_not_hide_each_other() -> None:
    """Each has the area and the contrast that it is said to have, however close they lie."""
    for number in range(60):
        found = planted(region=(slice(10, 50), slice(10, 60)), count=8, number=number)
        for label, defect in enumerate(found.defects, 1):
            mark = found.labels == label
            assert mark.sum() == defect.area >= 20
            assert change(found)[mark].mean() == pytest.approx(defect.contrast, rel=1e-4)


@pytest.mark.parametrize("size", [SIZE, (*SIZE, 3)])
def test_a_defect_is_as_large_and_as_visible_as_it_says(size: tuple[int, ...]) -> None:
    image = good_image(0, size)
    sources = [good_image(1, size)]
    kinds = set()
    for number in range(60):
        found = planted(image, sources=sources, count=1, number=number)
        for defect in found.defects:
            mark = found.labels == 1
            assert mark.sum() == defect.area >= 20
            assert change(found, image)[mark].mean() == pytest.approx(defect.contrast, rel=1e-4)
            assert defect.contrast >= 0.015
            kinds.add(defect.kind)
    in_gray = {"elsewhere", "noise", "flat", "scratch", "blur", "missing texture", "light"}
    assert kinds == (in_gray if len(size) == 2 else {*in_gray, "hue", "one channel"})


def test_kinds_that_are_named_are_planted_alone() -> None:
    image = good_image(0, (*SIZE, 3))
    named = ("hue", "scratch")
    kinds = {d.kind for n in range(20) for d in planted(image, sources=[image], number=n, kinds=named).defects}
    assert kinds == set(named)


@pytest.mark.parametrize(("kind", "unchanged"), [("hue", 0), ("one channel", 2)])
def test_defects_in_colour_show_in_colour_alone(kind: str, unchanged: int) -> None:
    """A hue leaves the mean gray as it was, and a channel of its own leaves the two others."""
    image, seen = np.full((*SIZE, 3), 0.5, np.float32) + good_image(0, (*SIZE, 3)) * 0.01, 0
    for number in range(60):
        found = planted(image, sources=[image], count=1, number=number)
        if [defect.kind for defect in found.defects] == [kind]:
            change = found.image - image
            seen += 1
            assert sum(not change[:, :, channel].any() for channel in range(3)) == unchanged
            if kind == "hue":
                assert np.abs(change.mean(axis=2)).max() < 1e-6
    assert seen


@pytest.mark.parametrize("number", range(12))
def test_defects_lie_in_the_region_and_never_on_what_is_ignored(number: int) -> None:
    region = (slice(10, 90), slice(40, None))
    ignored = np.zeros(SIZE, bool)
    ignored[30:60, 60:110] = True
    allowed = np.zeros(SIZE, bool)
    allowed[region] = True
    allowed &= ~ignored
    found = planted(region=region, ignored=ignored, count=8, number=number)
    assert found.defects
    assert not found.labels[~allowed].any()
    np.testing.assert_array_equal(found.image[~allowed], GOOD[~allowed])


@pytest.mark.parametrize("side", [1, 2, 3, 8, 20])
@pytest.mark.parametrize("corner", [(0, 0), (50, 60), (100, 130)])
def test_tiny_regions_hold_what_fits(side: int, corner: tuple[int, int]) -> None:
    region = (slice(corner[0], corner[0] + side), slice(corner[1], corner[1] + side))
    for number in range(6):
        found = planted(region=region, number=number)
        outside = np.ones(SIZE, bool)
        outside[region] = False
        np.testing.assert_array_equal(found.image[outside], GOOD[outside])
        assert len(found.defects) == found.labels.max()
        assert side >= 5 or not found.defects  # fewer than 20 pixels are no defect


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (9, 9), (5, 7, 3)])
def test_tiny_images_are_planted_without_fail(size: tuple[int, ...]) -> None:
    image = good_image(3, size)
    for number in range(10):
        found = planted(image, sources=[image], number=number)
        assert found.image.shape == size
        assert found.labels.shape == size[:2]


def test_defects_that_cannot_be_seen_are_left_out() -> None:
    black = np.zeros(SIZE, np.float32)
    kinds = {d.kind for n in range(40) for d in planted(black, sources=[black], number=n, count=1).defects}
    assert kinds == {"flat", "scratch"}  # noise, pieces and light of nothing are nothing
