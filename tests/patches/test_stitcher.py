"""Patches in batches, of any size and on any number of threads, stitch as all at once; what does not fit is refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ssimae import Stitcher, _rust, extract_patches, patch_grid, stitch_patches
from support.threads import printed_on_threads


@st.composite
def stitchings(draw: st.DrawFn) -> tuple[int, int, int, int, int | None, list[int]]:
    """Draw height, width, patch size, stride, channels, and where batches end."""
    side = draw(st.integers(1, 9))
    height, width = draw(st.integers(side, side + 40)), draw(st.integers(side, side + 13))
    stride = draw(st.integers(1, side))
    count = len(patch_grid(height, width, patch_size=side, stride=stride))
    ends = draw(st.lists(st.integers(0, count), max_size=6))
    return height, width, side, stride, draw(st.sampled_from([None, 1, 2, 3, 4])), [*sorted(ends), count]


def noise(count: int, side: int, channels: int | None) -> np.ndarray:
    """Values of many magnitudes, whose float32 sums depend on the order."""
    rng = np.random.default_rng(0)
    shape = (count, side, side) if channels is None else (count, channels, side, side)
    return (rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 6, shape)).astype(np.float32)


@settings(max_examples=100, deadline=None)
@given(stitchings(), st.booleans())
def test_batches_stitch_as_all_at_once_to_the_last_bit(
    case: tuple[int, int, int, int, int | None, list[int]], tensors: bool
) -> None:
    height, width, side, stride, channels, ends = case
    patches = noise(ends[-1], side, channels)
    want = stitch_patches(patches, height=height, width=width, stride=stride)
    stitcher = Stitcher(height, width, patch_size=side, stride=stride, channels=channels)
    assert stitcher.n_patches == len(patches)
    for start, stop in zip([0, *ends[:-1]], ends):
        assert stitcher.n_added == start
        stitcher.add(torch.from_numpy(patches[start:stop]) if tensors else patches[start:stop])
    stitcher.add(patches[:0])
    np.testing.assert_array_equal(stitcher.image(), want, strict=True)
    assert np.shares_memory(stitcher.image(), stitcher.image())


@settings(max_examples=50, deadline=None)
@given(stitchings())
def test_every_pixel_sums_its_patches_in_the_order_of_the_grid(
    case: tuple[int, int, int, int, int | None, list[int]],
) -> None:
    height, width, side, stride, channels, ends = case
    patches = noise(ends[-1], side, channels)
    planes = patches.reshape(len(patches), -1, side, side)
    sums, counts = np.zeros((height, width, planes.shape[1]), np.float32), np.zeros((height, width, 1), np.float32)
    for patch, (row, column) in zip(planes, patch_grid(height, width, patch_size=side, stride=stride)):
        sums[row : row + side, column : column + side] += np.moveaxis(patch, 0, 2)
        counts[row : row + side, column : column + side] += 1
    got = stitch_patches(patches, height=height, width=width, stride=stride)
    np.testing.assert_array_equal(got.reshape(sums.shape), sums / counts)


@pytest.mark.exhaustive
def test_the_number_of_threads_leaves_every_bit_as_it_is() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from ssimae import stitch_patches, Stitcher\n"
        "patches = np.random.default_rng(0).standard_normal((88, 3, 32, 32)).astype(np.float32)\n"
        "image = stitch_patches(patches, height=150, width=108, stride=12)\n"
        "stitcher = Stitcher(150, 108, patch_size=32, stride=12, channels=3)\n"
        "for start in range(0, 88, 10): stitcher.add(patches[start:start + 10])\n"
        "assert np.array_equal(stitcher.image(), image)\n"
        "print(hashlib.sha256(image.tobytes()).hexdigest())\n"
    )
    assert len(set(printed_on_threads(code, 1, 2, 3, 7))) == 1


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_results_go_to_buffers_without_a_copy(channels: int | None, kind: str) -> None:
    image = np.random.default_rng(2).random((20, 23, channels) if channels else (20, 23), dtype=np.float32)
    want = extract_patches(image, patch_size=8, stride=3)
    batch = np.full(want.shape, np.nan, np.float32)
    out = torch.from_numpy(batch) if kind == "tensor" else batch
    got = extract_patches(image, patch_size=8, stride=3, out=out)
    assert np.shares_memory(got, batch)
    np.testing.assert_array_equal(batch, want)
    back = np.full(image.shape, np.nan, np.float32)
    given = torch.from_numpy(back) if kind == "tensor" else back
    stitched = stitch_patches(out, height=20, width=23, stride=3, out=given)
    assert np.shares_memory(stitched, back)
    np.testing.assert_array_equal(back, stitch_patches(want, height=20, width=23, stride=3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 2, 3])
def test_ranges_are_slices_of_all_patches(dtype: type, channels: int | None) -> None:
    image = np.random.default_rng(3).random((20, 23, channels) if channels else (20, 23))
    image = (image * 255).astype(dtype) if np.issubdtype(dtype, np.integer) else image.astype(dtype)
    every = extract_patches(image, patch_size=8, stride=3)
    for start, stop in [(0, 0), (0, 1), (3, 17), (len(every) - 1, None), (len(every), None)]:
        part = extract_patches(image, patch_size=8, stride=3, start=start, stop=stop)
        np.testing.assert_array_equal(part, every[start:stop], strict=True)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 1), (0, 31), (31, None)])
def test_ranges_past_the_grid_are_refused(start: int, stop: int | None) -> None:
    with pytest.raises(ValueError, match=r"`start` and `stop` must satisfy 0 <= start <= stop <= 30, got"):
        extract_patches(np.zeros((20, 23), np.uint8), patch_size=8, stride=3, start=start, stop=stop)


READ_ONLY = np.zeros((30, 8, 8), np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((29, 8, 8), np.float32),
        np.zeros((30, 1, 8, 8), np.float32),
        np.zeros((30, 8, 8)),
        np.zeros((30, 8, 16), np.float32)[:, :, ::2],
        np.zeros((8, 8, 30), np.float32).T,
        READ_ONLY,
        torch.zeros(30, 8, 8, dtype=torch.float64),
        torch.zeros(30, 8, 8, dtype=torch.bfloat16),
        torch.zeros(30, 8, 8, device="meta"),
        torch.zeros(30, 8, 16)[:, :, ::2],
    ],
)
def test_buffers_that_do_not_fit_are_refused(out: np.ndarray | torch.Tensor) -> None:
    with pytest.raises(ValueError, match="`out` must be"):
        extract_patches(np.zeros((20, 23), np.uint8), patch_size=8, stride=3, out=out)


def test_patches_that_do_not_fit_are_refused_and_none_is_taken() -> None:
    stitcher = Stitcher(20, 23, patch_size=8, stride=3)
    stitcher.add(np.ones((29, 8, 8), np.float32))
    with pytest.raises(ValueError, match="only 29 of 30 patches have come"):
        stitcher.image()
    with pytest.raises(ValueError, match="2 patches after 29 are more than the grid's 30"):
        stitcher.add(np.full((2, 8, 8), 7, np.float32))
    for shape in [(1, 8, 9), (1, 1, 8, 8), (8, 8), (1, 7, 7)]:
        with pytest.raises(ValueError, match=r"`patches` must have shape \(n, 8, 8\), got"):
            stitcher.add(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="`patches` must be a float32 tensor on the CPU, got"):
        stitcher.add(torch.zeros(1, 8, 8, dtype=torch.bfloat16))
    stitcher.add(np.ones((1, 8, 8), np.float32))
    np.testing.assert_array_equal(stitcher.image(), np.ones((20, 23), np.float32))
    with pytest.raises(ValueError, match="1 patches after 30 are more"):
        stitcher.add(np.ones((1, 8, 8), np.float32))


@pytest.mark.parametrize(
    ("patch_size", "stride", "channels"), [(21, 1, None), (0, 1, 1), (8, 9, 3), (8, 0, 3), (8, 1, 0)]
)
def test_grids_that_cannot_be_laid_are_refused(patch_size: int, stride: int, channels: int | None) -> None:
    with pytest.raises(ValueError, match=r"`(patch_size|stride|channels)` must be"):
        Stitcher(20, 23, patch_size=patch_size, stride=stride, channels=channels)


# Places where a product, a sum or a cast could pass the end of 64 bits. Grids of what fits into memory but takes long,
# some 10^6 to 10^11 patches, are left out.
EDGES = [0, 1, 2, 3, 5, 8, 13, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -1]
edges = st.sampled_from(EDGES)


@settings(max_examples=500, deadline=None)
@given(edges, edges, edges, edges)
def test_any_numbers_lay_the_grid_of_a_slow_loop_or_are_refused(
    height: int, width: int, patch_size: int, stride: int
) -> None:
    def places(side: int) -> list[int]:
        last = side - patch_size
        return sorted({*range(0, last, stride), last})

    sides = [height, width]
    sound = all(0 < patch_size <= side for side in sides) and 0 < stride <= patch_size
    count = math.prod(-(-(side - patch_size) // stride) + 1 for side in sides) if sound else 0
    try:
        counted = _rust.count_patches(height, width, patch_size, stride)
    except (ValueError, OverflowError):
        assert not sound or max(sides) >= 2**64 or count >= 2**64
        counted = 0
    assert counted in (0, count)
    if counted < 10**6 or counted > 10**12:
        try:
            grid = _rust.patch_grid(height, width, patch_size, stride)
        except (ValueError, OverflowError):
            assert not counted or max(sides) >= 2**63 or counted > 10**12
        else:
            np.testing.assert_array_equal(grid, [[row, column] for row in places(height) for column in places(width)])


shapes = st.lists(st.integers(0, 5), min_size=4, max_size=4).map(tuple)
numbers = st.one_of(st.integers(0, 9), edges)


@settings(max_examples=500, deadline=None)
@given(shapes, shapes, numbers, numbers, st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]))
def test_any_arrays_are_worked_on_or_refused(
    image: tuple, patches: tuple, stride: int, first: int, dtype: type
) -> None:
    pixels, batch, sums = np.zeros(image[1:], dtype), np.ones(patches, np.float32), np.zeros(image[1:], np.float32)
    calls = [
        lambda: _rust.extract_patches(pixels, stride, first, batch),
        lambda: _rust.stitch_patches(batch, stride, first, sums),
    ]
    side, fits = patches[3], patches[2] == patches[3] and patches[1] == image[3]
    sound = fits and 0 < side <= min(image[1:3]) and 0 < stride <= side and image[3] > 0
    total = _rust.count_patches(*image[1:3], side, stride) if sound else 0
    in_range = sound and first >= 0 and first + patches[0] <= total
    for call in calls:
        if in_range:
            call()
        else:
            with pytest.raises((ValueError, OverflowError)):
                call()


def test_arrays_that_share_memory_or_cannot_be_written_are_errors_and_no_panic() -> None:
    image = np.zeros((4, 4, 1), np.float32)
    frozen = np.zeros((1, 1, 4, 4), np.float32)
    frozen.flags.writeable = False
    for out in (image.reshape(1, 1, 4, 4), frozen):
        with pytest.raises(ValueError, match=r"`out` is read-only or shared|is being written"):
            _rust.extract_patches(image, 1, 0, out)
    shared = np.zeros((1, 1, 4, 4), np.float32)
    with pytest.raises(ValueError, match=r"`out` is read-only or shared|is being written"):
        _rust.stitch_patches(shared, 1, 0, shared.reshape(4, 4, 1))
    with pytest.raises(ValueError, match=r"`out` is read-only or shared|is being written"):
        _rust.gather_crops([image], np.array([[0, 0, 0, 4.0, 4.0]]), None, image.reshape(1, 1, 4, 4))
