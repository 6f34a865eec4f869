"""The distance is Mahalanobis's from what a head sees on good surfaces, where these are neither ignored nor cut off."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from ssimae.calibration.reference import DISTANCE, HEAD, RESIDUAL, Reference
from ssimae.calibration.whole import fit_limits
from ssimae.config.settings import Settings
from ssimae.engines.pytorch import TorchRebuilder, torch_engine
from ssimae.inspection.head import head_maps
from ssimae.inspection.residual import raw_residual
from ssimae.models.build import new_autoencoder
from ssimae.models.head import Head
from ssimae.training.head import distance as module
from ssimae.training.head.distance import with_distance

CPU = torch.device("cpu")
SETTINGS = Settings(patch_size=32, latent_dim=4, stride=32)
MODEL = new_autoencoder(SETTINGS, seed=1).eval()
HEAD_ALONE = Head(seed=2).eval()


def noisy(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def knowing(parts: list[NDArray[np.float32]], ignored: list[NDArray[np.bool_] | None] | None = None) -> Head:
    return with_distance(HEAD_ALONE, MODEL, parts, SETTINGS, ignored=ignored, device=CPU, precision="float32")


def seen(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features of an image, a row for each square."""
    engine = torch_engine(MODEL, SETTINGS, head=HEAD_ALONE, device=CPU, precision="float32")
    assert isinstance(engine, TorchRebuilder)
    rebuilt, residual, _ = raw_residual(engine, image, SETTINGS)
    assert rebuilt is not None
    return engine.features(image, rebuilt, residual)


def test_it_is_the_distance_by_the_covariance_of_all_squares() -> None:
    parts = [noisy(96, 128), noisy(64, 160, seed=1)]
    head = knowing(parts)
    rows = np.concatenate([seen(part).reshape(-1, 48) for part in parts]).astype(np.float64)
    covariance = np.cov(rows.T, bias=True)
    covariance += 0.01 * np.trace(covariance) / 48 * np.eye(48)
    engine = torch_engine(MODEL, SETTINGS, head=head, device=CPU, precision="float32")
    image = noisy(40, 48, seed=3)
    rebuilt, residual, _ = raw_residual(engine, image, SETTINGS)
    assert rebuilt is not None
    maps = head_maps(engine, image, rebuilt, residual, SETTINGS)
    differences = seen(image).reshape(-1, 48) - rows.mean(axis=0)
    squares = np.einsum("ni,ij,nj->n", differences, np.linalg.inv(covariance), differences) / 48
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(np.sqrt(squares).reshape(1, 1, 10, 12)), scale_factor=4, mode="bilinear"
    )
    np.testing.assert_allclose(maps[DISTANCE], wanted[0, 0], rtol=2e-3)
    alone = torch_engine(MODEL, SETTINGS, head=HEAD_ALONE, device=CPU, precision="float32")
    assert np.array_equal(head_maps(alone, image, rebuilt, residual, SETTINGS)[HEAD], maps[HEAD])


def test_what_is_ignored_is_not_learned() -> None:
    image = noisy(160, 160)
    ignored = np.zeros(image.shape, bool)
    ignored[:, 80:] = True
    rows = seen(image)[:, :20].reshape(-1, 48).astype(np.float64)
    whiten = knowing([image], [ignored]).whiten
    assert whiten is not None
    mean = torch.linalg.solve(whiten.weight[:, :, 0, 0], -whiten.bias)
    np.testing.assert_allclose(mean.detach(), rows.mean(axis=0), rtol=1e-3, atol=1e-4)


def test_of_too_little_nothing_is_learned() -> None:
    assert knowing([noisy(64, 100)]).whiten is None


def test_windows_of_large_images_count_without_their_own_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SIDE", 128)
    monkeypatch.setattr(module, "_PIXELS", 60_000)
    cut = list(module._windows([(300, 100), (90, 80)], SETTINGS))
    assert {number for number, _ in cut[:2]} == {0, 1}
    assert [number for number, _ in cut[2:]] == [0] * (len(cut) - 2)
    assert len(cut) == 6
    counted = module._counted((300, 100), (slice(40, 168), slice(0, 100)), None)
    assert counted.shape == (32, 25)
    assert counted[8:24].all()
    assert counted.sum() == 16 * 25


def test_the_weights_are_together_1_and_those_of_what_is_there() -> None:
    weights = Reference({}, fit_limits([(0.0, 0.0, 0.0)], [0.0])).weights
    settings = dataclasses.replace(SETTINGS, head_weight=0.8, distance_weight=0.25)
    assert weights([RESIDUAL], settings) == {RESIDUAL: 1.0}
    assert weights([RESIDUAL, HEAD], settings) == pytest.approx({RESIDUAL: 0.2, HEAD: 0.8})
    every = weights([RESIDUAL, HEAD, DISTANCE], settings)
    assert every == pytest.approx({RESIDUAL: 0.2, HEAD: 0.6, DISTANCE: 0.2})
    assert weights([RESIDUAL, HEAD, DISTANCE], dataclasses.replace(settings, head_weight=0)) == {RESIDUAL: 1.0}
