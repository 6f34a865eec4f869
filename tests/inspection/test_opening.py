"""Opening a map once opens its mask at every level; scaling and back keeps the size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ssimae import bands
from ssimae.config.settings import Settings
from ssimae.images.resize import restore_size, scale_image, scaled_shape
from ssimae.inspection.cleaning import clean, disk_footprint, open_map

# Bilinear weights sum to one within a few float32 roundings.
SCALE_ATOL = 1e-6

small_maps = arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 6))
diameters = st.sampled_from([2, 3, 4, 5])


def slow_opening(mask: np.ndarray, diameter: int) -> np.ndarray:
    """Return the union of all disks that lie inside a mask, wherever they fit into the image whole."""
    disk = disk_footprint(diameter)
    opened = np.zeros_like(mask)
    for row in range(mask.shape[0] - diameter + 1):
        for column in range(mask.shape[1] - diameter + 1):
            place = (slice(row, row + diameter), slice(column, column + diameter))
            if mask[place][disk].all():
                opened[place] |= disk
    return opened


@settings(max_examples=150, deadline=None)
@given(small_maps, diameters)
def test_opening_commutes_with_thresholding_at_every_level(residual: np.ndarray, diameter: int) -> None:
    opened = open_map(residual, diameter)
    for level in np.unique(residual):
        masks = open_map((residual >= level).astype(np.float32), diameter)
        np.testing.assert_array_equal(opened >= level, masks == 1)


@settings(max_examples=150, deadline=None)
@given(small_maps, diameters)
def test_opening_twice_is_opening_once_and_never_raises_a_pixel(residual: np.ndarray, diameter: int) -> None:
    opened = open_map(residual, diameter)
    assert opened.dtype == np.float32
    assert opened.shape == residual.shape
    assert (opened <= residual).all()
    assert np.isin(opened, residual).all()
    np.testing.assert_array_equal(open_map(opened, diameter), opened)


@pytest.mark.parametrize("diameter", [2, 3, 4, 5])
def test_opening_is_the_union_of_the_disks_inside(diameter: int) -> None:
    rng = np.random.default_rng(diameter)
    # A frame of zeros, so that no disk over the border counts.
    residual = np.pad(np.round(rng.random((17, 23)) ** 0.1, 2), diameter).astype(np.float32)
    opened = open_map(residual, diameter)
    levels = np.unique(residual)[1:]
    assert 0 < np.mean(opened[opened > 0] < residual[opened > 0]) < 1
    for level in levels:
        np.testing.assert_array_equal(opened >= level, slow_opening(residual >= level, diameter))


def test_disk_of_diameter_four_is_a_square_without_corners() -> None:
    np.testing.assert_array_equal(disk_footprint(4), [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]])


@pytest.mark.parametrize(("diameter", "pixels"), [(1, 1), (2, 4), (3, 9), (5, 21), (6, 32)])
def test_disks_are_symmetric_and_hold_the_centres_within_their_radius(diameter: int, pixels: int) -> None:
    disk = disk_footprint(diameter)
    assert (disk.shape, disk.sum()) == ((diameter, diameter), pixels)
    for same in (disk.T, disk[::-1], disk[:, ::-1]):
        np.testing.assert_array_equal(same, disk)


def test_what_holds_no_disk_vanishes_and_a_disk_stays() -> None:
    residual = np.zeros((20, 30), dtype=np.float32)
    residual[3:6, 2:12] = 1  # three rows
    residual[9:13, 20:24][disk_footprint(4)] = 0.5
    want = np.zeros_like(residual)
    want[9:13, 20:24][disk_footprint(4)] = 0.5
    np.testing.assert_array_equal(open_map(residual, 4), want)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 40), (9, 11)])
def test_a_constant_map_stays_as_it_is(shape: tuple[int, int]) -> None:
    residual = np.full(shape, 0.3, dtype=np.float32)
    np.testing.assert_array_equal(open_map(residual, 4), residual, strict=True)


@pytest.mark.parametrize("opening", [0, 1])
def test_without_smoothing_and_opening_a_residual_stays_as_it_is(opening: int) -> None:
    residual = np.random.default_rng(0).random((9, 14), dtype=np.float32)
    np.testing.assert_array_equal(clean(residual, Settings(opening=opening)), residual)
    np.testing.assert_array_equal(clean(residual, Settings(opening=4)), open_map(residual, 4))


def test_smoothing_keeps_a_constant_and_flattens_noise() -> None:
    smoothing = Settings(opening=0, residual_smoothing=2.0)
    constant = np.full((30, 30), 0.25, dtype=np.float32)
    np.testing.assert_allclose(clean(constant, smoothing), constant, rtol=0, atol=SCALE_ATOL)
    noise = np.random.default_rng(1).random((60, 60), dtype=np.float32)
    assert clean(noise, smoothing).std() < noise.std() / 4


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("factor", [0.5, 0.3, 1.7, 0.01])
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (64, 48), (31, 97)])
def test_scaling_and_back_keeps_size_type_and_constants(
    size: tuple[int, int], factor: float, channels: int | None
) -> None:
    shape = size if channels is None else (*size, channels)
    image = np.full(shape, 0.6, dtype=np.float32)
    scaled = scale_image(image, factor)
    assert scaled.shape[:2] == scaled_shape(image, factor) == tuple(max(1, round(side * factor)) for side in size)
    back = restore_size(scaled, *size)
    for result in (scaled, back):
        assert result.dtype == np.float32
        assert result.flags.c_contiguous
        np.testing.assert_allclose(result, 0.6, rtol=0, atol=SCALE_ATOL)
    assert back.shape == shape


def test_halving_a_smooth_image_and_enlarging_it_gives_it_back() -> None:
    rows, columns = np.indices((64, 80)) / 64
    image = np.stack([rows, columns, rows + columns], axis=2).astype(np.float32)
    back = restore_size(scale_image(image, 0.5), 64, 80)
    # A plane is met exactly but at the border, where samples half a pixel outside are missing.
    np.testing.assert_allclose(back[4:-4, 4:-4], image[4:-4, 4:-4], rtol=0, atol=SCALE_ATOL)


def test_a_factor_of_one_and_the_own_size_are_the_image_itself() -> None:
    image = np.zeros((5, 6), dtype=np.float32)
    assert scale_image(image, 1.0) is image
    assert restore_size(image, 5, 6) is image


def test_scaling_does_not_depend_on_the_memory_layout() -> None:
    image = np.random.default_rng(2).random((20, 31), dtype=np.float32)
    np.testing.assert_array_equal(scale_image(image[::-1], 0.5), scale_image(image[::-1].copy(), 0.5))


def test_all_four_borders_are_opened_alike() -> None:
    rng = np.random.default_rng(4)
    residual = rng.random((17, 23), dtype=np.float32)
    opened = open_map(residual, 4)
    assert np.array_equal(open_map(residual[::-1].copy(), 4)[::-1], opened)
    assert np.array_equal(open_map(residual[:, ::-1].copy(), 4)[:, ::-1], opened)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("shape", [(33, 7), (5, 129), (70, 300), (70, 40, 3)])
def test_a_map_is_enlarged_band_by_band_as_the_whole(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], factor: int
) -> None:
    map_ = np.random.default_rng(0).random(shape, np.float32)
    planes = torch.from_numpy(map_).reshape(*shape[:2], -1).permute(2, 0, 1)[None]
    whole = torch.nn.functional.interpolate(planes, size=(factor * shape[0], factor * shape[1]), mode="bilinear")
    at_once = restore_size(map_, factor * shape[0], factor * shape[1])
    monkeypatch.setattr(bands, "BAND", 5 * factor * factor * shape[1])
    found = restore_size(map_, factor * shape[0], factor * shape[1])
    np.testing.assert_array_equal(found, at_once)
    # Torch fuses products and sums or not, as the layout of the memory has it.
    np.testing.assert_allclose(found, whole[0].permute(1, 2, 0).reshape(found.shape).numpy(), rtol=3e-7)
