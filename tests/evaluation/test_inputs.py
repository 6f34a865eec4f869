"""What does not change a metric: order, type, layout, monotone maps, threads; and what has no metric at all."""

import json

import numpy as np
import pytest
from ssimae.evaluation.evaluate import evaluate_maps
from ssimae.evaluation.result import Evaluation

# Sums of the same float64 terms in another order.
ORDER_ATOL = 1e-12
LIMITS = (0.05, 0.3, 1.0)


def integer_case(seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return maps of whole scores in 0..255, with ties, and masks; one image is good."""
    rng = np.random.default_rng(seed)
    shapes = [(19, 31), (24, 24), (40, 11)]
    masks = [rng.random(shape) < share for shape, share in zip(shapes, (0.1, 0, 0.3))]
    return [rng.integers(0, 200, mask.shape) + 55 * mask for mask in masks], masks


def numbers(found: Evaluation) -> np.ndarray:
    """Return every metric that does not have the scores' unit."""
    assert found.image_auroc is not None
    return np.concatenate(
        [
            [found.auroc, found.average_precision, found.image_auroc, *found.aupros.values()],
            [found.n_images, found.n_pixels, found.n_regions],
            found.overlap.ravel(),
            found.overlap_curve.ravel(),
        ]
    )


def assert_same(found: Evaluation, want: Evaluation) -> None:
    np.testing.assert_allclose(numbers(found), numbers(want), rtol=0, atol=ORDER_ATOL)


WANT = evaluate_maps([map_.astype(np.float64) for map_ in integer_case()[0]], integer_case()[1], fpr_limits=LIMITS)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.uint16])
@pytest.mark.parametrize("mask_dtype", [bool, np.uint8, np.int64, np.float32])
def test_types_of_maps_and_masks_do_not_matter(dtype: type, mask_dtype: type) -> None:
    maps, masks = integer_case()
    found = evaluate_maps(
        [map_.astype(dtype) for map_ in maps],
        [mask.astype(mask_dtype) * mask_dtype(3) for mask in masks],
        fpr_limits=LIMITS,
    )
    assert_same(found, WANT)
    assert found.threshold_at_fpr == WANT.threshold_at_fpr


@pytest.mark.parametrize(
    "rising",
    [lambda s: s - 1000, lambda s: s * 1e-30, lambda s: s**3, lambda s: np.exp(s), lambda s: -1 / (s + 1e-3)],
    ids=["shifted", "tiny", "cubed", "exponential", "reciprocal"],
)
def test_strictly_increasing_maps_of_the_scores_change_nothing(rising) -> None:
    maps, masks = integer_case()
    assert_same(evaluate_maps([rising(map_.astype(float)) for map_ in maps], masks, fpr_limits=LIMITS), WANT)


def test_falling_maps_of_the_scores_turn_the_auroc_round() -> None:
    maps, masks = integer_case()
    found = evaluate_maps([-map_.astype(float) for map_ in maps], masks)
    assert found.auroc == pytest.approx(1 - WANT.auroc, abs=ORDER_ATOL)


def test_order_of_the_images_does_not_matter() -> None:
    maps, masks = integer_case()
    for order in ([2, 0, 1], [1, 2, 0], [2, 1, 0]):
        found = evaluate_maps(
            [maps[index].astype(float) for index in order], [masks[index] for index in order], fpr_limits=LIMITS
        )
        assert_same(found, WANT)


def test_memory_layout_does_not_matter() -> None:
    maps, masks = integer_case()
    turned = [np.asfortranarray(map_.astype(np.float32)) for map_ in maps]
    found = evaluate_maps(turned, [np.repeat(mask, 2, axis=0)[::2] for mask in masks], fpr_limits=LIMITS)
    assert_same(found, WANT)
    mirrored = evaluate_maps([map_[::-1] for map_ in turned], [mask[::-1] for mask in masks], fpr_limits=LIMITS)
    assert_same(mirrored, WANT)


