"""Evaluators take images in any parts and order, and give the same metrics to the last bit."""

import multiprocessing
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score
from ssimae.evaluation.evaluate import evaluate_maps
from ssimae.evaluation.evaluator import Evaluator
from support.evaluators import FPRS, LARGE, LIMITS, found_by, gathered, large_case, numbers
from support.oracles import area_up_to, official_pro, pooled, random_case
from support.threads import printed_on_threads

# Float64 sums of at most some million terms that add up to one.
EXACT_ATOL = 1e-12


@pytest.mark.parametrize(("levels", "share"), LARGE)
def test_many_pixels_have_the_metrics_of_a_global_sort(levels, share) -> None:
    maps, masks = large_case(levels, share)
    scores, regions = pooled(maps, masks, [None] * 3)
    found = found_by(gathered(maps, masks))
    assert found.auroc == pytest.approx(roc_auc_score(regions > 0, scores), abs=EXACT_ATOL)
    assert found.average_precision == pytest.approx(average_precision_score(regions > 0, scores), abs=EXACT_ATOL)
    x, y = official_pro(scores, regions)
    for limit in LIMITS:
        assert found.aupros[limit] == pytest.approx(area_up_to(limit, x, y), abs=EXACT_ATOL)
    negatives = np.sort(scores[regions == 0])[::-1]
    for column, fpr in enumerate(FPRS):
        # The lowest score above the first defect-free one too many.
        excluded = negatives[int(np.floor(fpr * len(negatives) + 1e-9))]
        higher = scores[scores > excluded]
        threshold = float(higher.min()) if higher.size else np.inf
        assert found.threshold_at_fpr[fpr] == threshold
        covered = np.bincount(regions[scores >= threshold], minlength=regions.max() + 1)[1:]
        shares = covered / np.bincount(regions)[1:]
        np.testing.assert_array_equal(found.regions.overlap[:, column], shares)
        np.testing.assert_allclose(found.overlap[:, column], np.quantile(shares, (0.25, 0.5, 0.75)), atol=EXACT_ATOL)


@pytest.mark.parametrize(("levels", "share"), LARGE)
def test_parts_and_memory_change_no_bit(levels, share, tmp_path: Path) -> None:
    maps, masks = large_case(levels, share)
    whole = gathered(maps, masks)
    want = numbers(found_by(whole))
    assert numbers(found_by(whole)) == want
    for limit in (0, 2_000_000):
        spilled = gathered(maps, masks, memory_limit=limit)
        assert spilled.nbytes <= limit
        assert numbers(found_by(spilled)) == want
    whole.save(tmp_path / "scores")
    assert numbers(found_by(Evaluator.load(tmp_path / "scores", memory_limit=1_000_000))) == want
    assert numbers(found_by(Evaluator.from_bytes(spilled.to_bytes()))) == want
    parts = [gathered([map_], [mask]) for map_, mask in zip(maps, masks)]
    assert numbers(found_by(parts[2].merge(parts[0].merge(parts[1])))) == want


THREADS = """
from support.evaluators import LARGE, found_by, gathered, large_case, numbers
for levels, share in LARGE:
    print(numbers(found_by(gathered(*large_case(levels, share)))))
"""


@pytest.mark.exhaustive
def test_threads_change_no_bit() -> None:
    want, *others = printed_on_threads(THREADS, 1, 2, 3, 7)
    assert want.count("\n") == len(LARGE)
    assert all(printed == want for printed in others)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([None, 2, 9]), st.booleans(), st.permutations(range(4)), st.data())
def test_any_tree_of_merges_is_one_evaluator(seed, levels, ignoring, order, data) -> None:
    maps, masks, ignores = random_case(seed, levels, ignoring=ignoring)
    want = found_by(gathered(maps, masks, ignores))
    parts = [gathered([maps[index]], [masks[index]], [ignores[index]]) for index in order]
    while len(parts) > 1:
        place = data.draw(st.integers(0, len(parts) - 2))
        parts[place].merge(parts.pop(place + 1))
    found = found_by(parts[0])
    assert numbers(found) == numbers(want)
    # In order, images and regions are where they were.
    back = np.argsort(order)
    np.testing.assert_array_equal(found.images.score[back], want.images.score)
    assert [order[image] for image in found.regions.image] == sorted(
        want.regions.image.tolist(), key=lambda image: order.index(image)
    )


