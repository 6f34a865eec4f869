"""What channels show together is measured by what good images show of them, and joined with their mean residual."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from ssimae.calibration.colour import ColourDistance, fit_colour
from ssimae.calibration.places import place_features
from ssimae.calibration.reference import COLOUR, HEAD, PLANES, RESIDUAL, Reference
from ssimae.config.settings import Settings
from ssimae.inspection.residual import raw_residual
from support.inspectors import made_up_inspector
from support.models import noisy

SETTINGS = {"patch_size": 32, "latent_dim": 4, "stride": 24, "channels": 3, "precision": "float32"}


def residuals(rng: np.random.Generator, n: int = 4000) -> np.ndarray:
    """Return residuals whose channels rise and fall together, the third one noisy."""
    common = rng.normal(-2, 0.5, (n, 1))
    own = rng.normal(0, (0.05, 0.05, 0.4), (n, 3))
    return np.exp(common + own).astype(np.float32)


def test_the_distance_is_that_of_mahalanobis_between_logarithms() -> None:
    rng = np.random.default_rng(0)
    good, others = residuals(rng), residuals(rng, 30) * rng.uniform(0.3, 3, (30, 3)).astype(np.float32)
    logs, wanted = (np.log(values + 0.02 * good.mean(axis=0)) for values in (good, others))
    inverse = np.linalg.inv(np.cov(logs.T, bias=True) + 1e-4 * np.eye(3))
    distances = [mahalanobis(each, logs.mean(axis=0), inverse) for each in wanted]
    found = fit_colour([good[:1000], good[1000:]])(others.reshape(5, 6, 3))
    np.testing.assert_allclose(found.ravel(), distances, rtol=1e-3)


def test_a_change_of_one_channel_is_farther_from_good_ones_than_a_larger_one_of_all() -> None:
    """The channels of good images rise and fall together; the mean residual would say the contrary."""
    distance = fit_colour([residuals(np.random.default_rng(1))])
    usual = np.exp(np.full((1, 1, 3), -2, np.float32))
    one, all_of_them = usual * np.array([1.6, 1, 1], np.float32), usual * np.float32(1.6)
    assert distance(one) > 2 * distance(all_of_them)
    assert distance(usual * np.array([1, 1, 1.6], np.float32)) < distance(one) / 2  # noisy, so that it says less


def test_numbers_come_back_from_their_array_and_others_are_refused() -> None:
    distance = fit_colour([residuals(np.random.default_rng(2))])
    tensor = distance.to_tensor()
    assert tensor.flags.c_contiguous  # safetensors takes no other
    for name, value in vars(ColourDistance.from_tensor(tensor)).items():
        np.testing.assert_array_equal(value, getattr(distance, name))
    with pytest.raises(ValueError, match="without positive offsets"):
        ColourDistance.from_tensor(-tensor)
    for damaged in (tensor[:2], tensor.ravel(), tensor * np.float32(np.nan)):
        with pytest.raises(ValueError, match="channels without offset"):
            ColourDistance.from_tensor(damaged)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"residual_flips": True, "scale": 0.5},
        {"residual_average": True},
        {"loss": "l2"},
        {"loss": "vae", "latent_samples": 2},
    ],
)
def test_the_residual_is_the_mean_of_the_channels_and_keeps_every_bit(changes: dict[str, object]) -> None:
    settings = Settings(**SETTINGS, **changes)
    engine = made_up_inspector(settings, (90, 101)).engine
    image = noisy((90, 101), 3).astype(np.float32) / 255
    rebuilt, alone, nothing = raw_residual(engine, image, settings)
    again, residual, planes = raw_residual(engine, image, settings, by_channel=True)
    assert nothing is None
    assert planes is not None
    np.testing.assert_array_equal(residual, alone)
    np.testing.assert_array_equal(again, rebuilt)
    if settings.residual_flips:  # the lowest of means is no mean of the lowest
        assert planes.shape == (45, 50, 3)
    else:
        np.testing.assert_allclose(planes.mean(axis=2), residual, rtol=1e-5)
        for channel in range(3):
            assert np.abs(planes[:, :, channel] - residual).max() > 1e-4 * residual.max()


def test_a_model_of_one_calibration_inspects_colour_by_the_mean_alone() -> None:
    """As those of earlier versions do: their thresholds rest on it."""
    inspector = made_up_inspector(Settings(**SETTINGS, calibration="surface"), (64, 70))
    assert inspector.reference is not None
    channels = {name: part for name, part in inspector.reference.channels.items() if name != COLOUR}
    tensors = Reference(channels, inspector.reference.whole).to_tensors()
    assert not any(name.startswith(("calibration.colour", "calibration.channels")) for name in tensors)
    before = dataclasses.replace(inspector, reference=Reference.from_tensors(tensors))
    image = noisy((64, 70), 3).astype(np.float32) / 255
    rebuilt, maps = before.channels(image)
    assert before.reference is not None
    assert PLANES not in maps
    assert rebuilt is not None
    logs = [
        weight * channels[name].log_ratio(maps[name], place_features(rebuilt))
        for name, weight in before.reference.weights(maps, before.settings).items()
    ]
    joined, _ = before.judged(image, maps, place_features(rebuilt), None)
    factor = np.exp(np.float32(sum(logs))) / joined  # the whole surface may be unlike the good ones
    np.testing.assert_allclose(factor, factor[0, 0], rtol=1e-4)
    np.testing.assert_array_equal(before.inspect(image).residual, inspector.inspect(image).residual)
    assert not np.allclose(before.inspect(image).judged, inspector.inspect(image).judged, rtol=0.01)


def test_half_a_calibration_in_colour_is_refused() -> None:
    inspector = made_up_inspector(Settings(**SETTINGS, calibration="surface"), (64, 70))
    assert inspector.reference is not None
    tensors = inspector.reference.to_tensors()
    assert set(Reference.from_tensors(tensors).weights([RESIDUAL, HEAD], Settings())) == {RESIDUAL, HEAD, COLOUR}
    for dropped in ("calibration.channels", "calibration.colour."):
        left = {name: array for name, array in tensors.items() if not name.startswith(dropped)}
        with pytest.raises(ValueError, match="calibration"):
            Reference.from_tensors(left)
