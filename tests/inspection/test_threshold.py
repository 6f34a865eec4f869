"""Thresholds are what good images give, held-out parts stay out of training, and verdicts follow the levels."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from ssimae.config.settings import Form, Settings
from ssimae.inspection.holdout import Split, split_good, take
from ssimae.inspection.threshold import Thresholds, outlier_note, set_thresholds
from ssimae.inspection.verdict import segment
from ssimae.levels.rules import area_level

EIGHT = np.ones((3, 3))


def largest_region(mask: np.ndarray) -> int:
    labels, _ = ndimage.label(mask, EIGHT)
    return int(np.bincount(labels.ravel())[1:].max(initial=0))


def good_maps(count: int = 5, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = [(40 + 3 * index, 61 - 2 * index) for index in range(count)]
    return [ndimage.gaussian_filter(rng.random(size), 1.5).astype(np.float32) for size in sizes]


def thresholds_of(maps: list[np.ndarray], **changes: object) -> Thresholds:
    return set_thresholds(maps, Settings(**changes), held_out=True, precision="float32", engine="torch")


@hypothesis_settings(max_examples=150, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 12)), st.data())
def test_area_level_is_the_highest_that_holds_a_region_of_that_area(residual: np.ndarray, data: st.DataObject) -> None:
    min_area = data.draw(st.integers(1, residual.size))
    levels = [level for level in np.unique(residual) if largest_region(residual >= level) >= min_area]
    assert area_level(residual, min_area) == max(levels)


def test_area_level_of_a_map_smaller_than_the_area_is_its_lowest_value() -> None:
    assert area_level(np.array([[3, 1, 2]], dtype=np.float32), 4) == 1


@pytest.mark.parametrize("min_area", [1, 5, 25, 400])
def test_no_good_image_shows_a_region_of_the_area_above_review_but_one_does_at_it(min_area: int) -> None:
    maps = good_maps()
    found = thresholds_of(maps, min_area=min_area)
    assert all(largest_region(residual > found.review) < min_area for residual in maps)
    assert any(largest_region(residual >= np.float32(found.review)) >= min_area for residual in maps)
    assert {segment(residual, found)[2] for residual in maps} == {"good"}
    levels = [area_level(residual, min_area) for residual in maps]
    assert found.review == max(levels)
    assert found.defective == pytest.approx(2 * max(levels) - np.median(levels))
    assert found.defective >= found.review


@pytest.mark.parametrize(("review_fpr", "threshold_fpr"), [(0.05, 0.02), (0.3, 0.3), (0.5, 0.0125)])
def test_shares_of_good_pixels_above_the_levels_are_those_asked_for(review_fpr: float, threshold_fpr: float) -> None:
    pixels = np.random.default_rng(1).permutation(20_000).astype(np.float32)
    maps = [pixels[:8000].reshape(80, 100), pixels[8000:].reshape(120, 100)]
    found = thresholds_of(maps, threshold_rule="fpr", review_fpr=review_fpr, threshold_fpr=threshold_fpr)
    assert np.mean(pixels > found.review) == pytest.approx(review_fpr, abs=1e-12)
    assert np.mean(pixels > found.defective) == pytest.approx(threshold_fpr, abs=1e-12)


def test_tied_pixels_never_exceed_the_share_asked_for() -> None:
    maps = [np.round(20 * residual) for residual in good_maps()]
    found = thresholds_of(maps, threshold_rule="fpr", review_fpr=0.2, threshold_fpr=0.05)
    pooled = np.concatenate([residual.ravel() for residual in maps])
    assert np.mean(pooled > found.review) <= 0.2
    assert np.mean(pooled > found.defective) <= 0.05


def test_shares_finer_than_one_window_of_pixels_are_refused() -> None:
    maps = [np.zeros((100, 121), dtype=np.float32)]  # one window of 11 x 11 is a hundredth of it
    thresholds_of(maps, threshold_rule="fpr", review_fpr=0.02, threshold_fpr=0.01)
    with pytest.raises(ValueError, match=r"`threshold_fpr` 0\.0099 is finer than 12100 good pixels carry"):
        thresholds_of(maps, threshold_rule="fpr", review_fpr=0.02, threshold_fpr=0.0099)


def test_thresholds_record_where_they_come_from() -> None:
    maps = good_maps(3)
    found = thresholds_of(maps, min_area=9)
    assert (found.rule, found.min_area, found.held_out, found.images) == ("area", 9, True, 3)
    assert found.pixels == sum(residual.size for residual in maps)
    assert (found.precision, found.engine) == ("float32", "torch")
    assert found.good_scores == tuple(float(residual.max()) for residual in maps)


def test_thresholds_survive_json() -> None:
    found = thresholds_of(good_maps())
    assert Thresholds.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_thresholds_of_other_fields_are_refused() -> None:
    fields = thresholds_of(good_maps(1)).to_dict()
    for wrong in ({**fields, "colour": 1}, {name: fields[name] for name in fields if name != "review"}, {}):
        with pytest.raises(ValueError, match="thresholds do not have the fields of this version"):
            Thresholds.from_dict(wrong)


LEVELS = Thresholds(0.5, 0.75, "area", 4, True, 1, 1, "float32", "torch", (0.5,))


def test_verdict_is_good_review_or_defective_by_the_largest_regions_alone() -> None:
    residual = np.zeros((12, 15), dtype=np.float32)
    residual[0, :3] = 9  # three pixels: too small, however high
    residual[3:6, 3:6] = 0.5  # at the level, not above it
    assert segment(residual, LEVELS)[1:] == ((), "good")
    residual[8:10, 2:4] = 0.6
    residual[8, 2] = 0.75  # at the level of defective, not above it
    mask, regions, verdict = segment(residual, LEVELS)
    assert verdict == "review"
    np.testing.assert_array_equal(mask, np.pad(np.ones((2, 2), dtype=bool), ((8, 2), (2, 11))))
    residual[8:10, 9:12] = 0.7
    residual[9, 10] = 0.9
    mask, regions, verdict = segment(residual, LEVELS)
    assert verdict == "defective"
    assert [(region.area, region.max_score) for region in regions] == [(6, np.float32(0.9)), (4, 0.75)]
    assert (regions[0].top, regions[0].left, regions[0].bottom, regions[0].right) == (8, 9, 10, 12)
    assert (regions[0].row, regions[0].column) == (8.5, 10)
    assert regions[1].mean_score == pytest.approx((0.75 + 3 * 0.6) / 4)
    assert mask.sum() == 10


@pytest.mark.parametrize("seed", range(4))
def test_segmentation_is_the_large_regions_above_review(seed: int) -> None:
    residual = np.random.default_rng(seed).random((37, 29), dtype=np.float32)
    labels, count = ndimage.label(residual > np.float32(0.6), EIGHT)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    levels = Thresholds.from_dict({**LEVELS.to_dict(), "review": 0.6, "min_area": 6})
    mask, regions, _ = segment(residual, levels)
    large = [label for label in range(1, count + 1) if areas[label] >= 6]
    np.testing.assert_array_equal(mask, np.isin(labels, large))
    assert sorted(region.area for region in regions) == sorted(areas[large].tolist())
    scores = [region.max_score for region in regions]
    assert scores == sorted(scores, reverse=True)


def covered(split_part: tuple, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
    counts = [np.zeros(shape, dtype=int) for shape in shapes]
    for index, region in split_part:
        counts[index][region] += 1
    return counts


def assert_apart(split: Split, shapes: list[tuple[int, int]]) -> None:
    """Every pixel lies in exactly one part."""
    for kept, held_out in zip(covered(split.kept, shapes), covered(split.held_out, shapes), strict=True):
        assert (kept + held_out == 1).all()


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(8, 400), st.integers(8, 400)), min_size=1, max_size=30), st.integers(0, 5))
def test_kept_and_held_out_parts_never_overlap(shapes: list[tuple[int, int]], seed: int) -> None:
    split = split_good(shapes, Settings(patch_size=32, stride=8, seed=seed))
    if split.kind == "none":
        assert split.kept == split.held_out
        assert all(max(shape) < 64 or min(shape) < 32 for shape in shapes)
        return
    assert_apart(split, shapes)
    assert split.kept
    assert split.held_out
    if split.kind == "images":
        return
    for index, region in split.held_out:
        height, width = shapes[index]
        band = max(32, round(0.2 * max(height, width)))
        parts = [np.empty((height, width))[part].shape for part in (region, dict(split.kept)[index])]
        if width >= height:
            assert parts == [(height, band), (height, width - band)]
        else:
            assert parts == [(band, width), (height - band, width)]
        assert min(*parts[0], *parts[1]) >= 32  # a patch fits into either


def test_bands_are_a_fifth_of_the_longer_side_or_a_patch() -> None:
    split = split_good([(700, 1024), (1024, 700), (200, 300), (250, 130)], Settings())
    assert split.kind == "bands"
    whole = slice(None)
    assert split.held_out == (
        (0, (whole, slice(819, None))),
        (1, (slice(819, None), whole)),
        (2, (whole, slice(172, None))),
    )
    assert split.kept[3] == (3, (whole, whole))


def test_calibrated_bands_lie_at_both_ends_in_turn() -> None:
    shapes = [(256, 4096), (100, 100), (4096, 256), (256, 4096)]  # the second is too small for a band
    split = split_good(shapes, Settings(calibration="border"))
    whole, start, end = slice(None), slice(0, 819), slice(3277, None)
    assert split.held_out == ((0, (whole, end)), (2, (start, whole)), (3, (whole, end)))
    assert_apart(split, shapes)


@pytest.mark.parametrize(
    ("count", "smallest", "calibration", "kind", "held_out"),
    [
        (19, 300, "none", "bands", 19),
        (20, 300, "none", "images", 4),
        (20, 300, "auto", "bands", 20),
        (39, 300, "auto", "bands", 39),
        (39, 200, "auto", "images", 8),  # of one of them nothing would be left for training
        (40, 300, "auto", "images", 8),
    ],
)
def test_few_images_hold_out_bands(count: int, smallest: int, calibration: Form, kind: str, held_out: int) -> None:
    shapes = [(300, 300)] * (count - 1) + [(smallest, 200)]
    split = split_good(shapes, Settings(patch_size=128, calibration=calibration))
    assert (split.kind, len(split.held_out)) == (kind, held_out)


@pytest.mark.parametrize(("count", "held_out"), [(20, 4), (21, 4), (33, 7), (280, 56)])
def test_from_twenty_images_on_a_fifth_is_held_out_whole(count: int, held_out: int) -> None:
    shapes = [(40, 40)] * count
    split, again, other = (split_good(shapes, Settings(seed=seed)) for seed in (0, 0, 1))
    assert split.kind == "images"
    assert len(split.held_out) == held_out
    assert_apart(split, shapes)
    assert split == again
    assert split != other


@pytest.mark.parametrize(("shapes", "hold_out"), [([(700, 1024)] * 30, False), ([(130, 200)] * 3, True)])
def test_where_nothing_is_held_out_thresholds_come_from_all_images(shapes: list, hold_out: bool) -> None:
    split = split_good(shapes, Settings(hold_out=hold_out))
    assert split.kind == "none"
    assert split.kept == split.held_out == tuple((index, (slice(None),) * 2) for index in range(len(shapes)))


def test_a_part_is_a_contiguous_slice() -> None:
    image = np.arange(30.0).reshape(5, 6)
    part = take(image, (slice(1, 3), slice(4, None)))
    np.testing.assert_array_equal(part, [[10, 11], [16, 17]])
    assert part.flags.c_contiguous


def test_a_good_image_that_stands_alone_is_named_and_left_to_review() -> None:
    maps = good_maps(4)
    names = ["a.png", "b.png", "c.png", "d.png"]
    assert outlier_note(thresholds_of(maps, min_area=9), names) is None
    maps[2][10:20, 10:20] = 5
    found = thresholds_of(maps, min_area=9)
    others = max(area_level(maps[index], 9) for index in (0, 1, 3))
    assert (found.review, found.defective) == (others, 5)
    assert [segment(map_, found)[2] for map_ in maps] == ["good", "good", "review", "good"]
    assert thresholds_of(maps[1:3], min_area=9).review == 5  # of two, nothing says which is the odd one
    note = outlier_note(found, names)
    assert note is not None
    assert "c.png stands alone" in note
    assert f"at most {others:.3g}" in note
    assert outlier_note(Thresholds.from_dict(json.loads(json.dumps(found.to_dict()))), names) == note
    assert outlier_note(thresholds_of(maps, threshold_rule="fpr", threshold_fpr=0.1, review_fpr=0.2), names) is None


@pytest.mark.parametrize(("changes", "area"), [({}, 63), ({"residual_smoothing": 10.0}, 691), ({"loss": "l2"}, 16)])
def test_the_smallest_region_is_the_footprint_of_a_point(changes: dict, area: int) -> None:
    settings = Settings(**changes)
    assert settings.smallest_region == area
    assert Settings(**changes, min_area=7).smallest_region == 7
    point = np.zeros((201, 201))
    point[100, 100] = 1
    spread = ndimage.uniform_filter(point, 11) if settings.loss == "ssim" else point
    spread = ndimage.gaussian_filter(spread, settings.residual_smoothing) if settings.residual_smoothing else spread
    variance = (spread.sum(axis=1) * (np.arange(201) - 100) ** 2).sum()
    assert area == max(round(2 * np.pi * variance), 16)


def test_the_window_of_a_scaled_image_covers_more_of_the_original() -> None:
    assert Settings(scale=0.5).smallest_region == round(4 * 2 * np.pi * (11**2 - 1) / 12)
    assert Settings(scale=0.5, loss="l2").smallest_region == Settings(loss="l2").smallest_region