@pytest.mark.parametrize(
    "rising",
    [lambda s: s**16, lambda s: s * 2.0**-100, lambda s: np.exp2(s * 8), lambda s: (s - 1) ** 3],
    ids=["heavy-tailed", "tiny", "exponential", "negative"],
)
def test_strictly_increasing_maps_of_the_scores_change_no_bit(rising) -> None:
    maps, masks, ignores = random_case(3, 60, ignoring=True)
    # In [1, 2], in steps that no power takes for equal.
    maps = [1 + (map_ + 60) / 256 for map_ in maps]
    assert all(((map_ >= 1) & (map_ <= 2)).all() for map_ in maps)
    want = numbers(found_by(gathered(maps, masks, ignores)), of_scores=False)
    raised = [rising(map_) for map_ in maps]
    assert len(np.unique(np.concatenate([map_.ravel() for map_ in raised]))) == len(
        np.unique(np.concatenate([map_.ravel() for map_ in maps]))
    )
    assert numbers(found_by(gathered(raised, masks, ignores)), of_scores=False) == want


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([None, 2, 9, 60]), st.booleans())
def test_numbers_of_regions_and_curves_follow_their_definitions(seed, levels, ignoring) -> None:
    maps, masks, ignores = random_case(seed, levels, ignoring=ignoring)
    scores, regions = pooled(maps, masks, ignores)
    found = found_by(gathered(maps, masks, ignores))
    for index in range(found.n_regions):
        own = (regions == 0) | (regions == index + 1)
        assert found.regions.area[index] == np.sum(regions == index + 1)
        assert found.regions.auroc[index] == pytest.approx(roc_auc_score(regions[own] > 0, scores[own]), abs=EXACT_ATOL)
        alone = np.where(regions[own] > 0, 1, 0)
        for column, limit in enumerate(LIMITS):
            want = area_up_to(limit, *official_pro(scores[own], alone))
            assert found.regions.aupro[index, column] == pytest.approx(want, abs=EXACT_ATOL)
    assert found.auroc == pytest.approx(np.average(found.regions.auroc, weights=found.regions.area), abs=EXACT_ATOL)
    np.testing.assert_allclose(list(found.aupros.values()), found.regions.aupro.mean(axis=0), atol=EXACT_ATOL)
    precision, recall, thresholds = precision_recall_curve(regions > 0, scores)
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))[:-1]
    assert found.best_f1 == pytest.approx(f1.max(), abs=EXACT_ATOL)
    assert found.best_f1_threshold in thresholds[f1 >= f1.max() - EXACT_ATOL]
    assert auc(*found.roc) == pytest.approx(found.auroc, abs=EXACT_ATOL)
    recall, precision = found.precision_recall
    assert np.sum(np.diff(recall, prepend=0) * precision) == pytest.approx(found.average_precision, abs=EXACT_ATOL)


@pytest.mark.parametrize("levels", [None, 5, 200])
def test_thinned_curves_keep_their_areas(levels) -> None:
    found = found_by(gathered(*large_case(levels, 0.05)))
    assert auc(*found.roc) == pytest.approx(found.auroc, abs=EXACT_ATOL)
    for limit, area in found.aupros.items():
        inside = found.pro[0] <= limit
        assert found.pro[0, inside][-1] == limit
        assert auc(*found.pro[:, inside]) / limit == pytest.approx(area, abs=EXACT_ATOL)
    recall, precision = found.precision_recall
    assert np.sum(np.diff(recall, prepend=0) * precision) == pytest.approx(found.average_precision, abs=EXACT_ATOL)
    for curve in (found.roc, found.pro):
        assert curve.shape[1] < 9000
        assert (np.diff(curve) >= 0).all()
        assert curve[:, [0, -1]].tolist() == [[0, 1], [0, 1]]


def test_boxes_and_images_of_regions() -> None:
    masks = [np.zeros((6, 7), bool) for _ in range(3)]
    masks[0][1:3, 2:5] = masks[0][5, 6] = masks[2][0, 0] = True
    ignore = np.zeros((6, 7), bool)
    ignore[1] = True
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=mask.shape) for mask in masks]
    found = found_by(gathered(maps, masks, [ignore, None, None]))
    assert found.regions.image.tolist() == [0, 0, 2]
    assert found.regions.area.tolist() == [3, 1, 1]
    assert found.regions.box.tolist() == [[2, 2, 3, 5], [5, 6, 6, 7], [0, 0, 1, 1]]
    assert found.images.is_defective.tolist() == [True, False, True]
    want = [maps[0][~ignore].max(), maps[1].max(), maps[2].max()]
    assert found.images.score.tolist() == want


