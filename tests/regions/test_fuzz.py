"""Labels of any bytes in any shape are those of SciPy, numbered in reading order."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ssimae.regions import label_regions, region_statistics
from support.oracles import STRUCTURES, assert_same_partition

# Around the 64 pixels that are looked at together.
SIDES = st.one_of(st.integers(0, 9), st.sampled_from([63, 64, 65, 127, 128, 129, 130]))


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """Draw a mask of raw bytes, as dense as may be, in any memory layout."""
    shape = draw(SIDES), draw(SIDES)
    kind = draw(st.sampled_from(["bytes", "density"]))
    if kind == "bytes":
        mask = draw(arrays(np.uint8, shape, fill=st.nothing() if np.prod(shape) < 100 else st.just(0)))
    else:
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        mask = (rng.random(shape) < draw(st.integers(0, 100)) / 100) * rng.integers(1, 256, shape, dtype=np.uint8)
    mask = mask.astype(draw(st.sampled_from([np.uint8, bool, np.int16])))
    layout = draw(st.sampled_from(["C", "F", "reversed", "strided"]))
    if layout == "F":
        return np.asfortranarray(mask)
    if layout == "reversed":
        return mask[::-1, ::-1]
    return np.repeat(mask, 2, axis=1)[:, ::2] if layout == "strided" else mask


@settings(max_examples=400, deadline=None)
@given(masks())
@example(np.ones((5, 64), bool))
@example(np.ones((3, 129), np.uint8) * 128)
def test_labels_of_any_bytes_are_those_of_scipy(mask: np.ndarray) -> None:
    for connectivity in STRUCTURES:
        if mask.size:
            assert_same_partition(mask, connectivity)
        else:
            assert label_regions(mask, connectivity=connectivity)[1] == 0


@settings(max_examples=100, deadline=None)
@given(masks(), st.sampled_from([np.float32, np.float64]), st.integers(0, 2**32))
def test_statistics_are_those_of_slow_loops(mask: np.ndarray, dtype: type, seed: int) -> None:
    labels, count = label_regions(mask)
    scores = np.random.default_rng(seed).normal(size=mask.shape).astype(dtype)
    found = region_statistics(labels, count, scores=scores)
    for region in range(count):
        rows, columns = np.nonzero(labels == region + 1)
        assert found.areas[region] == len(rows)
        assert found.boxes[region].tolist() == [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_allclose(found.centroids[region], [rows.mean(), columns.mean()], rtol=1e-12)
        assert found.max_scores[region] == scores[rows, columns].max()
        np.testing.assert_allclose(
            found.mean_scores[region], scores[rows, columns].astype(float).mean(), rtol=1e-9, atol=1e-12
        )
