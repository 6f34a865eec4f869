"""A calibrated map is flat where good images are uneven, a defect keeps its height, and ignored pixels have no say."""

import dataclasses
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from ssimae.calibration import expectation
from ssimae.calibration.calibration import (
    Calibration,
    Place,
    describe_place,
    fit_calibration,
    shares_geometry,
    with_position,
)
from ssimae.calibration.places import CELL, N_BORDER, cell_means, from_cells, place_features

WHOLE = (slice(None), slice(None))
SIZE = (72, 96)
TIMES = 5.0
"""How many times as high the residual is at the special place."""

SPREAD_FALLS = {"border": 2.0, "surface": 2.0, "position": 1.5}
"""By what factor the spread of the logarithm falls at least; what a position shows is blurred by 8 pixels or more."""

FLAT = 0.1
"""Largest mean of a log ratio, over a special place, of what is flat; log(5) is 1.6."""

ROUNDING = 1e-4
"""Of a log ratio: float32 values of order one, and of weights that a fit of 1,500 steps reached from them."""


def border(image: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(image.shape)
    return np.minimum.reduce([rows, columns, image.shape[0] - 1 - rows, image.shape[1] - 1 - columns]) < 8


def dark(image: np.ndarray) -> np.ndarray:
    return gaussian_filter(image, 2) < 0.45


def corner(image: np.ndarray) -> np.ndarray:
    """A place that neither the border nor the surface tells."""
    found = np.zeros(image.shape, bool)
    found[24:44, 20:44] = True
    return found


SPECIAL = {"border": border, "surface": dark, "position": corner}


def good_image(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Half of it dark, where differs from image to image."""
    rng = np.random.default_rng([5, number])
    rows, columns = np.indices(size) / np.array(size)[:, None, None]
    angle = rng.uniform(0, 2 * np.pi)
    light = (columns - 0.5) * np.cos(angle) + (rows - 0.5) * np.sin(angle) > 0
    return (0.3 + 0.4 * light + rng.normal(0, 0.02, size)).astype(np.float32)


def good_map(kind: str, number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A residual of mean .02, and more at the special places."""
    image = good_image(number, size)
    rng = np.random.default_rng([6, number])
    values = 0.02 * np.exp(rng.normal(0, 0.1, size))
    return (values * np.where(SPECIAL[kind](image), TIMES, 1.0)).astype(np.float32)


def place_of(kind: str, number: int, size: tuple[int, int] = SIZE, times: float = 1.0) -> Place:
    features = place_features(good_image(number, size))
    values = np.float32(times) * good_map(kind, number, size)
    return describe_place(values, features, region=WHOLE, ignored=None)


@cache
def fitted(kind: str, count: int = 8, times: float = 1.0) -> Calibration:
    places = [place_of(kind, number, times=times) for number in range(count)]
    calibration = fit_calibration(places, surface=kind == "surface", seed=0)
    return with_position(calibration, places) if kind == "position" else calibration


def log_ratio(calibration: Calibration, place: Place, values: np.ndarray | None = None) -> np.ndarray:
    return calibration.log_ratio(place.values if values is None else values, place.features)


@pytest.fixture
def _rough_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not asked how good a fit is."""
    monkeypatch.setattr(expectation, "_STEPS", 50)


@pytest.mark.parametrize("kind", SPECIAL)
def test_the_map_of_another_good_image_is_flat(kind: str) -> None:
    fresh = place_of(kind, 100)
    special = SPECIAL[kind](good_image(100))
    away = gaussian_filter(special.astype(float), 3)
    inside, outside = away > 0.98, away < 0.02  # cells that lie across the edge are between the two
    before, after = np.log(fresh.values), log_ratio(fitted(kind), fresh)
    # What a position shows is drawn towards nothing: of 8 images a ninth of log(5) stays.
    remainder = np.log(TIMES) / 9 if kind == "position" else 0.0
    assert before[inside].mean() - before[outside].mean() == pytest.approx(np.log(TIMES), abs=0.05)
    assert after[inside].mean() == pytest.approx(remainder, abs=FLAT + (0.1 if kind == "position" else 0))
    assert after[outside].mean() == pytest.approx(0, abs=FLAT)
    assert after.std() < before.std() / SPREAD_FALLS[kind]


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_spot_of_so_many_times_the_usual_has_that_value(kind: str) -> None:
    fresh = place_of(kind, 100)
    calibration = fitted(kind)
    spotted = fresh.values.copy()
    spotted[30:38, 28:36] *= 4
    added = log_ratio(calibration, fresh, spotted) - log_ratio(calibration, fresh)
    # The offset, a fiftieth of the mean of good residuals, is not multiplied.
    np.testing.assert_allclose(np.exp(added[30:38, 28:36]), 4, rtol=0.15)
    added[30:38, 28:36] = 0
    assert not added.any()


@pytest.mark.usefixtures("_rough_fits")  # many steps make a percent of the last bit of a logarithm
@pytest.mark.parametrize("kind", SPECIAL)
def test_twice_the_residual_everywhere_changes_nothing(kind: str) -> None:
    fresh = place_of(kind, 100)
    once, twice = (fitted.__wrapped__(kind, times=times) for times in (1.0, 2.0))
    assert twice.offset == pytest.approx(2 * once.offset, rel=1e-6)
    np.testing.assert_allclose(log_ratio(once, fresh), log_ratio(twice, fresh, 2 * fresh.values), rtol=0, atol=ROUNDING)


@pytest.mark.usefixtures("_rough_fits")
def test_a_fit_follows_from_its_seed() -> None:
    places = [place_of("surface", number) for number in range(3)]
    one, two, other = (fit_calibration(places, surface=True, seed=seed).to_tensors() for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["weight0"], other["weight0"])


def test_a_position_of_another_size_is_left_out() -> None:
    calibration = fitted("position")
    plain = dataclasses.replace(calibration, position=None)
    same, other = place_of("position", 100), place_of("border", 100, (72, 100))
    assert not np.array_equal(log_ratio(calibration, same), log_ratio(plain, same))
    np.testing.assert_array_equal(log_ratio(calibration, other), log_ratio(plain, other))


@pytest.mark.usefixtures("_rough_fits")
@pytest.mark.parametrize("kind", ["surface", "position"])
def test_what_is_ignored_or_was_trained_on_has_no_say(kind: str) -> None:
    """Also where mask and region cut through cells."""
    ignored = np.zeros(SIZE, bool)
    ignored[13:35, 40:61] = True
    region = (slice(None), slice(18, None))
    outside = ignored.copy()
    outside[:, :18] = True

    def calibrated(under: float) -> Calibration:
        places = []
        for number in range(4):
            values = good_map("surface", number)
            values[outside] = under
            features = place_features(good_image(number), ignored)
            places.append(describe_place(values, features, region=region, ignored=ignored))
        calibration = fit_calibration(places, surface=True, seed=0)
        return with_position(calibration, places) if kind == "position" else calibration

    one, two = calibrated(0.0), calibrated(100.0)
    fresh = place_of("surface", 100)
    np.testing.assert_array_equal(log_ratio(one, fresh), log_ratio(two, fresh))


@pytest.mark.parametrize("count", [1, 3, 40])
def test_few_images_and_many_give_a_finite_calibration(count: int) -> None:
    size = (30, 41)
    places = [place_of("border", number, size) for number in range(count)]
    calibration = with_position(fit_calibration(places, surface=True, seed=0), places)
    after = log_ratio(calibration, place_of("border", 100, size))
    assert np.isfinite(after).all()
    assert abs(after.mean()) < 0.3  # of a border that is log(5) higher


@pytest.mark.parametrize("size", [(1, 37), (37, 1), (3, 5), (4, 4), (13, 30)])
def test_images_of_any_size_are_calibrated(size: tuple[int, int]) -> None:
    calibration = fitted("surface")
    rng = np.random.default_rng(0)
    image, values = rng.random(size, dtype=np.float32), rng.random(size, dtype=np.float32)
    calibrated = np.exp(calibration.log_ratio(values, place_features(image)))
    assert calibrated.shape == size
    assert calibrated.dtype == np.float32
    assert np.isfinite(calibrated).all()
    assert (calibrated > 0).all()


def test_values_of_0_are_calibrated() -> None:
    calibrated = np.exp(fitted("border").log_ratio(np.zeros(SIZE, np.float32), place_features(good_image(0))))
    assert (calibrated > 0).all()
    assert calibrated.max() < 0.1


def test_positions_are_compared_in_three_images_or_more_of_one_size() -> None:
    places = [place_of("border", number) for number in range(3)]
    assert shares_geometry(places)
    assert not shares_geometry(places[:2])
    assert not shares_geometry([*places, place_of("border", 3, (72, 100))])


def test_images_of_which_nothing_is_inspected_are_refused() -> None:
    place = dataclasses.replace(place_of("border", 0), inspected=np.zeros((18, 24), bool))
    with pytest.raises(ValueError, match="no square of 4 x 4 pixels"):
        fit_calibration([place, place], surface=True, seed=0)


@pytest.mark.parametrize("kind", SPECIAL)
def test_arrays_come_back_exactly(kind: str) -> None:
    calibration = fitted(kind)
    tensors = {name: array.copy() for name, array in calibration.to_tensors().items()}
    assert all(array.dtype == np.float32 for array in tensors.values())
    found = Calibration.from_tensors(tensors)
    assert found.expectation.n_features == (12 if kind == "surface" else N_BORDER)
    assert (found.position is not None) == (kind == "position")
    assert found.offset == pytest.approx(calibration.offset, rel=1e-7)
    again = found.to_tensors()
    assert again.keys() == tensors.keys()
    assert all(np.array_equal(again[name], tensors[name]) for name in tensors)
    fresh = place_of(kind, 100)
    np.testing.assert_array_equal(log_ratio(found, fresh), log_ratio(Calibration.from_tensors(again), fresh))


@pytest.mark.parametrize("name", ["offset", "mean", "spread", "weight0", "weight2", "bias1"])
def test_missing_arrays_are_refused(name: str) -> None:
    tensors = fitted("position").to_tensors()
    with pytest.raises(ValueError, match="calibration"):
        Calibration.from_tensors({other: array for other, array in tensors.items() if other != name})


@pytest.mark.parametrize("name", ["offset", "mean", "spread", "weight0", "weight1", "bias0", "bias2", "position"])
@pytest.mark.parametrize("damage", ["one axis more", "nan", "infinite"])
def test_damaged_arrays_are_refused(name: str, damage: str) -> None:
    tensors = dict(fitted("position").to_tensors())
    array = tensors[name].copy()
    if damage == "one axis more":
        array = array[..., None]
    else:
        array.ravel()[-1] = np.nan if damage == "nan" else np.inf
    with pytest.raises(ValueError, match="calibration"):
        Calibration.from_tensors({**tensors, name: array})


@pytest.mark.parametrize(("name", "value"), [("offset", 0), ("offset", -1), ("spread", 0), ("spread", -1)])
def test_numbers_that_are_not_positive_are_refused(name: str, value: float) -> None:
    tensors = fitted("position").to_tensors()
    with pytest.raises(ValueError, match="positive"):
        Calibration.from_tensors({**tensors, name: np.full_like(tensors[name], value)})


def test_arrays_of_another_network_are_refused() -> None:
    tensors = fitted("position").to_tensors()
    for name in ("weight0", "weight1", "bias1", "mean"):
        with pytest.raises(ValueError, match="calibration"):
            Calibration.from_tensors({**tensors, name: tensors[name][:-1]})


def test_an_expectation_is_a_small_network() -> None:
    """Against its layers, written out."""
    network = fitted("surface").expectation
    features = place_features(good_image(7))
    values = np.clip((features.astype(np.float64) - network.mean) / network.spread, -4, 4)
    for weight, bias in zip(network.weights[:2], network.biases[:2], strict=True):
        values = np.maximum(np.einsum("rcf,fg->rcg", values, weight) + bias, 0)
    want = values @ network.weights[2] + network.biases[2]
    np.testing.assert_allclose(network(features), want[..., 0], rtol=0, atol=ROUNDING)
    # Far beyond what was seen, nothing changes any more.
    far, farther = (network(np.full((1, 12), value, np.float32)) for value in (1e3, 1e6))
    assert far == farther


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 4), (10, 13)])
def test_cells_are_means_of_squares_and_a_constant_comes_back(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    cells = cell_means(values)
    assert cells.shape == tuple(-(-side // CELL) for side in shape)
    if min(shape) >= CELL:
        assert cells[0, 0] == pytest.approx(values[:CELL, :CELL].mean(), rel=1e-6)
    threes = from_cells(np.full_like(cells, 3), slice(0, shape[0]), shape[1])
    np.testing.assert_allclose(threes, np.full(shape, 3), rtol=1e-6)