def test_images_can_be_scored_by_the_mean_of_their_highest_pixels() -> None:
    maps, masks, ignores = random_case(1, None, ignoring=True)
    found = found_by(gathered(maps, masks, ignores, image_top=0.1))
    for map_, ignore, score in zip(maps, ignores, found.images.score):
        values = np.sort(map_ if ignore is None else map_[~ignore], axis=None)[::-1]
        assert score == pytest.approx(values[: round(0.1 * len(values))].mean(), abs=EXACT_ATOL)


def test_images_come_after_an_answer_and_merging_leaves_the_other_alone() -> None:
    maps, masks, _ = random_case(2, None)
    first, second = gathered(maps[:2], masks[:2]), gathered(maps[2:], masks[2:])
    before = numbers(found_by(second))
    assert found_by(first).n_images == 2
    merged = first.merge(second)
    assert merged is first
    want = numbers(found_by(gathered(maps, masks)))
    assert numbers(found_by(first)) == want
    assert numbers(found_by(second)) == before
    del second, merged
    assert numbers(found_by(first)) == want
    assert numbers(found_by(first.merge(Evaluator()))) == want
    assert numbers(found_by(Evaluator().merge(first))) == want
    twice = found_by(first.merge(first))
    assert twice.n_images == 8
    assert twice.auroc == pytest.approx(found_by(gathered(maps, masks)).auroc, abs=EXACT_ATOL)


def _part(case) -> Evaluator:
    return gathered(*case)


def test_processes_each_take_a_part() -> None:
    maps, masks, _ = random_case(2, None)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        parts = pool.map(_part, [(maps[:1], masks[:1]), (maps[1:], masks[1:])])
    assert numbers(found_by(parts[0].merge(parts[1]))) == numbers(found_by(gathered(maps, masks)))


def test_what_is_refused_changes_nothing() -> None:
    maps, masks, _ = random_case(2, None)
    evaluator = gathered(maps, masks)
    want = numbers(found_by(evaluator))
    broken = maps[0].copy()
    broken[3, 5] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite score at row 3, column 5"):
        evaluator.update(broken, masks[0])
    with pytest.raises(ValueError, match="maps must all be float64, or all of smaller types"):
        evaluator.update(maps[0].astype(np.float32), masks[0])
    with pytest.raises(ValueError, match="maps must all be float64, or all of smaller types"):
        evaluator.merge(gathered([maps[0].astype(np.float32)], [masks[0]]))
    with pytest.raises(ValueError, match=r"image scores are of the top 0 of the pixels here, and 0\.5 there"):
        evaluator.merge(gathered(maps, masks, image_top=0.5))
    assert numbers(found_by(evaluator)) == want


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image_top": 1.5}, r"`image_top` must lie in \[0, 1\], got 1\.5"),
        ({"memory_limit": -1}, "`memory_limit` must be bytes, or None, got -1"),
    ],
)
def test_settings_outside_their_range_are_refused(options, said) -> None:
    with pytest.raises(ValueError, match=said):
        Evaluator(**options)


def test_without_images_there_are_no_metrics() -> None:
    with pytest.raises(ValueError, match="there are no images"):
        Evaluator().compute()
    assert Evaluator.from_bytes(Evaluator().to_bytes()).n_images == 0


def sound(call, said: str):
    """Return what a call returns, or None if it refuses with such words."""
    try:
        return call()
    except ValueError as error:
        if re.search(said, str(error)) is None:
            raise
        return None


