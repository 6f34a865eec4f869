"""A detector is scored by labels or by planted defects, and survives what a parallel search does with it."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from ssimae import Detector
from ssimae.detector import score
from ssimae.tuning.score import score_maps


@pytest.fixture(scope="module")
def defective(surfaces: list[np.ndarray]) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    images = [image.copy() for image in surfaces]
    for image in images:
        image[20:40, 30:60] = rng.integers(0, 255, (20, 30))
    return images


def test_with_labels_the_score_is_the_auroc_of_the_images_however_they_are_written(
    fitted: Detector, surfaces: list[np.ndarray], defective: list[np.ndarray], tmp_path: Path
) -> None:
    images, bad = [*surfaces, *defective], np.repeat([False, True], len(surfaces))
    wanted = roc_auc_score(bad, -fitted.score_samples(images))
    for y in (bad, bad.tolist(), bad.astype(int), bad.astype(float), np.where(bad, -1, 1)):
        assert fitted.score(images, y) == wanted
    with pytest.raises(ValueError, match=r"True or 1 for defective .* got 0, 1, 2"):
        fitted.score(images[:3], [0, 1, 2])
    with pytest.raises(ValueError, match="calls all 6 images good, and an AUROC takes both"):
        fitted.score(surfaces, np.zeros(len(surfaces)))
    with pytest.raises(ValueError, match=r"a label for each of 6 images, got shape \(2,\)"):
        fitted.score(surfaces, [0, 1])
    with pytest.raises(ValueError, match="`inspect` takes a single image"):
        fitted.predict("photos/1.png")
    with pytest.raises(ValueError, match="list its images: sorted"):
        fitted.predict(tmp_path)


def test_without_labels_defects_are_planted_the_same_for_every_detector(
    tiny: dict[str, Any], fitted: Detector, surfaces: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    planted: list[Any] = []

    def note(good: Any, maps: Any, labels: Any, **named: Any) -> Any:
        planted.append(labels)
        return score_maps(good, maps, labels, **named)

    monkeypatch.setattr(score, "score_maps", note)
    assert 0 <= fitted.score(surfaces) <= 1
    Detector(**tiny, seed=5).fit(surfaces).score(surfaces)
    for one, same in zip(*planted, strict=True):
        np.testing.assert_array_equal(one, same)
    sparse = np.ones(surfaces[0].shape, np.bool_)
    sparse[::7, ::7] = False
    with pytest.raises(ValueError, match="no defect could be planted that is seen"):
        fitted.score(surfaces, ignore=sparse)


def test_a_detector_comes_back_from_what_joblib_sends_to_other_processes(
    fitted: Detector, surfaces: list[np.ndarray]
) -> None:
    sent = pickle.loads(pickle.dumps(fitted))
    assert sent.inspect(surfaces[0]).to_dict() == fitted.inspect(surfaces[0]).to_dict()
    assert clone(fitted).get_params() == fitted.get_params()