def test_generators_are_read_once_and_together() -> None:
    maps, masks = integer_case()
    read = []

    def reading(name, arrays):
        for array in arrays:
            read.append(name)
            yield array

    found = evaluate_maps(
        reading("map", (map_.astype(np.float32) for map_ in maps)), reading("mask", masks), fpr_limits=LIMITS
    )
    assert_same(found, WANT)
    assert read == ["map", "mask"] * 3


def test_cutting_an_image_between_its_regions_changes_no_pixel_metric() -> None:
    rng = np.random.default_rng(1)
    map_, mask = rng.random((40, 25)), rng.random((40, 25)) < 0.2
    mask[19:21] = False
    whole = evaluate_maps([map_], [mask], fpr_limits=LIMITS)
    parts = evaluate_maps([map_[:20], map_[20:]], [mask[:20], mask[20:]], fpr_limits=LIMITS)
    np.testing.assert_allclose(list(parts.aupros.values()), list(whole.aupros.values()), rtol=0, atol=ORDER_ATOL)
    assert parts.auroc == whole.auroc
    np.testing.assert_array_equal(parts.overlap_curve, whole.overlap_curve)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u2"])
def test_byte_order_does_not_matter(dtype: str) -> None:
    rng = np.random.default_rng(0)
    map_, mask = (rng.random((20, 30)) * 1000).astype(f"<{dtype}"), rng.random((20, 30)) < 0.2
    assert evaluate_maps([map_.astype(f">{dtype}")], [mask]).to_dict() == evaluate_maps([map_], [mask]).to_dict()


def test_minus_zero_and_zero_are_one_score() -> None:
    for dtype in (np.float32, np.float64):
        found = evaluate_maps([np.array([[-0.0, 0.0, 0.0, -0.0]], dtype=dtype)], [np.array([[1, 0, 1, 0]])])
        assert found.auroc == 0.5


def test_ignored_pixels_do_not_exist() -> None:
    rng = np.random.default_rng(2)
    map_, mask = rng.random((30, 20)), rng.random((30, 20)) < 0.2
    ignore = np.zeros(mask.shape)
    ignore[:, 12:] = 7
    good = rng.random((5, 5))
    found = evaluate_maps([map_, good], [mask, np.zeros((5, 5))], ignore=[ignore, None])
    assert_same(found, evaluate_maps([map_[:, :12], good], [mask[:, :12], np.zeros((5, 5))]))


def test_images_ignored_whole_do_not_count() -> None:
    maps, masks = integer_case()
    extra = [np.full((4, 4), 255)], [np.ones((4, 4))]
    found = evaluate_maps(
        [map_.astype(float) for map_ in maps + extra[0]],
        masks + extra[1],
        ignore=[None, None, None, np.ones((4, 4))],
        fpr_limits=LIMITS,
    )
    assert_same(found, WANT)


def test_results_are_ready_for_json_under_the_official_names() -> None:
    found = WANT.to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["au_pro"] == WANT.aupro == WANT.aupros[LIMITS[0]]
    assert found["classification_au_roc"] == WANT.image_auroc
    assert len(WANT.curves()["overlap_values"]) == len(WANT.curves()["overlap_quantiles"])


def test_without_images_of_both_classes_there_is_no_image_auroc_but_its_reason() -> None:
    mask = np.eye(5)
    maps = [np.random.default_rng(3).random((5, 5))] * 2
    found = evaluate_maps(maps, [mask, mask])
    assert (found.image_auroc, found.image_auroc_reason) == (None, "no defect-free test image")
    assert 0 < found.auroc < 1
    both = evaluate_maps(maps, [mask, mask * 0])
    # The two maps are the same: their highest scores tie.
    assert (both.image_auroc, both.image_auroc_reason) == (0.5, None)


IMAGE = np.zeros((3, 4), dtype=np.float32)
MASK = np.eye(3, 4)


