"""No part is calibrated by itself, and how many were held out decides what may be compared."""

import dataclasses

import numpy as np
import pytest
from ssimae.calibration import expectation
from ssimae.calibration.places import place_features
from ssimae.calibration.reference import RESIDUAL
from ssimae.config.settings import Settings
from ssimae.inspection.holdout import GoodImages, arrange_good
from ssimae.tuning.folds import calibrated_maps, fit_channels, fit_folds, forms_to_compare
from ssimae.tuning.parts import FOLDS, Part, fewer_parts, held_out_regions, planted_numbers

SETTINGS = Settings(opening=0)
WHOLE = (slice(None), slice(None))


@pytest.fixture(autouse=True)
def _quick_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectation, "_STEPS", 50)


def part(number: int, size: tuple[int, int] = (40, 48)) -> Part:
    rng = np.random.default_rng([3, number])
    features = place_features(rng.random(size, dtype=np.float32))
    return Part({RESIDUAL: rng.random(size, dtype=np.float32)}, features, WHOLE, None, number % FOLDS)


PARTS = [part(number) for number in range(7)]


@pytest.mark.parametrize("form", ["border", "surface", "position", "both"])
def test_what_a_part_shows_changes_the_calibration_of_the_other_folds_alone(form: str) -> None:
    changed = list(PARTS)
    changed[4] = dataclasses.replace(PARTS[4], channels={RESIDUAL: 3 * PARTS[4].channels[RESIDUAL][::-1]})
    before, after = (
        calibrated_maps(PARTS, fit_folds(parts, [form], seed=0)[form], SETTINGS) for parts in (PARTS, changed)
    )
    same = [np.array_equal(*pair) for pair in zip(before, after, strict=True)]
    assert same == [one.fold == PARTS[4].fold for one in PARTS]


def test_what_forms_share_is_fitted_once_and_as_alone() -> None:
    together = fit_channels(PARTS, ["border", "surface", "position", "both"], seed=0)
    for form, channels in together.items():
        tensors = channels[RESIDUAL].to_tensors()
        alone = fit_channels(PARTS, [form], seed=0)[form][RESIDUAL].to_tensors()
        assert alone.keys() == tensors.keys()
        assert all(np.array_equal(alone[name], tensors[name]) for name in tensors)
        assert ("position" in tensors) == (form in ("position", "both"))


@pytest.mark.parametrize(
    ("count", "whole", "one_size", "forms"),
    [
        (4, True, True, ["border"]),
        (7, True, True, ["border"]),
        (8, True, True, ["position"]),
        (8, True, False, ["border"]),
        (11, True, True, ["position"]),
        (12, True, True, ["position", "both"]),
        (12, True, False, ["surface"]),
        (15, False, True, ["border"]),
        (16, False, True, ["border", "position"]),
        (16, False, False, ["border"]),
    ],
)
def test_forms_follow_from_the_number_of_held_out_images(
    count: int, whole: bool, one_size: bool, forms: list[str]
) -> None:
    parts = [part(number, (40, 48) if one_size or number else (40, 52)) for number in range(count)]
    assert forms_to_compare(parts, whole=whole) == forms


def good_images(count: int, **changes: object) -> GoodImages:
    settings = Settings(patch_size=32, stride=8, **changes)
    return arrange_good([np.zeros((80, 100), np.float32)] * count, [None] * count, settings)


@pytest.mark.parametrize(
    ("count", "pixels", "left"), [(100, 10**9, 20), (100, 12 * 8000, 12), (100, 10, 3), (4, 10**9, 4), (4, 10, 3)]
)
def test_fewer_parts_are_taken_evenly_and_fit(count: int, pixels: int, left: int) -> None:
    good = good_images(count)
    fewer = fewer_parts(good, pixels)
    assert len(fewer.split.held_out) == left
    numbers = [good.split.held_out.index(one) for one in fewer.split.held_out]
    assert numbers == [number * len(good.split.held_out) // left for number in range(left)]
    assert fewer.split.kept == good.split.kept
    assert fewer.images == good.images
    if left == len(good.split.held_out):
        assert fewer is good


def test_nothing_held_out_stays_so() -> None:
    good = dataclasses.replace(good_images(4), split=dataclasses.replace(good_images(4).split, held_out=()))
    assert fewer_parts(good, 10) is good


@pytest.mark.parametrize(
    ("count", "pixels", "numbers"),
    [
        (4, 6 * 8000, [0, 1, 2, 3, 0, 1]),
        (4, 10, [0, 1, 2]),
        (100, 5 * 8000, [0, 4, 8, 12, 16]),
        (100, 10**9, [*range(20), 0, 1, 2, 3]),
    ],
)
def test_planted_images_are_made_of_all_parts_in_turn(count: int, pixels: int, numbers: list[int]) -> None:
    assert planted_numbers(good_images(count), pixels) == numbers


def test_regions_are_told_at_the_size_of_the_image() -> None:
    good = good_images(3, scale=0.8)
    # Of 64 x 80 pixels a band as wide as a patch is held out; at the image's size it is 40 of 100.
    assert good.split.held_out[0] == (0, (slice(None), slice(48, None)))
    assert held_out_regions(good, 0.8) == [(index, (slice(None), slice(60, None))) for index in range(3)]
