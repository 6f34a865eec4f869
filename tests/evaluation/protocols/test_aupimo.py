"""AUPIMO is the mean overlap of an image over the logarithm of the false positive rate on good images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ssimae.evaluation.protocols.aupimo import aupimo


def slow_aupimo(maps, masks, ignores, bounds) -> list[float]:
    """Follow the definition: every threshold, the rate of each good image, the overlap of each defective one."""
    inspected = [~ignore for ignore in ignores]
    good = [map_[seen] for map_, mask, seen in zip(maps, masks, inspected) if seen.any() and not (mask & seen).any()]
    levels = np.unique(np.concatenate(good))[::-1]
    rates = np.array([np.mean([(scores >= level).mean() for scores in good]) for level in levels])
    values = []
    for map_, mask, seen in zip(maps, masks, inspected):
        if not (mask & seen).any():
            values.append(np.nan)
            continue
        defect = map_[mask & seen]
        # Below the first level nothing of the good images is marked; each level is left out until its rate is allowed.
        starts = np.clip([0, *rates], *bounds)
        ends = np.append(starts[1:], bounds[1])
        overlaps = [(defect > level).mean() for level in levels] + [1.0]
        widths = np.log(ends) - np.log(starts)
        values.append(float(np.sum(overlaps * widths) / np.log(bounds[1] / bounds[0])))
    return values


def found(maps, masks, ignores, bounds) -> np.ndarray:
    images = [number for number, ignore in enumerate(ignores) if not ignore.all()]
    defective = np.array([bool((mask & ~ignore).any()) for mask, ignore in zip(masks, ignores)])
    read = [(map_, mask, ignore if ignore.any() else None) for map_, mask, ignore in zip(maps, masks, ignores)]
    return aupimo(images, defective, read.__getitem__, fpr_bounds=bounds)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, 3, 30]),
    st.sampled_from([(1e-3, 1e-1), (0.02, 0.6), (1e-5, 1e-4)]),
)
def test_it_follows_the_definition_with_ties_sizes_and_ignored_pixels(seed, steps, bounds) -> None:
    rng = np.random.default_rng(seed)
    shapes = [tuple(rng.integers(3, 14, 2)) for _ in range(rng.integers(3, 8))]
    maps = [rng.normal(size=shape) if steps is None else rng.integers(0, steps, shape) / 4 for shape in shapes]
    masks = [(rng.random(shape) < 0.2) & (number % 2 == 0) for number, shape in enumerate(shapes)]
    masks[0][1, 1] = True
    ignores = [rng.random(shape) < rng.choice([0, 0.3]) for shape in shapes]
    ignores[0][1, 1] = ignores[1][0, 0] = False
    np.testing.assert_allclose(
        found(maps, masks, ignores, bounds), slow_aupimo(maps, masks, ignores, bounds), atol=1e-12
    )


def test_it_is_what_many_even_thresholds_and_trapezoids_come_to() -> None:
    # As the official implementation goes about it, at a thousandth of its rates so that few pixels are enough.
    rng = np.random.default_rng(0)
    bounds = (1e-2, 1e-1)
    maps = [rng.normal(size=(100, 100)) for _ in range(12)]
    masks = [np.zeros((100, 100), bool) for _ in maps]
    for mask, map_ in zip(masks[:4], maps):
        mask[20:60, 20:60] = True
        map_[mask] += 1.5
    levels = np.linspace(*(extreme(np.stack(maps[4:])) for extreme in (np.min, np.max)), 20_000)
    pooled = np.sort(np.concatenate([map_.ravel() for map_ in maps[4:]]))
    rates = 1 - np.searchsorted(pooled, levels) / len(pooled)
    used = (rates >= bounds[0]) & (rates <= bounds[1])
    for map_, mask, value in zip(maps, masks, found(maps, masks, [np.zeros_like(mask) for mask in masks], bounds)[:4]):
        overlaps = 1 - np.searchsorted(np.sort(map_[mask]), levels[used]) / mask.sum()
        area = np.trapezoid(overlaps[::-1], np.log(rates[used][::-1])) / np.log(10)
        assert value == pytest.approx(area, abs=2e-3)


def test_without_good_images_there_is_none() -> None:
    mask = np.eye(5, dtype=bool)
    assert np.isnan(found([np.eye(5)], [mask], [np.zeros_like(mask)], (1e-5, 1e-4))).all()


def test_perfect_maps_have_one_and_blind_ones_none() -> None:
    mask = np.eye(9, dtype=bool)
    masks, none = [mask, np.zeros_like(mask)], [np.zeros_like(mask)] * 2
    perfect, blind = np.where(mask, 2.0, 0.5), np.where(mask, 0.1, 0.5)
    good = np.linspace(0.2, 0.9, 81).reshape(9, 9)
    assert found([perfect, good], masks, none, (1e-5, 1e-4))[0] == 1
    assert found([blind, good], masks, none, (1e-5, 1e-4))[0] == 0
