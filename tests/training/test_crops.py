"""Training batches follow from the seed and the step alone, and every position is equally likely."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from ssimae.config.settings import Settings
from ssimae.images.depth import Pixels, view
from ssimae.training.crops import CropSampler
from ssimae.training.schedule import learning_rate

SIDE = 32
SHAPES = [(32, 34), (33, 33), (40, 36)]


def numbered_images() -> list[np.ndarray]:
    """Return images of which every pixel has a value of its own, exact in float32."""
    images, start = [], 0
    for shape in SHAPES:
        images.append(np.arange(start, start + np.prod(shape), dtype=np.float32).reshape(shape))
        start += images[-1].size
    return images


def few(**changes: object) -> Settings:
    return Settings(**{"patch_size": SIDE, "stride": 8, "patches": 10, "batch_size": 4, **changes})


def origins_of(batch: torch.Tensor) -> list[float]:
    """Return the first pixel of each crop, which names image and place."""
    return batch[:, 0, 0, 0].tolist()


def epoch_of(sampler: CropSampler, epoch: int) -> list[float]:
    steps = range(epoch * sampler.steps_per_epoch, (epoch + 1) * sampler.steps_per_epoch)
    return [origin for step in steps for origin in origins_of(sampler.batch(step))]


@pytest.mark.parametrize("crops", ["pool", "fresh"])
def test_a_batch_depends_on_seed_and_step_alone(crops: str) -> None:
    images, settings = numbered_images(), few(crops=crops, seed=3)
    sampler = CropSampler(images, settings)
    in_order = [sampler.batch(step).clone() for step in range(12)]
    other = CropSampler(images, settings)
    for step in [11, 0, 5, 5, 2, 10, 1, 3, 9, 4, 8, 7, 6]:
        assert torch.equal(other.batch(step), in_order[step])
    reseeded = CropSampler(images, few(crops=crops, seed=4))
    assert epoch_of(reseeded, 0) != [origin for batch in in_order[:3] for origin in origins_of(batch)]


def test_a_pool_is_reshuffled_each_epoch() -> None:
    sampler = CropSampler(numbered_images(), few(crops="pool", patches=40))
    first, second, third = (epoch_of(sampler, epoch) for epoch in range(3))
    assert sorted(first) == sorted(second) == sorted(third)
    assert first != second != third != first


def test_fresh_crops_are_others_each_epoch() -> None:
    sampler = CropSampler(numbered_images(), few(crops="fresh", patches=40))
    assert sorted(epoch_of(sampler, 0)) != sorted(epoch_of(sampler, 1))


@pytest.mark.parametrize(("patches", "batch_size", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 4, [3])])
def test_the_last_short_batch_is_kept(patches: int, batch_size: int, sizes: list[int]) -> None:
    sampler = CropSampler(numbered_images(), few(patches=patches, batch_size=batch_size))
    assert sampler.steps_per_epoch == len(sizes)
    seen = 0
    for step in range(3 * len(sizes)):
        assert sampler.patches_seen(step) == seen
        batch = sampler.batch(step)
        assert batch.shape == (sizes[step % len(sizes)], 1, SIDE, SIDE)
        assert batch.dtype == torch.float32
        seen += len(batch)
    assert sampler.patches_seen(3 * len(sizes)) == seen == 3 * patches


@pytest.mark.parametrize("channels", [1, 3])
def test_crops_are_slices_of_the_images(channels: int) -> None:
    images = numbered_images()
    owners = np.concatenate([np.full(image.size, index) for index, image in enumerate(images)])
    if channels == 3:
        given_images = [np.stack([image, -image, image + 0.5], axis=2) for image in images]
    else:
        given_images = [np.asfortranarray(image) for image in images]
    sampler = CropSampler(given_images, few(channels=channels, patches=60, batch_size=16))
    for step in range(4):
        for crop in sampler.batch(step).numpy():
            image = images[owners[int(crop[0, 0, 0])]]
            row, column = divmod(int(crop[0, 0, 0] - image[0, 0]), image.shape[1])
            want = image[row : row + SIDE, column : column + SIDE]
            np.testing.assert_array_equal(crop[0], want)
            if channels == 3:
                np.testing.assert_array_equal(crop[1:], [-want, want + 0.5])


@pytest.mark.parametrize("crops", ["pool", "fresh"])
def test_every_position_of_every_image_is_equally_likely(crops: str) -> None:
    images = numbered_images()
    sampler = CropSampler(images, few(crops=crops, patches=5200, batch_size=650, seed=1))
    places = {
        float(image[row, column]): 0
        for image in images
        for row in range(image.shape[0] - SIDE + 1)
        for column in range(image.shape[1] - SIDE + 1)
    }
    assert len(places) == 3 + 4 + 45
    for origin in epoch_of(sampler, 0):
        places[origin] += 1
    counts = np.array(list(places.values()))
    expected = 5200 / len(places)
    # With the seed fixed this is one draw; of fair ones, all but one in a thousand lie below.
    assert np.sum((counts - expected) ** 2 / expected) < chi2.ppf(0.999, len(places) - 1)


def test_an_image_of_one_patch_gives_that_patch() -> None:
    image = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    batch = CropSampler([image], few()).batch(0)
    np.testing.assert_array_equal(batch, np.broadcast_to(image, (4, 1, SIDE, SIDE)))


@pytest.mark.parametrize("shape", [(31, 40), (40, 31), (1, 1)])
def test_images_smaller_than_a_patch_are_refused_with_their_sizes(shape: tuple[int, int]) -> None:
    images = [np.zeros((SIDE, SIDE), np.float32), np.zeros(shape, np.float32)]
    said = f"training image 1 is {shape[1]} x {shape[0]}, smaller than a patch of {SIDE}"
    with pytest.raises(ValueError, match=said):
        CropSampler(images, few())


@pytest.mark.parametrize("steps", [2, 3, 4, 7, 10, 33, 100, 1563])
def test_one_cycle_is_that_of_torch(steps: int) -> None:
    peak = 1e-3
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps, cycle_momentum=False)
    for step in range(steps):
        want = optimizer.param_groups[0]["lr"]
        # Both are a few float64 operations on numbers of the peak's size.
        assert learning_rate(step, steps=steps, peak=peak, schedule="one-cycle") == pytest.approx(want, abs=1e-15)
        optimizer.step()
        if step < steps - 1:
            scheduler.step()


def test_cooldown_is_constant_and_falls_to_nothing_over_the_last_fifth() -> None:
    rates = [learning_rate(step, steps=1000, peak=2.0, schedule="cooldown") for step in range(1000)]
    assert rates[:801] == [2.0] * 801
    assert rates[900] == 1.0
    assert rates[999] == pytest.approx(2 / 200)
    assert np.ptp(np.diff(rates[800:])) == pytest.approx(0, abs=1e-12)
    assert learning_rate(0, steps=1, peak=2.0, schedule="cooldown") == 2.0
    assert all(learning_rate(step, steps=4, peak=2.0, schedule="cooldown") == 2.0 for step in range(4))


def test_one_cycle_starts_low_and_ends_lower() -> None:
    rates = [learning_rate(step, steps=1000, peak=1.0, schedule="one-cycle") for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 25)
    assert int(np.argmax(rates)) == 299
    assert max(rates) == 1.0
    assert rates[-1] == pytest.approx(1 / 250_000)
    assert 0 < learning_rate(0, steps=1, peak=1.0, schedule="one-cycle") <= 1


def test_constant_rate_is_the_peak_at_every_step() -> None:
    assert {learning_rate(step, steps=9, peak=2e-4, schedule="constant") for step in range(9)} == {2e-4}


def test_zoomed_crops_are_other_extents_of_the_same_images() -> None:
    rows, columns = np.mgrid[0:80, 0:90].astype(np.float32)
    plane = np.stack([rows, columns, np.zeros_like(rows)], axis=2)
    settings = few(channels=3, zoom=0.25, patches=400, batch_size=400, crops="fresh")
    batch = CropSampler([plane], settings).batch(0).numpy()
    inner = batch[:, :, 4:-4, 4:-4]
    for channel, axis in ((0, 2), (1, 3)):
        steps = np.diff(inner[:, channel : channel + 1], axis=axis)
        factors = steps.reshape(400, -1).mean(axis=1)
        np.testing.assert_allclose(steps.reshape(400, -1).std(axis=1), 0, atol=1e-3)
        assert factors.min() >= 0.79
        assert factors.max() <= 1.26
        assert 0.95 < np.exp(np.log(factors).mean()) < 1.05
    assert batch[:, 0].min() < 1  # the borders are seen as well
    assert batch[:, 0].max() > 78


def test_zoom_never_leaves_the_image() -> None:
    image = np.random.default_rng(0).random((SIDE, SIDE + 1), dtype=np.float32)
    batch = CropSampler([image], few(zoom=1.0, patches=500, batch_size=500)).batch(0).numpy()
    assert np.isfinite(batch).all()
    assert len(np.unique(batch[:, 0, 0, 0])) > 100


def laid(image: np.ndarray) -> list[bytes]:
    """Return the eight ways to lay a square: quarter turns of it, then of its mirror image."""
    return [np.rot90(form, quarter).tobytes() for form in (image, np.fliplr(image)) for quarter in range(4)]


@pytest.mark.parametrize(("turns", "wanted"), [("none", [0]), ("flips", [0, 2, 4, 6]), ("all", range(8))])
def test_crops_are_laid_in_every_chosen_way_equally_often_and_in_no_other(turns: str, wanted: list[int]) -> None:
    image = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    batch = CropSampler([image], few(turns=turns, patches=800, batch_size=800)).batch(0).numpy()
    ways = [laid(image).index(crop[0].tobytes()) for crop in batch]
    counts = np.array([ways.count(way) for way in wanted])
    assert counts.sum() == 800
    expected = 800 / len(wanted)
    # With the seed fixed this is one draw; of fair ones, all but one in a thousand lie below.
    assert np.sum((counts - expected) ** 2 / expected) <= chi2.ppf(0.999, max(len(wanted) - 1, 1))


def test_turns_leave_the_places_of_crops_as_they_are() -> None:
    plain, turned = (CropSampler(numbered_images(), few(turns=turns, patches=40)) for turns in ("none", "all"))
    other = CropSampler(numbered_images(), few(turns="all", patches=40))
    for step in [0, 13, 5]:
        batch = turned.batch(step)
        assert batch.amin(dim=(1, 2, 3)).tolist() == plain.batch(step).amin(dim=(1, 2, 3)).tolist()
        assert torch.equal(other.batch(step), batch)


def test_ways_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`turns` must be one of none, flips, all, got 'quarters'"):
        few(turns="quarters")


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255.0), (np.uint16, 65535.0), (np.uint16, 4095.0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_in_their_own_depth_give_the_crops_of_those_in_float32(dtype: type, white: float, channels: int) -> None:
    rng = np.random.default_rng(0)
    samples = [rng.integers(0, int(white) + 1, (*shape, channels)[: 1 + channels]).astype(dtype) for shape in SHAPES]
    part = slice(None), slice(1, None)
    stored = [view(Pixels(image, white), part) for image in samples]
    images = [(image[part] / np.float64(white)).astype(np.float32) for image in samples]
    settings = few(channels=channels, zoom=0.2, turns="all", patches=40)
    own, single = CropSampler(stored, settings), CropSampler(images, settings)
    for step in range(10):
        assert torch.equal(own.batch(step), single.batch(step))
