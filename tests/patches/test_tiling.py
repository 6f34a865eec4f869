"""Patches cut out of an image and laid back give the image, at every geometry."""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from ssimae.tiling import extract_patches, gather_crops, patch_grid, stitch_patches
from torch.nn.functional import grid_sample

# Images are in [0, 1]; while at most 16 patches lie over a pixel, summing them in float32 stays below this.
STITCH_ATOL = 1e-6
# Half the spacing of float32 below 1: n summands of at most 1 are off by at most n such roundings.
ROUNDING = 2.0**-24


def slow_positions(side: int, patch_size: int, stride: int) -> list[int]:
    starts = []
    start = 0
    while start + patch_size <= side:
        starts.append(start)
        start += stride
    if starts[-1] + patch_size < side:
        starts.append(side - patch_size)
    return starts


def slow_stitch(patches: np.ndarray, height: int, width: int, stride: int) -> tuple[np.ndarray, int]:
    """Return the mean image in float64, and the most patches over one pixel."""
    side = patches.shape[-1]
    total, count = np.zeros((height, width)), np.zeros((height, width), dtype=int)
    corners = [
        (row, column) for row in slow_positions(height, side, stride) for column in slow_positions(width, side, stride)
    ]
    for patch, (row, column) in zip(patches, corners, strict=True):
        for y in range(side):
            for x in range(side):
                total[row + y, column + x] += patch[y, x]
                count[row + y, column + x] += 1
    return total / count, int(count.max())


