"""Frames of a line-scan camera give the maps, verdicts and regions of one long image cut at the same rows."""

from dataclasses import replace

import numpy as np
import pytest
from ssimae.calibration.whole import WholeLimits
from ssimae.config.settings import Settings
from ssimae.images.depth import Pixels
from ssimae.inspection.inspector import Inspector, Maps
from ssimae.inspection.verdict import Region, judge
from ssimae.inspection.web import Web, rows_needed
from support.inspectors import made_up_inspector, made_up_thresholds
from support.small_data import texture

CASES = {
    "paper": {"residual_scales": 1},
    "calibrated": {"calibration": "surface", "residual_smoothing": 1.5, "opening": 3},
    "half size": {"calibration": "surface", "scale": 0.5},
    "colour, margin": {"channels": 3, "margin": 8},
    "colour, calibrated": {"channels": 3, "calibration": "surface", "scale": 0.5},
    "patches averaged": {"residual_average": True, "loss": "l2"},
}
HEIGHTS = (131, 90, 170, 209, 120, 140)

# Convolutions round otherwise in batches of other sizes; the calibration multiplies that.
TOLERANCE = 5e-6


def inspector_of(case: str, shape: tuple[int, ...]) -> Inspector:
    settings = Settings(**{"patch_size": 32, "latent_dim": 4, "stride": 12, "precision": "float32", **CASES[case]})
    inspector = made_up_inspector(settings, shape)
    if inspector.reference is None:
        return inspector
    # No image is unlike the good ones as a whole, and no position is known: these are of frames, not of the surface.
    channels = {name: replace(part, position=None) for name, part in inspector.reference.channels.items()}
    reference = replace(inspector.reference, channels=channels, whole=WholeLimits((-9.0,) * 4, (9.0,) * 4))
    return replace(inspector, reference=reference)


def surface(case: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    image = texture(rng, sum(HEIGHTS), 64)
    seams = np.cumsum(HEIGHTS)[:-1]
    for row, left in zip(seams, (5, 10, 20, 30, 40), strict=True):  # a defect over each seam
        image[row - 9 : row + 11, left : left + 15] = rng.integers(0, 255, (20, 15))
    return np.stack([image, image[:, ::-1], 255 - image], axis=2) if CASES[case].get("channels") == 3 else image


def by_frame(inspector: Inspector, samples: np.ndarray) -> dict[int, Maps]:
    web: Web[int] = Web(inspector)
    found = {}
    for number, part in enumerate(np.split(samples, np.cumsum(HEIGHTS)[:-1])):
        found |= dict(web.add(number, len(part), lambda part=part: (Pixels(part, 255.0), None)))
    assert len(found) < len(HEIGHTS)  # the last ones wait for the rows below
    return found | dict(web.end())


def places(regions: tuple[Region, ...]) -> list[tuple[int, ...]]:
    """Return area and box of regions, whose order hangs on the last bits of their scores."""
    return sorted((region.area, region.top, region.left, region.bottom, region.right) for region in regions)


def in_a_gap(values: np.ndarray, share: float) -> float:
    """Return a level near a quantile that no value comes near, so that rounding moves none over it."""
    ordered = np.sort(values, axis=None)
    near = ordered[int((share - 0.01) * ordered.size) : int((share + 0.003) * ordered.size)]
    widest = int(np.argmax(np.diff(near)))
    return float(near[widest] + near[widest + 1]) / 2


@pytest.mark.parametrize("case", CASES)
def test_a_seam_is_no_border(case: str) -> None:
    samples = surface(case)
    inspector = inspector_of(case, samples.shape)
    whole = inspector.inspect(Pixels(samples, 255.0))
    thresholds = made_up_thresholds(*(in_a_gap(whole.judged, share) for share in (0.97, 0.995)))
    frames = by_frame(inspector, samples)
    assert sorted(frames) == list(range(len(HEIGHTS)))
    top = alone = flagged = 0
    for number, height in enumerate(HEIGHTS):
        rows = slice(top, top + height)
        top += height
        maps = frames[number]
        for name in ("reconstruction", "residual", "judged"):
            wanted = getattr(whole, name)[rows]
            np.testing.assert_allclose(getattr(maps, name), wanted, atol=TOLERANCE * wanted.max(), err_msg=name)
        expected = judge(replace(whole, judged=np.ascontiguousarray(whole.judged[rows])), thresholds)
        found = judge(replace(maps, judged=np.ascontiguousarray(maps.judged)), thresholds)
        assert found.verdict == expected.verdict
        assert places(found.regions) == places(expected.regions)
        flagged += len(found.regions)
        own = inspector.inspect(Pixels(samples[rows], 255.0)).judged
        alone += int((np.abs(own - whole.judged[rows]) > 4 * TOLERANCE * whole.judged.max()).sum())
    assert flagged
    # Frame by frame, the seams would be borders.
    assert alone > 64 * 4


def test_what_is_not_wanted_is_seen_by_its_neighbours_alone() -> None:
    samples = surface("paper")
    inspector = inspector_of("paper", samples.shape)
    frames = by_frame(inspector, samples)
    web: Web[int] = Web(inspector)
    found = {}
    loaded = []

    def load(number: int, part: np.ndarray) -> tuple[Pixels, None]:
        loaded.append(number)
        return Pixels(part, 255.0), None

    for number, part in enumerate(np.split(samples, np.cumsum(HEIGHTS)[:-1])):
        wanted = number >= 4
        found |= dict(web.add(number, len(part), lambda n=number, p=part: load(n, p), wanted=wanted))
    found |= dict(web.end())
    assert sorted(found) == [4, 5]
    assert min(loaded) > 0  # far above
    for number, maps in found.items():
        np.testing.assert_allclose(maps.judged, frames[number].judged, atol=TOLERANCE)


def test_an_ignored_margin_of_columns_has_no_influence() -> None:
    samples = surface("calibrated")
    inspector = inspector_of("calibrated", samples.shape)
    ignored = np.zeros(samples.shape, bool)
    ignored[:, :17] = True
    ignored[400:440, 40:60] = True
    whole = inspector.inspect(Pixels(samples, 255.0), ignored)
    web: Web[int] = Web(inspector)
    found: list[np.ndarray] = []
    cuts = np.cumsum(HEIGHTS)[:-1]
    for part, mask in zip(np.split(samples, cuts), np.split(ignored, cuts), strict=True):
        found += [maps.judged for _, maps in web.add(0, len(part), lambda p=part, m=mask: (Pixels(p, 255.0), m))]
    found += [maps.judged for _, maps in web.end()]
    np.testing.assert_allclose(np.concatenate(found), whole.judged, atol=TOLERANCE * whole.judged.max())


def test_rows_needed_keep_the_grid() -> None:
    half = Settings(stride=30, scale=0.5)
    assert rows_needed(half, has_head=True).step % 60 == 0
    assert rows_needed(half, has_head=False).step % 60 == 0
    assert rows_needed(Settings(stride=128), has_head=False).halo >= 128
