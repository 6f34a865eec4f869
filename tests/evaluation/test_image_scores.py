"""Images may be ranked by other scores than those of their pixels: what rests on them follows, the rest stays."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from ssimae.evaluation.evaluate import evaluate_maps
from ssimae.evaluation.parts import by_defect

DEFECTS = ["hole", "good", "hole", "good", "spot", "good", "spot", "spot"]


def maps_and_masks(defects: list[str]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(0)
    maps = [rng.random((9, 11), dtype=np.float32) for _ in defects]
    masks = [np.zeros((9, 11), bool) for _ in defects]
    for defect, mask in zip(defects, masks, strict=True):
        mask[2:5, 3:6] = defect != "good"
    return maps, masks


def test_the_auroc_of_images_is_that_of_the_scores() -> None:
    evaluation = evaluate_maps(*maps_and_masks(DEFECTS))
    scores = np.random.default_rng(1).integers(0, 4, len(DEFECTS)).astype(float)
    defective = [defect != "good" for defect in DEFECTS]
    found = evaluation.with_image_scores(scores.tolist())
    assert found.image_auroc == roc_auc_score(defective, scores)
    assert found.image_auroc != evaluation.image_auroc
    assert found.images.score.tolist() == scores.tolist()
    np.testing.assert_array_equal(found.images.is_defective, defective)
    assert found.to_dict()["classification_au_roc"] == found.image_auroc
    own = evaluation.with_image_scores(evaluation.images.score.tolist())
    assert own.image_auroc == pytest.approx(evaluation.image_auroc, abs=1e-12)


def test_kinds_of_defects_follow_and_pixels_stay() -> None:
    evaluation = evaluate_maps(*maps_and_masks(DEFECTS))
    scores = [0.9, 0.1, 0.8, 0.4, 0.2, 0.3, 0.05, 0.35]
    found = evaluation.with_image_scores(scores)
    parts = {part.name: part for part in by_defect(found, DEFECTS)}
    assert parts["hole"].image_auroc == 1
    assert parts["spot"].image_auroc == pytest.approx((1 + 0 + 2) / 9)  # pairs won against .1, .4 and .3
    for part, before in zip(parts.values(), by_defect(evaluation, DEFECTS), strict=True):
        assert dataclasses.replace(part, image_auroc=None) == dataclasses.replace(before, image_auroc=None)
    assert (found.auroc, found.aupros) == (evaluation.auroc, evaluation.aupros)
    assert found.regions is evaluation.regions


def test_without_good_images_there_is_still_no_auroc() -> None:
    evaluation = evaluate_maps(*maps_and_masks(["hole", "spot"]))
    found = evaluation.with_image_scores([0.1, 0.2])
    assert found.image_auroc is None
    assert found.image_auroc_reason == evaluation.image_auroc_reason
    assert found.image_auroc_reason