@st.composite
def geometries(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Draw height, width, patch size and stride of a grid that can be laid."""
    patch_size = draw(st.integers(1, 9))
    sides = st.integers(patch_size, patch_size + 13)
    return draw(sides), draw(sides), patch_size, draw(st.integers(1, patch_size))


@settings(max_examples=100, deadline=None)
@given(geometries())
@example((1, 1, 1, 1))
@example((17, 31, 1, 1))
@example((7, 13, 7, 7))
@example((8, 9, 7, 7))
@example((10, 8, 4, 4))
def test_grid_is_that_of_a_slow_loop_and_ends_at_the_border(geometry: tuple[int, int, int, int]) -> None:
    height, width, patch_size, stride = geometry
    grid = patch_grid(height, width, patch_size=patch_size, stride=stride)
    rows, columns = slow_positions(height, patch_size, stride), slow_positions(width, patch_size, stride)
    assert grid.dtype == np.int64
    np.testing.assert_array_equal(grid, [[row, column] for row in rows for column in columns])
    np.testing.assert_array_equal(grid[-1], [height - patch_size, width - patch_size])
    np.testing.assert_array_equal(grid[0], [0, 0])


def test_paper_images_have_651_and_620_patches() -> None:
    assert len(patch_grid(700, 1024, patch_size=128, stride=30)) == 651
    assert len(patch_grid(696, 1024, patch_size=128, stride=30)) == 620


@settings(max_examples=100, deadline=None)
@given(geometries(), st.sampled_from([None, 1, 2, 3]), st.sampled_from(["C", "F", "reversed", "strided"]))
@example((9, 9, 9, 9), 3, "reversed")
@example((1, 1, 1, 1), None, "F")
def test_extracting_equals_slicing_in_any_memory_layout(
    geometry: tuple[int, int, int, int], channels: int | None, layout: str
) -> None:
    height, width, patch_size, stride = geometry
    image = np.random.default_rng(0).random((height, width, *([channels] if channels else [])), dtype=np.float32)
    given_image = {
        "C": image,
        "F": np.asfortranarray(image),
        "reversed": np.ascontiguousarray(image[::-1, ::-1])[::-1, ::-1],
        "strided": np.repeat(np.repeat(image, 2, axis=0), 3, axis=1)[::2, ::3],
    }[layout]
    patches = extract_patches(given_image, patch_size=patch_size, stride=stride)
    assert patches.dtype == np.float32
    for patch, (row, column) in zip(patches, patch_grid(height, width, patch_size=patch_size, stride=stride)):
        want = image[row : row + patch_size, column : column + patch_size]
        np.testing.assert_array_equal(patch, want if channels is None else np.moveaxis(want, 2, 0))


@settings(max_examples=100, deadline=None)
@given(geometries(), st.sampled_from([None, 1, 3]))
@example((16, 23, 8, 3), None)
def test_stitching_the_patches_of_an_image_gives_the_image(
    geometry: tuple[int, int, int, int], channels: int | None
) -> None:
    height, width, patch_size, stride = geometry
    # At most four patches along a side lie over a pixel then, the shifted one counted.
    assume(patch_size <= 3 * stride)
    image = np.random.default_rng(1).random((height, width, *([channels] if channels else [])), dtype=np.float32)
    patches = extract_patches(image, patch_size=patch_size, stride=stride)
    back = stitch_patches(patches, height=height, width=width, stride=stride)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, image, rtol=0, atol=STITCH_ATOL, strict=True)


def test_stitching_at_the_paper_geometry_gives_the_image() -> None:
    image = np.random.default_rng(2).random((700, 1024), dtype=np.float32)
    patches = extract_patches(image, patch_size=128, stride=30)
    np.testing.assert_allclose(
        stitch_patches(patches, height=700, width=1024, stride=30), image, rtol=0, atol=STITCH_ATOL
    )


@settings(max_examples=60, deadline=None)
@given(geometries())
@example((12, 12, 8, 1))
@example((22, 19, 9, 2))
def test_stitching_is_the_mean_where_patches_overlap(geometry: tuple[int, int, int, int]) -> None:
    height, width, patch_size, stride = geometry
    count = len(patch_grid(height, width, patch_size=patch_size, stride=stride))
    patches = np.random.default_rng(3).random((count, 2, patch_size, patch_size), dtype=np.float32)
    got = stitch_patches(patches, height=height, width=width, stride=stride)
    for channel in range(2):
        want, most = slow_stitch(patches[:, channel], height, width, stride)
        np.testing.assert_allclose(got[:, :, channel], want, rtol=0, atol=(most + 1) * ROUNDING)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("height", "width", "patch_size", "stride"), [(7, 11, 3, 2), (13, 13, 5, 1), (8, 6, 6, 6)])
def test_stitching_constant_tiles_gives_a_constant_image(
    value: float, height: int, width: int, patch_size: int, stride: int
) -> None:
    count = len(patch_grid(height, width, patch_size=patch_size, stride=stride))
    tiles = np.full((count, patch_size, patch_size), value, dtype=np.float32)
    stitched = stitch_patches(tiles, height=height, width=width, stride=stride)
    np.testing.assert_array_equal(stitched, np.full((height, width), value, dtype=np.float32), strict=True)


def test_stitching_takes_patches_in_any_memory_layout() -> None:
    patches = np.random.default_rng(4).random((6, 5, 5), dtype=np.float32)
    want = stitch_patches(patches, height=8, width=12, stride=4)
    for same in (np.asfortranarray(patches), np.repeat(patches, 2, axis=0)[::2]):
        np.testing.assert_array_equal(stitch_patches(same, height=8, width=12, stride=4), want)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_divided_by_the_largest_of_their_type(dtype: type) -> None:
    largest = np.iinfo(dtype).max
    values = np.linspace(0, largest, 256).astype(dtype).reshape(16, 16)
    patch = extract_patches(values, patch_size=16, stride=16)[0]
    np.testing.assert_array_equal(patch, values.astype(np.float32) / np.float32(largest), strict=True)
    assert (patch.min(), patch.max()) == (0.0, 1.0)


def test_floats_are_taken_as_they_are() -> None:
    image = np.array([[-3.5, 0.1], [1.5, 1e30]])
    for dtype in (np.float32, np.float64):
        patch = extract_patches(image.astype(dtype), patch_size=2, stride=1)[0]
        np.testing.assert_array_equal(patch, image.astype(np.float32), strict=True)


@pytest.mark.parametrize("channels", [None, 3])
def test_gathered_crops_are_slices_of_their_images(channels: int | None) -> None:
    rng = np.random.default_rng(5)
    last = [] if channels is None else [channels]
    images = [rng.random((height, width, *last), dtype=np.float32) for height, width in [(5, 5), (7, 19), (23, 6)]]
    origins = np.array([[2, 18, 1], [0, 0, 0], [1, 2, 14], [1, 0, 0], [2, 0, 0], [1, 2, 14]])
    boxes = np.column_stack([origins, np.full((len(origins), 2), 5)]).astype(np.float64)
    out = np.full((len(origins), channels or 1, 5, 5), np.nan, dtype=np.float32)
    for places in (boxes, np.asfortranarray(boxes)):
        gather_crops(images, places, out)
        for crop, (image, row, column) in zip(out, origins, strict=True):
            want = images[image][row : row + 5, column : column + 5]
            np.testing.assert_array_equal(crop, want[None] if channels is None else np.moveaxis(want, 2, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
@pytest.mark.parametrize("channels", [None, 2, 3])
def test_crops_of_any_depth_are_those_of_the_scaled_image(dtype: type, channels: int | None) -> None:
    rng = np.random.default_rng(7)
    image = rng.random((23, 31) if channels is None else (23, 31, channels))
    if np.issubdtype(dtype, np.integer):
        image = (image * np.iinfo(dtype).max).astype(dtype)
        scaled = image.astype(np.float32) / np.float32(np.iinfo(dtype).max)
    else:
        scaled = image.astype(np.float32)
    boxes = np.array([[0, 3, 4, 8, 8], [1, 2.5, 0.25, 12.5, 19.75], [0, 15, 23, 8, 8]], np.float64)
    out, want = np.full((2, 3, channels or 1, 8, 8), np.nan, np.float32)
    gather_crops([image, scaled], boxes, torch.from_numpy(out))
    gather_crops([scaled, scaled], boxes, want)
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("side", [1, 2, 5, 16, 33])
@pytest.mark.parametrize("channels", [1, 3])
def test_turned_crops_are_quarter_turns_of_crops_and_of_their_mirror_images(side: int, channels: int) -> None:
    image = np.random.default_rng(8).random((40, 41, channels), dtype=np.float32)
    boxes = np.array([[0, 3, 4, side, side], [0, 1.5, 2.25, 30.5, 20]])
    plain, out = np.full((2, 8, channels, side, side), np.nan, np.float32)
    for box in boxes:
        same = np.repeat(box[None], 8, axis=0)
        gather_crops([image], same, plain)
        gather_crops([image], same, out, turns=np.arange(8, dtype=np.uint8))
        for turn, (crop, upright) in enumerate(zip(out, plain)):
            mirrored = upright[:, :, ::-1] if turn >= 4 else upright
            np.testing.assert_array_equal(crop, np.rot90(mirrored, turn % 4, axes=(1, 2)))


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        (np.array([8], np.uint8), r"`turns` must be in 0\.\.7, got 8"),
        (np.zeros(2, np.uint8), "`turns` must have 1 elements, got 2"),
        (np.zeros(1, np.int64), "`turns` must be uint8, got int64"),
    ],
)
def test_turns_that_are_none_are_refused(turns: np.ndarray, said: str) -> None:
    out = np.zeros((1, 1, 4, 4), np.float32)
    with pytest.raises(ValueError, match=said):
        gather_crops([np.zeros((6, 7), np.float32)], np.array([[0, 0, 0, 4.0, 4.0]]), out, turns=turns)


@pytest.mark.parametrize("channels", [None, 3])
def test_other_rectangles_are_resampled_as_torch_does(channels: int | None) -> None:
    rng = np.random.default_rng(6)
    last = [] if channels is None else [channels]
    image = rng.random((23, 31, *last), dtype=np.float32)
    top, left, height, width = 3.25, 7.5, 12.5, 19.75
    out = np.full((1, channels or 1, 8, 8), np.nan, dtype=np.float32)
    gather_crops([image], np.array([[0, top, left, height, width]]), out)
    rows = top + (np.arange(8) + 0.5) * height / 8  # of pixel centres, in pixels from the image's upper edge
    columns = left + (np.arange(8) + 0.5) * width / 8
    grid = np.stack(np.meshgrid(2 * columns / 31 - 1, 2 * rows / 23 - 1), axis=-1)[None]
    planes = torch.from_numpy(image.reshape(23, 31, -1)).permute(2, 0, 1)[None].double()
    want = grid_sample(planes, torch.from_numpy(grid), mode="bilinear", padding_mode="border", align_corners=False)
    np.testing.assert_allclose(out, want.numpy(), atol=1e-6)


@pytest.mark.parametrize("origin", [(0, 3, 0), (0, 0, 4), (0, -1, 0), (0, 0, -1), (1, 0, 0), (-1, 0, 0), (0.5, 0, 0)])
def test_crops_outside_their_image_are_refused(origin: tuple[float, int, int]) -> None:
    out = np.empty((1, 1, 4, 4), dtype=np.float32)
    with pytest.raises(ValueError, match=r"does not lie in an image of 6 x 7|box names image"):
        gather_crops([np.zeros((6, 7), dtype=np.float32)], np.array([[*origin, 4.0, 4.0]]), out)


@pytest.mark.parametrize("width", [0, 4, 6, 10])
def test_boxes_of_other_shapes_are_refused(width: int) -> None:
    with pytest.raises(ValueError, match=rf"`boxes` must have shape \(N, 5\), got \[1, {width}\]"):
        gather_crops([np.zeros((6, 7), np.float32)], np.zeros((1, width)), np.empty((1, 1, 4, 4), np.float32))


def test_batches_that_do_not_fit_their_crops_are_refused() -> None:
    images = [np.zeros((6, 7), dtype=np.float32)]
    for shape, said in [((2, 1, 4, 4), "`out` must have 16 elements, got 32"), ((1, 3, 4, 4), "3 channels, got 1")]:
        with pytest.raises(ValueError, match=said):
            gather_crops(images, np.array([[0.0, 0.0, 0.0, 4.0, 4.0]]), np.empty(shape, dtype=np.float32))


@pytest.mark.parametrize(
    ("patch_size", "stride", "said"),
    [
        (4, 0, r"`stride` must be in 1\.\.patch_size \(4\), got 0"),
        (4, 5, r"`stride` must be in 1\.\.patch_size \(4\), got 5"),
        (4, -1, r"`stride` must be in 1\.\.patch_size \(4\), got -1"),
        (7, 1, r"`patch_size` must be in 1\.\.6 for an image of 9 x 6, got 7"),
        (0, 1, r"`patch_size` must be in 1\.\.6 for an image of 9 x 6, got 0"),
    ],
)
def test_grids_that_leave_gaps_or_do_not_fit_are_refused(patch_size: int, stride: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        patch_grid(6, 9, patch_size=patch_size, stride=stride)
    with pytest.raises(ValueError, match=said):
        extract_patches(np.zeros((6, 9), dtype=np.float32), patch_size=patch_size, stride=stride)
    if patch_size > 0:
        with pytest.raises(ValueError, match=said):
            stitch_patches(np.zeros((1, patch_size, patch_size), np.float32), height=6, width=9, stride=stride)


@pytest.mark.parametrize("shape", [(6,), (1, 6, 9, 1), ()])
def test_images_of_other_dimensions_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"`image` must have shape \(H, W\) or \(H, W, C\), got"):
        extract_patches(np.zeros(shape, dtype=np.float32), patch_size=1, stride=1)


@pytest.mark.parametrize("dtype", [bool, np.int32, np.int64, np.float16, np.complex64, ">u2"])
def test_images_of_other_types_are_refused(dtype: object) -> None:
    with pytest.raises(ValueError, match="must be uint8, uint16, float32 or float64, got"):
        extract_patches(np.zeros((4, 4), dtype=dtype), patch_size=2, stride=1)


@pytest.mark.parametrize("count", [0, 5, 7])
def test_another_number_of_patches_than_the_grid_has_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"`patches` must be the grid's 6, got {count}"):
        stitch_patches(np.zeros((count, 4, 4), dtype=np.float32), height=6, width=10, stride=3)


@pytest.mark.parametrize("shape", [(6, 4, 5), (4, 4), (1, 1, 6, 4, 4)])
def test_patches_that_are_not_square_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"`patches` must have shape \(P, h, h\) or \(P, C, h, h\), got"):
        stitch_patches(np.zeros(shape, dtype=np.float32), height=6, width=10, stride=3)