@pytest.mark.parametrize(
    ("maps", "masks", "said"),
    [
        ([IMAGE], [MASK * 0], "no defect pixel in any mask: the metrics are undefined"),
        ([IMAGE], [MASK * 0 + 1], "no defect-free pixel in any mask: the metrics are undefined"),
        ([], [], "`maps` is empty"),
        ([IMAGE, IMAGE], [MASK], "`maps` and `masks` must be as many; masks end at 1"),
        ([IMAGE], [MASK, MASK], "`maps` and `masks` must be as many; maps end at 1"),
        ([IMAGE, IMAGE], [MASK, MASK.T], r"map 1: the mask must have the shape of its map \(3, 4\), got \(4, 3\)"),
        ([IMAGE[0]], [MASK[0]], r"map 0: a map must have shape \(h, w\), got \(4,\)"),
        ([IMAGE.astype(int)], [MASK], "map 0: a map must be float16, float32, float64, uint8 or uint16, got int64"),
        ([IMAGE, IMAGE.astype(float)], [MASK, MASK], "map 1: maps must all be float64, or all of smaller types"),
    ],
)
def test_undefined_metrics_are_errors_with_their_reason(maps, masks, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate_maps(maps, masks)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scores_that_are_not_finite_are_refused_with_image_and_pixel(value: float, dtype: type) -> None:
    maps = [IMAGE.astype(dtype), IMAGE.astype(dtype)]
    maps[1][2, 1] = value
    with pytest.raises(ValueError, match="map 1: NaN or infinite score at row 2, column 1"):
        evaluate_maps(maps, [MASK, MASK])


def test_ignoring_all_pixels_of_one_kind_leaves_the_metrics_undefined() -> None:
    with pytest.raises(ValueError, match="no defect pixel in any mask"):
        evaluate_maps([IMAGE], [MASK], ignore=[MASK])
    with pytest.raises(ValueError, match=r"map 0: `ignore` must have the shape of its map \(3, 4\), got \(4, 3\)"):
        evaluate_maps([IMAGE], [MASK], ignore=[MASK.T])


@pytest.mark.parametrize("value", [-0.1, 1.0001, np.nan, np.inf])
@pytest.mark.parametrize("name", ["fpr_limits", "overlap_quantiles", "overlap_fprs"])
def test_rates_and_quantiles_outside_their_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must lie in [\[(]0, 1\], got"):
        evaluate_maps([IMAGE], [MASK], **{name: (0.5, value)})
    with pytest.raises(ValueError, match=f"`{name}` must not be empty"):
        evaluate_maps([IMAGE], [MASK], **{name: ()})


def test_a_limit_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`fpr_limits` must lie in \(0, 1\], got 0"):
        evaluate_maps([IMAGE], [MASK], fpr_limits=(0,))


def test_too_few_ignore_masks_are_refused() -> None:
    maps, mask = [np.arange(6.0).reshape(2, 3)] * 2, np.eye(2, 3, dtype=bool)
    with pytest.raises(ValueError, match="`ignore` must be as many as `maps`; it ends at 1"):
        evaluate_maps(maps, [mask, mask], ignore=[None])


def test_what_is_ignored_may_be_nan() -> None:
    maps, masks = integer_case()
    ignored = [np.random.default_rng(7).random(mask.shape) < 0.2 for mask in masks]
    want = evaluate_maps([map_.astype(np.float32) for map_ in maps], masks, ignore=ignored)
    broken = [np.where(left_out, np.nan, map_).astype(np.float32) for map_, left_out in zip(maps, ignored, strict=True)]
    found = evaluate_maps(broken, masks, ignore=ignored)
    np.testing.assert_array_equal(numbers(found), numbers(want))


def test_too_many_ignore_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="`ignore` must be as many as `maps`; it goes on after 1"):
        evaluate_maps([IMAGE], [MASK], ignore=[None, MASK])


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.where(MASK > 0, np.nan, 0), "map 0: a mask must not be NaN, as at row 0, column 0"),
        (MASK.astype(str), "map 0: a mask must be bool or numbers, got <U32"),
        (MASK.astype(object), "map 0: a mask must be bool or numbers, got object"),
    ],
    ids=["NaN", "text", "objects"],
)
def test_masks_of_no_numbers_are_refused(mask: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate_maps([IMAGE], [mask])
    with pytest.raises(ValueError, match=said):
        evaluate_maps([IMAGE], [MASK], ignore=[mask])
