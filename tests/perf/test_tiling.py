"""Cutting an image into patches and laying them back, beside copies of as many bytes and other packages.

The ratio is of the other's time to ours: 0.77 beside a copy says that ours takes 1.3 times as long as the copy.
"""

from functools import cache

import numpy as np
import pytest
import ssimae

from perf.tiling_rivals import COPY, CUTS, LAYS, SCIKIT_LEARN, Case

PAPER, SMALL = (698, 1028, 128, 30), (68, 98, 32, 6)
"""Height, width, patch size and stride: NanoTWICE's images but for the few pixels that make the grid end at the border
by itself, so that everybody cuts the same patches; and what is enough where nothing is timed."""

GROWTH = {"4 Mpx": (2048, 2048, 128, 64), "16 Mpx": (4096, 4096, 128, 64)}

# Half the spacing of float32 below 1: a mean of n values in [0, 1], summed in any order, is off by at most n of these.
ROUNDING = 2.0**-24


@cache
def case_of(height, width, side, stride, dtype=np.float32):
    image = np.random.default_rng(0).random((height, width), dtype=np.float32)
    pixels = image if dtype == np.float32 else (image * np.iinfo(dtype).max).astype(dtype)
    image = pixels if dtype == np.float32 else pixels.astype(np.float32) / np.float32(np.iinfo(dtype).max)
    windows = np.lib.stride_tricks.sliding_window_view(image, (side, side))[::stride, ::stride]
    return Case(image, np.ascontiguousarray(windows).reshape(-1, side, side), stride), pixels


def sizes_of(case):
    return f"{case.image.shape[1]} x {case.image.shape[0]}, {len(case.patches)} patches"


def cut_beside(beside, case, pixels, way, *, name, group, warm=True):
    options = {"patch_size": case.side, "stride": case.stride}
    out = np.zeros_like(case.patches) if warm else None
    ours, theirs = beside(
        lambda: ssimae.extract_patches(pixels, **options, out=out),
        way.ready(case),
        group=group,
        name=name,
        pixels=(case.patches.size, case.patches.size),
        target=way.target,
        packages=way.packages,
        sizes=sizes_of(case),
    )
    np.testing.assert_array_equal(ours, case.patches)
    np.testing.assert_array_equal(way.shaped(theirs, case), case.patches)


def lay_beside(beside, case, way, *, name, group, laid=None):
    out = np.zeros_like(case.image)
    options = {"height": case.image.shape[0], "width": case.image.shape[1], "stride": case.stride}
    ours, theirs = beside(
        laid or (lambda: ssimae.stitch_patches(case.patches, **options, out=out)),
        way.ready(case),
        group=group,
        name=name,
        pixels=(case.patches.size, case.patches.size),
        target=way.target,
        packages=way.packages,
        sizes=sizes_of(case),
    )
    atol = ROUNDING * (-(-case.side // case.stride)) ** 2
    np.testing.assert_allclose(ours, case.image, rtol=0, atol=atol)
    want = case.patches if way is COPY else case.image
    np.testing.assert_allclose(way.shaped(theirs, case), want, rtol=0, atol=atol)


def stream_of(case, size=64):
    """Return a call that lays patches in batches."""
    batches = [case.patches[start : start + size] for start in range(0, len(case.patches), size)]

    def lay():
        stitcher = ssimae.Stitcher(*case.image.shape, patch_size=case.side, stride=case.stride)
        for batch in batches:
            stitcher.add(batch)
        return stitcher.image()

    return lay


@pytest.mark.parametrize("name", CUTS)
def test_cut(benchmark, beside, name):
    case, pixels = case_of(*(SMALL if benchmark.disabled else PAPER))
    group = f"cut {sizes_of(case)}, float32, into a buffer: ns a value"
    cut_beside(beside, case, pixels, CUTS[name], name=name, group=group)


@pytest.mark.parametrize("name", ["copy of the output", "numpy windows", "Tensor.unfold"])
def test_cut_without_a_buffer(benchmark, beside, name):
    case, pixels = case_of(*(SMALL if benchmark.disabled else PAPER))
    group = f"cut {sizes_of(case)}, float32, fresh memory for ours: ns a value"
    cut_beside(beside, case, pixels, CUTS[name], name=name, group=group, warm=False)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_cut_integers(benchmark, beside, dtype):
    case, pixels = case_of(*(SMALL if benchmark.disabled else PAPER), dtype)
    group = f"cut {sizes_of(case)}, integers scaled, beside a copy of the output: ns a value"
    cut_beside(beside, case, pixels, CUTS["copy of the output"], name=np.dtype(dtype).name, group=group)


@pytest.mark.parametrize("name", ["copy of the patches", *LAYS])
def test_lay(benchmark, beside, name):
    case, _ = case_of(*(SMALL if benchmark.disabled else PAPER))
    group = f"stitch {sizes_of(case)}: ns a value"
    lay_beside(beside, case, LAYS.get(name, COPY), name=name, group=group)


@pytest.mark.parametrize("name", ["copy of the patches", *LAYS])
def test_lay_in_batches(benchmark, beside, name):
    case, _ = case_of(*(SMALL if benchmark.disabled else PAPER))
    group = f"stitch {sizes_of(case)}, 64 at a time: ns a value"
    lay_beside(beside, case, LAYS.get(name, COPY), name=name, group=group, laid=stream_of(case))


def test_lay_beside_scikit_learn(benchmark, beside):
    case, _ = case_of(*((20, 23, 8, 1) if benchmark.disabled else (96, 128, 32, 1)))
    group = f"stitch {sizes_of(case)} at stride 1: ns a value"
    lay_beside(beside, case, SCIKIT_LEARN, name="scikit-learn", group=group)


@pytest.mark.timed
@pytest.mark.parametrize("size", GROWTH)
@pytest.mark.parametrize("job", ["cut", "stitch", "stitch in batches"])
def test_growth(beside, size, job):
    height, width, side, stride = GROWTH[size]
    case, pixels = case_of(height, width, side, stride)
    group = f"{job}, growth, beside a copy of the patches: ns a value"
    if job == "cut":
        cut_beside(beside, case, pixels, CUTS["copy of the output"], name=size, group=group)
    else:
        laid = stream_of(case) if job == "stitch in batches" else None
        lay_beside(beside, case, COPY, name=size, group=group, laid=laid)
