"""Time per pixel from small images to large ones and over window sizes: each beside the smallest of its series."""

from functools import cache

import pytest
import ssimae
import torch
from perf.machine import available
from perf.ssim.answers import stepper

TILE = 32
BATCH_PIXELS = 2048 * 2048
BATCH_SHAPE = (128, 1, 128, 128)
"""Of the series over window sizes: a training batch."""

SINGLE_SIDES = [2**power for power in range(5, 14)]
BATCH_SIDES = [side for side in SINGLE_SIDES if side**2 <= BATCH_PIXELS]
WINDOW_SIZES = range(3, 32, 2)
WITH_GRADIENT, MAP = "loss and gradient", "map"

# float32 in the mean, in single pixels of the map, and in the largest gradient.
LOSS_RTOL, MAP_ATOL, GRADIENT_RTOL = 1e-5, 1e-6, 1e-5


@cache
def tile():
    """A small image and its rebuild, (1, 1, 32, 32)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((1, 1, TILE, TILE), generator=generator)
    return x, (x + 0.1 * torch.randn(x.shape, generator=generator)).clamp(0, 1)


def tiled(part, shape):
    """Return a tile mirrored over and over into images of a shape; its window means stay those of the tile."""
    for axis in (2, 3):
        pair = torch.cat([part, part.flip(axis)], axis)
        copies = -(-shape[axis] // pair.shape[axis])
        part = torch.cat([pair] * copies, axis).narrow(axis, 0, shape[axis])
    return part.repeat(shape[0], 1, 1, 1)


@cache
def specified(**options):
    """Loss, gradient by y and map of the tile in float64; its border mirrors as the tiling does."""
    x, y = (part.double() for part in tile())
    y.requires_grad_()
    losses = ssimae.ssim_loss(x, y, data_range=1.0, backend="torch", border="symmetric", reduction="none", **options)
    return losses.mean().item(), torch.autograd.grad(losses.mean(), y)[0], losses.detach()


def prepared(shape, what, **options):
    """Return a call on mirrored tiles of a shape."""
    x, y = (tiled(part, shape) for part in tile())
    options |= {"data_range": 1.0, "border": "symmetric"}
    if what == MAP:
        return lambda: ssimae.ssim_loss(x, y, reduction="none", **options)
    return stepper(lambda x, y: ssimae.ssim_loss(x, y, **options), x, y.requires_grad_())


def check(answer, what, **options):
    """Compare an answer of `prepared` with the tile's."""
    loss, gradient, losses = specified(**options)
    if what == MAP:
        for image in answer.split(1):
            assert (image - tiled(losses.float(), image.shape)).abs().max() < MAP_ATOL
        return
    value, grad = answer
    assert value == pytest.approx(loss, rel=LOSS_RTOL)
    # The mean is over all copies of the tile, and so is each copy's part in it.
    scale = grad.numel() / gradient.numel()
    for image in grad.split(1):
        want = tiled(gradient.float(), image.shape)
        assert (scale * image - want).abs().max() < GRADIENT_RTOL * want.abs().max()


def series(benchmark, beside, first, this, *, group, name, what, **info):
    """Time one member of a series, (shape, options), beside its first."""
    (first_shape, first_options), (shape, options) = first, this
    needed = 9 * 4 * torch.Size(shape).numel()
    if available() < needed:
        pytest.skip(f"needs {needed >> 20} MiB of memory for images, gradients and answers, has {available() >> 20}")
    answers = beside(
        prepared(first_shape, what, **first_options),
        prepared(shape, what, **options),
        group=group,
        name=name,
        pixels=(torch.Size(first_shape).numel(), torch.Size(shape).numel()),
        labels=("first", "this"),
        shape=shape,
        **info,
    )
    for answer, answer_options in zip(answers, (first_options, options), strict=True):
        check(answer, what, **answer_options)


@pytest.mark.parametrize("what", [WITH_GRADIENT, MAP])
@pytest.mark.parametrize(
    ("fill", "side"),
    [
        pytest.param(fill, side, marks=pytest.mark.timed if side > 2 * TILE else ())
        for fill, sides in (("batch", BATCH_SIDES), ("single image", SINGLE_SIDES))
        for side in sides
    ],
)
def test_growth_with_size(benchmark, beside, what, fill, side):
    pixels = 4 * TILE * TILE if benchmark.disabled else BATCH_PIXELS

    def shape(side):
        return (pixels // side**2 if fill == "batch" else 1, 1, side, side)

    series(
        benchmark, beside, (shape(TILE), {}), (shape(side), {}),
        group=f"{what} by image size, {fill}", name=" x ".join(map(str, shape(side))), what=what,
    )  # fmt: skip


@pytest.mark.parametrize("window", ["gaussian", "uniform"])
@pytest.mark.parametrize("window_size", WINDOW_SIZES)
def test_growth_with_window(benchmark, beside, window, window_size):
    shape = (1, 1, TILE, TILE) if benchmark.disabled else BATCH_SHAPE
    # A Gaussian as wide as its window lets it be, so that the outer taps count.
    members = [{"window": window, "window_size": size, "sigma": size / 7} for size in (WINDOW_SIZES[0], window_size)]
    series(
        benchmark, beside, (shape, members[0]), (shape, members[1]),
        group=f"{WITH_GRADIENT} by window size, {window}", name=f"{window_size} x {window_size}", what=WITH_GRADIENT,
        window_size=window_size,
    )  # fmt: skip
