"""Parts of the ground truth have the metrics of their own regions, and add up to the whole."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from ssimae.evaluation.evaluate import evaluate_maps
from ssimae.evaluation.parts import by_defect, by_size
from support.oracles import area_up_to, official_pro, pooled, random_case

DEFECTS = ["hole", "tear", "good", "hole"]
# Float64 sums of some hundred terms.
EXACT_ATOL = 1e-12


@pytest.fixture
def case():
    maps, masks, ignores = random_case(11, 40, ignoring=True)
    scores, regions = pooled(maps, masks, ignores)
    return evaluate_maps(maps, masks, ignore=ignores), scores, regions, maps, ignores


def assert_part(part, chosen, scores, regions):
    own = np.isin(regions, [0, *(chosen + 1)])
    labels = np.unique(regions[own], return_inverse=True)[1]
    assert part.n_regions == len(chosen)
    assert part.auroc == pytest.approx(roc_auc_score(labels > 0, scores[own]), abs=EXACT_ATOL)
    assert part.aupro == pytest.approx(area_up_to(0.3, *official_pro(scores[own], labels)), abs=EXACT_ATOL)
    areas = np.bincount(labels)[1:]
    assert part.area_px == (areas.min(), areas.max())


def test_defects_have_the_metrics_of_their_regions_against_all_good_pixels(case) -> None:
    found, scores, regions, maps, ignores = case
    parts = by_defect(found, DEFECTS)
    assert [part.name for part in parts] == ["hole", "tear"]
    for part in parts:
        chosen = np.flatnonzero(np.array(DEFECTS)[found.regions.image] == part.name)
        assert_part(part, chosen, scores, regions)
        np.testing.assert_array_equal(part.overlap, np.median(found.regions.overlap[chosen], axis=0))
        images = [index for index, defect in enumerate(DEFECTS) if defect in (part.name, "good")]
        highest = [
            maps[index][~ignores[index]].max() if ignores[index] is not None else maps[index].max() for index in images
        ]
        labels = [DEFECTS[index] != "good" for index in images]
        assert part.image_auroc == pytest.approx(roc_auc_score(labels, highest), abs=EXACT_ATOL)


def test_parts_add_up_to_the_whole(case) -> None:
    found, *_ = case
    for parts in (by_defect(found, DEFECTS), by_size(found)):
        assert sum(part.n_regions for part in parts) == found.n_regions
        aupro = sum(part.aupro * part.n_regions for part in parts) / found.n_regions
        assert aupro == pytest.approx(found.aupro, abs=EXACT_ATOL)


def test_sizes_are_quarters_of_the_regions(case) -> None:
    found, scores, regions, *_ = case
    areas = found.regions.area
    parts = by_size(found)
    ends = [part.area_px for part in parts]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ends))
    for part in parts:
        low, high = part.area_px
        assert_part(part, np.flatnonzero((areas >= low) & (areas <= high)), scores, regions)
    # Equal areas stay together, so at most as many are larger, and at most as many smaller.
    assert np.mean(areas < parts[-1].area_px[0]) >= 0.5


def test_regions_of_one_size_are_one_part() -> None:
    mask = np.zeros((9, 9), bool)
    mask[::2, ::2] = True
    parts = by_size(evaluate_maps([np.arange(81.0).reshape(9, 9)], [mask]))
    assert [(part.n_regions, part.area_px) for part in parts] == [(25, (1, 1))]


def test_a_defect_without_inspected_region_has_no_metrics() -> None:
    maps, masks, _ = random_case(11, 40)
    masks[1][:] = False
    part = by_defect(evaluate_maps(maps, masks), DEFECTS)[1]
    assert part.to_dict() == {
        "auroc": None, "au_pro": None, "image_auroc": None, "median_overlap": None, "n_regions": 0, "area_px": None
    }  # fmt: skip
