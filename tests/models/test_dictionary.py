"""The dictionary of features: against scikit-learn on all data at once, and on images with a foreign part."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from ssimae.models import dictionary as module
from ssimae.models.dictionary import FeatureDictionary, fit_dictionary, normalised, score_map
from ssimae.models.features import ResNet18Features
from torch import Tensor

CPU = torch.device("cpu")
ROUNDING = 2e-3
"""Of float32 features and an incremental against a whole decomposition, relative to their spread."""


def patches(count: int, *, seed: int = 0, side: int = 16) -> Tensor:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    shifts, noise = rng.uniform(0, 6, (count, 2, 1, 1)), rng.normal(0, 0.05, (count, side, side))
    waves = 0.5 + 0.3 * np.sin(rows / 2 + shifts[:, 0]) * np.cos(columns / 3 + shifts[:, 1]) + noise
    return torch.from_numpy(waves.astype(np.float32))[:, None]


@pytest.fixture(scope="module")
def features() -> ResNet18Features:
    return ResNet18Features.random(0)


@pytest.fixture(scope="module")
def fitted(features: ResNet18Features) -> FeatureDictionary:
    good = patches(1300)
    return fit_dictionary(lambda: good.split(100), features, size=20, seed=0, device=CPU)


def projected(features: ResNet18Features, batch: Tensor) -> np.ndarray:
    with torch.no_grad():
        return normalised(features(batch)).numpy()


def test_features_are_divided_by_their_sum_of_magnitudes(features: ResNet18Features) -> None:
    found = projected(features, patches(5))
    np.testing.assert_allclose(np.abs(found).sum(axis=1), 1, rtol=1e-5)


def test_components_are_those_of_all_features_at_once(features: ResNet18Features, fitted: FeatureDictionary) -> None:
    numbers = projected(features, patches(1300)).astype(np.float64)
    whole = PCA().fit(numbers)
    count = int(np.searchsorted(np.cumsum(whole.explained_variance_ratio_), 0.95)) + 1
    assert fitted.components.shape == (count, 512)
    np.testing.assert_allclose(fitted.mean.numpy(), numbers.mean(axis=0), atol=1e-6)
    overlap = np.abs((fitted.components.numpy() * whole.components_[:count]).sum(axis=1))
    strong = whole.explained_variance_ratio_[:count] > 0.02  # those behind are nearly of equal length, and may turn
    np.testing.assert_allclose(overlap[strong], 1, atol=ROUNDING)


def test_score_is_the_distance_to_the_nearest_centre(features: ResNet18Features, fitted: FeatureDictionary) -> None:
    batch = patches(9, seed=1)
    points = (projected(features, batch) - fitted.mean.numpy()) @ fitted.components.numpy().T
    wanted = cdist(points, fitted.centres.numpy()).min(axis=1)
    np.testing.assert_allclose(fitted.score(batch).numpy(), wanted, rtol=1e-3, atol=1e-6)


def test_the_same_seed_gives_the_same_dictionary(features: ResNet18Features, fitted: FeatureDictionary) -> None:
    good = patches(1300)
    again = fit_dictionary(lambda: good.split(100), features, size=20, seed=0, device=CPU)
    assert torch.equal(again.centres, fitted.centres)


def test_it_is_its_state(fitted: FeatureDictionary) -> None:
    again = FeatureDictionary.from_state(fitted.state_dict())
    batch = patches(4, seed=2)
    assert torch.equal(again.score(batch), fitted.score(batch))


def test_a_state_of_something_else_is_refused(fitted: FeatureDictionary) -> None:
    state = fitted.state_dict()
    with pytest.raises(ValueError, match="`components` or `centres` is missing"):
        FeatureDictionary.from_state({name: value for name, value in state.items() if name != "centres"})
    with pytest.raises(ValueError, match="do not fit a dictionary"):
        FeatureDictionary.from_state({**state, "centres": torch.zeros(20, 3)})


def test_too_few_features_are_refused(features: ResNet18Features) -> None:
    good = patches(30).repeat(20, 1, 1, 1)
    with pytest.raises(ValueError, match="only 30 different features"):
        fit_dictionary(lambda: good.split(100), features, size=40, seed=0, device=CPU)
    with pytest.raises(ValueError, match="at least 512 patches"):
        fit_dictionary(lambda: good[:100].split(50), features, size=10, seed=0, device=CPU)


def test_batches_are_not_held(features: ResNet18Features) -> None:
    alive = most = 0

    class Counted:
        def __init__(self) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def batches() -> Iterator[Tensor]:
        for seed in range(12):
            batch = patches(100, seed=seed)
            batch.counted = Counted()
            yield batch
            del batch

    fit_dictionary(batches, features, size=10, seed=0, device=CPU)
    assert most <= 2


class Ramp:
    """Scores a patch by its first pixel, which holds its place."""

    def score(self, batch: Tensor) -> Tensor:
        return batch[:, 0, 0, 0]


@pytest.mark.parametrize(("height", "width", "stride"), [(16, 16, 4), (33, 47, 8), (50, 16, 16), (41, 64, 5)])
def test_scores_between_centres_are_linear_and_stay_beyond_the_outermost(height: int, width: int, stride: int) -> None:
    rows, columns = np.mgrid[:height, :width]
    image = (rows + 3 * columns).astype(np.float32)
    found = score_map(Ramp(), image, patch_size=16, stride=stride, device=CPU)
    inner_rows, inner_columns = (np.clip(axis - 7.5, 0, side - 16) for axis, side in ((rows, height), (columns, width)))
    np.testing.assert_allclose(found, inner_rows + 3 * inner_columns, atol=1e-4)
    assert found.shape == (height, width)
    assert found.dtype == np.float32


def test_batches_of_a_map_do_not_show(fitted: FeatureDictionary, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    whole = score_map(fitted, image, patch_size=16, stride=8, device=CPU)
    monkeypatch.setattr(module, "BATCH", 7)
    np.testing.assert_allclose(score_map(fitted, image, patch_size=16, stride=8, device=CPU), whole, rtol=1e-4)


def test_an_image_smaller_than_a_patch_is_refused(fitted: FeatureDictionary) -> None:
    with pytest.raises(ValueError, match="smaller than a patch of 16"):
        score_map(fitted, np.zeros((15, 40), np.float32), patch_size=16, stride=4, device=CPU)


def test_what_is_foreign_scores_higher(fitted: FeatureDictionary) -> None:
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:96, :96]
    image = 0.5 + 0.3 * np.sin(rows / 2) * np.cos(columns / 3) + rng.normal(0, 0.05, (96, 96))
    image[32:64, 32:64] = rng.random((32, 32))
    found = score_map(fitted, image.astype(np.float32), patch_size=16, stride=4, device=CPU)
    assert found[40:56, 40:56].min() > np.quantile(found[:, :16], 0.99)
