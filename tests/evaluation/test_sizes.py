"""Regions larger than float32 counts, more of them than buckets of shares, shares close together, single pixels."""

import numpy as np
import pytest
from ssimae.evaluation.evaluate import evaluate_maps
from support.oracles import area_up_to, official_pro

# Float64 sums of at most some million terms that add up to one.
EXACT_ATOL = 1e-12
LIMITS, FPRS, QUANTILES = (0.1, 0.3, 1.0), (0.0, 0.05, 0.3, 1.0), (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


def test_a_region_of_more_pixels_than_float32_counts() -> None:
    mask = np.ones((4100, 4101), dtype=bool)
    mask[-4:] = False
    mask[-1, ::2] = True
    area = 4096 * 4101
    assert area > 2**24
    # Nearly all of the large region is found first, half of its last row with the good pixels.
    map_ = np.where(mask, np.uint8(9), np.uint8(1))
    map_[4095, : 4101 // 2] = 1
    found = evaluate_maps([map_], [mask], overlap_fprs=(0.5,))
    missed = 4101 // 2
    large, single = int(np.argmax(found.regions.area)), int(np.argmin(found.regions.area))
    assert found.regions.area[[large, single]].tolist() == [area, 1]
    assert found.regions.overlap[[large, single], 0].tolist() == [(area - missed) / area, 1]
    assert found.regions.auroc[large] == pytest.approx(1 - missed / area / 2, abs=1e-15)
    small = found.n_regions - 1
    assert found.auroc == pytest.approx(1 - missed / (area + small) / 2, abs=1e-15)


@pytest.mark.parametrize("levels", [3, 40, None])
def test_more_regions_than_buckets_of_shares(levels: int | None) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((900, 1200), dtype=bool)
    mask[::2, ::4] = mask[::2, 1::8] = True
    n_regions = 450 * 300
    regions = np.zeros(mask.shape, dtype=np.int64)
    regions[::2, ::4] = np.arange(1, n_regions + 1).reshape(450, 300)
    regions[::2, 1::8] = regions[::2, ::8]
    assert n_regions > 2**17
    map_ = (rng.normal(size=mask.shape) + mask).astype(np.float32)
    if levels:
        map_ = np.round(map_ * levels / 4)
    found = evaluate_maps([map_], [mask], fpr_limits=LIMITS, overlap_fprs=FPRS, overlap_quantiles=QUANTILES)
    assert found.n_regions == n_regions
    np.testing.assert_array_equal(found.regions.area, np.bincount(regions.ravel())[1:])
    x, y = official_pro(map_.ravel(), regions.ravel())
    for limit in LIMITS:
        assert found.aupros[limit] == pytest.approx(area_up_to(limit, x, y), abs=EXACT_ATOL)
    for column, fpr in enumerate(FPRS):
        covered = np.bincount(regions[map_ >= found.threshold_at_fpr[fpr]], minlength=n_regions + 1)[1:]
        shares = covered / found.regions.area
        np.testing.assert_array_equal(found.regions.overlap[:, column], shares)
        np.testing.assert_allclose(found.overlap[:, column], np.quantile(shares, QUANTILES), rtol=0, atol=EXACT_ATOL)


@pytest.mark.parametrize(("defect", "good", "auroc"), [(2.0, 1.0, 1.0), (1.0, 2.0, 0.0), (1.0, 1.0, 0.5)])
def test_two_pixels_are_enough(defect: float, good: float, auroc: float) -> None:
    found = evaluate_maps(
        [np.array([[defect, good]])], [np.array([[1, 0]])], fpr_limits=(1.0,), overlap_fprs=(0.0, 1.0)
    )
    assert found.auroc == found.aupro == found.regions.auroc[0] == auroc
    assert found.average_precision == (1 if defect > good else 0.5)
    assert found.overlap.tolist() == [[float(defect > good), 1.0]] * 3
    assert found.best_f1 == (1 if defect > good else 2 / 3)
    assert found.best_f1_threshold == defect
    assert found.threshold_at_fpr == {0.0: defect if defect > good else np.inf, 1.0: min(defect, good)}


def test_images_of_one_score_tie_at_any_size() -> None:
    for score in (0.1, 1e308, -0.3):
        maps = [np.full((1, count), score) for count in (1, 3, 7, 49)]
        masks = [np.zeros(map_.shape) for map_ in maps]
        masks[0][:] = masks[2][:] = 1
        found = evaluate_maps(maps, masks, image_top=1.0)
        assert found.images.score.tolist() == [score] * 4
        assert found.image_auroc == 0.5


def test_shares_of_large_regions_that_differ_by_a_pixel_are_told_apart() -> None:
    side, covered = 400, [80_000, 80_001, 80_003, 80_002, 79_999]
    mask = np.zeros((side + 1, len(covered) * (side + 1)), dtype=bool)
    map_ = np.zeros(mask.shape, dtype=np.float32)
    for index, count in enumerate(covered):
        columns = slice(index * (side + 1), index * (side + 1) + side)
        mask[:side, columns] = True
        map_[:side, columns] = (np.arange(side**2) < count).reshape(side, side)
    found = evaluate_maps([map_], [mask], overlap_fprs=(0.0,), overlap_quantiles=QUANTILES)
    shares = np.array(covered) / side**2
    assert found.regions.overlap[:, 0].tolist() == shares.tolist()
    np.testing.assert_allclose(found.overlap[:, 0], np.quantile(shares, QUANTILES), rtol=0, atol=EXACT_ATOL)