STATE = gathered(*random_case(5, 9)[:2]).to_bytes()
SINGLE = gathered([map_.astype(np.float32) for map_ in random_case(5, 9)[0]], random_case(5, 9)[1]).to_bytes()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([STATE, SINGLE]), st.sampled_from([None, 0]), st.data())
def test_damaged_scores_are_refused_or_sound(whole, memory_limit, data) -> None:
    kind = data.draw(st.sampled_from(["noise", "cut", "changed", "longer"]))
    if kind == "noise":
        state = whole[: data.draw(st.integers(0, 32))] + data.draw(st.binary(max_size=200))
    elif kind == "cut":
        state = whole[: data.draw(st.integers(0, len(whole) - 1))]
    elif kind == "longer":
        state = whole + data.draw(st.binary(min_size=1, max_size=9))
    else:
        changed = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 4))):
            changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        state = bytes(changed)
    evaluator = sound(lambda: Evaluator.from_bytes(state, memory_limit=memory_limit), "gathered scores")
    assert evaluator is None or kind not in ("cut", "longer")
    found = evaluator and sound(lambda: found_by(evaluator), "no images|undefined")
    if found:
        assert 0 <= found.auroc <= 1
        assert numbers(found_by(Evaluator.from_bytes(evaluator.to_bytes()))) == numbers(found)


def test_claimed_lengths_take_no_memory() -> None:
    evaluator = Evaluator.from_bytes(STATE)
    runs = 48 + 8 * evaluator.n_images + 24 * evaluator.n_regions
    key_bytes, images, regions, run_length = 16, 32, 40, runs + 8
    for place in (key_bytes, images, regions, runs, run_length):
        state = STATE[:place] + (2**61).to_bytes(8, "little") + STATE[place + 8 :]
        with pytest.raises(ValueError, match="gathered scores are damaged"):
            Evaluator.from_bytes(state)


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        Evaluator.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        Evaluator.load(tmp_path)
    (tmp_path / "text").write_text("not scores, but long enough to hold a header of some")
    with pytest.raises(ValueError, match="text: not gathered scores of this version"):
        Evaluator.load(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        Evaluator().save(tmp_path / "folder" / "scores")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


FULL = """
import resource, sys
import numpy as np
from ssimae.evaluation.evaluator import Evaluator
from pathlib import Path
evaluator = Evaluator()
evaluator.update(np.random.default_rng(0).normal(size=(500, 500)), np.eye(500))
path = Path(sys.argv[1])
path.write_bytes(b"older")
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    evaluator.save(path)
except OSError as error:
    assert str(path) in str(error) and "File too large" in str(error), error
    assert path.read_bytes() == b"older"
    assert [other.name for other in path.parent.iterdir()] == [path.name]
    print("refused")
spilling = Evaluator(memory_limit=1000)
try:
    spilling.update(np.random.default_rng(0).normal(size=(500, 500)), np.eye(500))
except OSError as error:
    assert "temporary file" in str(error), error
    print("refused")
# The image is there, once: what could not be moved stays in memory.
assert spilling.n_images == 1 and spilling.compute() and spilling.compute().auroc == evaluator.compute().auroc
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the file size")
def test_a_full_disk_leaves_the_older_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "scores")], capture_output=True, text=True, check=False
    )
    assert done.stdout == "refused\nrefused\n", done.stderr


def test_small_magnitudes_and_signs_of_zero() -> None:
    tiny = np.array([[0.0, -0.0, 5e-324, -5e-324, 1e308, -1e308]])
    mask = np.array([[1, 0, 1, 0, 1, 0]])
    for scores in (tiny, np.array([[0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38]], np.float32)):
        found = evaluate_maps([scores], [mask])
        assert found.auroc == pytest.approx(roc_auc_score(mask[0], scores[0]), abs=EXACT_ATOL)
        assert found.auroc < 1  # zeros of either sign are equal


def test_thresholds_of_rates_in_any_order_are_those_of_each() -> None:
    evaluator = gathered(*large_case(None, 0.02))
    fprs = np.array([0.9, 0.05, 0.3, 0.9, 0.0, 1.0])
    want = evaluator.compute(overlap_fprs=fprs.tolist()).threshold_at_fpr
    assert evaluator.thresholds_at(fprs).tolist() == [want[fpr] for fpr in fprs.tolist()]
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"`fprs` must lie in \[0, 1\], got"):
            evaluator.thresholds_at(np.array([0.5, wrong]))


def test_limits_given_twice_are_one_column_of_the_regions() -> None:
    maps, masks, _ = random_case(6, 9)
    found = gathered(maps, masks).compute(fpr_limits=(0.3, 0.05, 0.3))
    assert tuple(found.aupros) == (0.3, 0.05)
    assert found.regions.aupro.shape == (found.n_regions, 2)
    np.testing.assert_allclose(found.regions.aupro.mean(axis=0), list(found.aupros.values()), atol=EXACT_ATOL)
