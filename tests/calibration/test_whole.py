"""Images that are unlike the good ones as a whole are told apart, in words; the good ones are not."""

import math
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from ssimae import bands
from ssimae.calibration.calibration import describe_place, fit_calibration
from ssimae.calibration.places import place_features
from ssimae.calibration.reference import RESIDUAL, Reference
from ssimae.calibration.whole import MEASURES, fit_limits, measure_image, median


def good_image(number: int) -> np.ndarray:
    rng = np.random.default_rng([9, number])
    grain = gaussian_filter(rng.normal(0, 1, (60, 70)), 1)
    return (0.5 + rng.uniform(-0.02, 0.02) + rng.uniform(0.08, 0.1) * grain / grain.std()).astype(np.float32)


IMAGES = [good_image(number) for number in range(12)]
SURFACES = [0.05 * math.sin(number) for number in range(12)]
LIMITS = fit_limits([measure_image(image) for image in IMAGES], SURFACES)


def test_good_images_are_like_themselves() -> None:
    for image, surface in zip(IMAGES, SURFACES, strict=True):
        assert LIMITS.unlike((*measure_image(image), surface)) == []


def test_another_good_image_is_like_them() -> None:
    for number in range(50, 60):
        assert LIMITS.unlike((*measure_image(good_image(number)), 0.0)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: image - 0.1, ["darker"]),
        (lambda image: image + 0.1, ["brighter"]),
        (lambda image: 0.5 + 0.5 * (image - 0.5), ["of less contrast"]),
        (lambda image: 0.5 + 2 * (image - 0.5), ["of more contrast"]),
        (lambda image: gaussian_filter(image, 2), ["of less contrast", "less sharp"]),
        (lambda image: np.random.default_rng(1).permutation(image.ravel()).reshape(image.shape), ["sharper"]),
    ],
)
def test_an_image_unlike_them_is_called_so(change, words: list[str]) -> None:
    image = change(good_image(50)).astype(np.float32)
    assert LIMITS.unlike((*measure_image(image), 0.0)) == words


def test_a_surface_is_unlike_only_where_it_is_worse() -> None:
    measures = measure_image(IMAGES[0])
    assert LIMITS.unlike((*measures, 1.0)) == ["of another surface"]
    assert LIMITS.unlike((*measures, -1.0)) == []


def test_what_is_ignored_is_not_measured() -> None:
    image, ignored = IMAGES[0].copy(), np.zeros((60, 70), bool)
    ignored[:, 40:] = True
    before = measure_image(image, ignored)
    image[:, 44:] = 1  # four pixels beside it are beyond the reach of the Gaussian
    assert measure_image(image, ignored) == pytest.approx(before, abs=1e-6)
    assert before[0] == pytest.approx(image[:, :40].mean(), rel=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_images_give_no_limits(count: int) -> None:
    limits = fit_limits([measure_image(image) for image in IMAGES[:count]], SURFACES[:count])
    assert set(limits.low) == {-math.inf}
    assert set(limits.high) == {math.inf}
    assert limits.unlike((9.0, 9.0, -9.0, 9.0)) == []


def test_limits_leave_half_the_range_on_either_side() -> None:
    limits = fit_limits([(0.2, -1.0, 3.0), (0.6, -1.4, 2.0), (0.4, -1.2, 3.0)], [0.0, 1.0])
    assert limits.low == pytest.approx((0.0, -1.6, 1.5, -math.inf))
    assert limits.high == pytest.approx((0.8, -0.8, 3.5, math.inf))


def test_good_images_that_measure_alike_leave_room_for_what_nobody_sees() -> None:
    limits = fit_limits([(0.4, -1.0, -2.0)] * 3, [0.0, 0.001, 0.002])
    assert limits.unlike((0.415, -1.09, -1.91, 0.2)) == []
    assert limits.unlike((0.425, -1.0, -2.0, 0.0)) == ["brighter"]
    assert limits.unlike((0.4, -1.0, -2.0, 0.3)) == ["of another surface"]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_image_is_measured(value: float) -> None:
    assert np.isfinite(measure_image(np.full((9, 1), value, np.float32))).all()


@cache
def reference() -> Reference:
    places = [
        describe_place(np.abs(image), place_features(image), region=(slice(None), slice(None)), ignored=None)
        for image in IMAGES[:3]
    ]
    return Reference({RESIDUAL: fit_calibration(places, surface=False, seed=0)}, LIMITS)


def test_a_reference_comes_back_from_its_arrays() -> None:
    tensors = reference().to_tensors()
    found = Reference.from_tensors(tensors)
    again = found.to_tensors()
    assert again.keys() == tensors.keys()
    assert all(np.array_equal(again[name], tensors[name]) for name in tensors)
    assert found.whole.high == pytest.approx(LIMITS.high, rel=1e-6)
    for name in tensors:
        if not name.endswith("position"):
            with pytest.raises(ValueError, match="calibration"):
                Reference.from_tensors({other: array for other, array in tensors.items() if other != name})


def test_limits_of_other_measures_are_refused() -> None:
    tensors = reference().to_tensors()
    for wrong in (np.zeros((2, len(MEASURES) + 1)), np.zeros(2), np.full((2, len(MEASURES)), np.nan)):
        with pytest.raises(ValueError, match="no limits of whole images"):
            Reference.from_tensors({**tensors, "calibration.whole": wrong.astype(np.float32)})


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (7, 9), (40, 31)])
@pytest.mark.parametrize("values", [3, 100_000])
def test_the_median_is_found_without_sorting(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], values: int
) -> None:
    monkeypatch.setattr(bands, "BAND", 100)
    rng = np.random.default_rng(values)
    for _ in range(10):
        map_ = (rng.integers(0, values, shape) / 1000).astype(np.float32)
        assert median(map_) == np.median(map_)
        ignored = rng.random(shape) < 0.5
        if not ignored.all():
            assert median(map_, ignored) == np.median(map_[~ignored])


def test_a_whole_image_measures_its_mean_contrast_and_sharpness(monkeypatch: pytest.MonkeyPatch) -> None:
    image = good_image(0)
    fine = image - gaussian_filter(image, 1)
    wanted = (image.mean(), np.log(image.std() + 1e-3), np.log((fine.std() + 1e-4) / (image.std() + 1e-3)))
    found = measure_image(image)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    monkeypatch.setattr(bands, "BAND", 700)
    assert measure_image(image) == found
