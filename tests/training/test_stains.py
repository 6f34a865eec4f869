"""Stains cover what they should, follow from seed and step alone, and the network is asked for what lies below."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from ssimae.config.settings import Settings
from ssimae.errors import InterruptedRunError
from ssimae.losses import l2
from ssimae.losses.batch import Batch
from ssimae.models.build import new_autoencoder
from ssimae.training.crops import CropSampler
from ssimae.training.stains.paint import paint_stains
from ssimae.training.train import train
from support.monitors import StopAtStep

GRAY = torch.full((40, 1, 64, 64), 0.5)


def test_stains_follow_from_seed_and_step_and_leave_the_patches_as_they_are() -> None:
    patches = GRAY.clone()
    painted = paint_stains(patches, 3, seed=4, step=7)
    assert torch.equal(patches, GRAY)
    assert torch.equal(painted, paint_stains(patches, 3, seed=4, step=7))
    assert not torch.equal(painted, paint_stains(patches, 3, seed=4, step=8))
    assert not torch.equal(painted, paint_stains(patches, 3, seed=5, step=7))
    assert painted.dtype == torch.float32
    assert 0 <= painted.min() < 0.1
    assert 0.9 < painted.max() <= 1


def flat_by_hand(patches: NDArray[np.float32], stains: int, *, seed: int, step: int) -> NDArray[np.float64]:
    """Paint ellipses pixel by pixel, in float64, as runs from before there were textured stains resume with."""
    rng = np.random.default_rng([seed, 8, step])
    count, channels, side, _ = patches.shape
    centres = rng.uniform(0, side, (count, stains, 2))
    semi_axes = side * np.exp(rng.uniform(math.log(1 / 32), math.log(0.3), (count, stains, 2)))
    angles = rng.uniform(0, np.pi, (count, stains))
    edges = rng.uniform(0.5, 3.0, (count, stains))
    opacities = rng.uniform(0.3, 1.0, (count, stains))
    values = rng.random((count, stains, channels), dtype=np.float32)
    painted = patches.astype(np.float64)
    row, column = np.mgrid[:side, :side]
    for patch, stain in np.ndindex(count, stains):
        down, across = row - centres[patch, stain, 0], column - centres[patch, stain, 1]
        cosine, sine = np.cos(angles[patch, stain]), np.sin(angles[patch, stain])
        long, wide = semi_axes[patch, stain]
        radius = np.hypot((across * cosine + down * sine) / long, (down * cosine - across * sine) / wide)
        inside = (1 - radius) * np.sqrt(long * wide) / edges[patch, stain]
        cover = np.clip(inside + 0.5, 0, 1) * opacities[patch, stain]
        painted[patch] += cover * (values[patch, stain, :, None, None] - painted[patch])
    return painted


@pytest.mark.parametrize(("channels", "side"), [(1, 32), (3, 64)])
def test_flat_stains_are_those_that_older_runs_resume_with(channels: int, side: int) -> None:
    patches = torch.rand(6, channels, side, side, generator=torch.Generator().manual_seed(0))
    painted = paint_stains(patches, 4, seed=3, step=5)
    # Float32 numbers lie 6e-8 apart below 1; the parameters, up to 64 pixels, are rounded to 4e-6 pixels.
    np.testing.assert_allclose(painted.numpy(), flat_by_hand(patches.numpy(), 4, seed=3, step=5), atol=3e-5)


def test_the_first_patches_of_a_batch_are_painted_alike_however_many_follow() -> None:
    """The last batch of an epoch is short; that must not matter more than that patches are missing."""
    short = paint_stains(GRAY[:5].clone(), 2, seed=0, step=0)
    assert short.shape == (5, 1, 64, 64)
    assert (short != 0.5).flatten(1).any(1).all()


@pytest.mark.parametrize("side", [32, 64, 128])
def test_a_stain_is_an_ellipse_of_one_value_within_the_promised_sizes(side: int) -> None:
    patches = torch.full((400, 1, side, side), 0.5)
    painted = paint_stains(patches, 1, seed=1, step=0)[:, 0].numpy()
    areas = []
    for patch in painted:
        changed = np.abs(patch - 0.5) > 1e-3
        border = changed[0].any() or changed[-1].any() or changed[:, 0].any() or changed[:, -1].any()
        if border or not changed.any():
            continue
        peak = patch.flat[np.abs(patch - 0.5).argmax()]  # the farthest from gray, which the middle has
        cover = (patch - 0.5) / (peak - 0.5)
        area = cover.sum()
        y, x = np.mgrid[:side, :side]
        cy, cx = (cover * y).sum() / area, (cover * x).sum() / area
        moments = np.array(
            [
                [(cover * (y - cy) ** 2).sum(), (cover * (y - cy) * (x - cx)).sum()],
                [(cover * (y - cy) * (x - cx)).sum(), (cover * (x - cx) ** 2).sum()],
            ]
        )
        if area > 300:  # of smaller ones the soft edge is too large a part
            # Semi-axes a and b give second moments a^2 / 4 and b^2 / 4, so that the area is 4 pi sqrt(determinant).
            expected = 4 * np.pi * np.sqrt(np.linalg.det(moments / area))
            assert patch[round(cy), round(cx)] == pytest.approx(peak, abs=1e-6)
            assert area == pytest.approx(expected, rel=0.12)
        areas.append(area)
    assert len(areas) > 100
    assert max(areas) < 1.1 * np.pi * (0.3 * side + 2) ** 2
    assert min(areas) > 0.3 * np.pi * (side / 32) ** 2


def test_colours_are_painted_on_all_channels() -> None:
    painted = paint_stains(torch.full((30, 3, 64, 64), 0.5), 2, seed=0, step=0)
    changed = (painted - 0.5).abs() > 1e-6
    assert (changed[:, 0] == changed[:, 1]).float().mean() > 0.99
    assert not torch.equal(painted[:, 0], painted[:, 1])


def test_no_stains_paint_nothing() -> None:
    assert torch.equal(paint_stains(GRAY.clone(), 0, seed=0, step=0), GRAY)


def test_the_loss_asks_for_the_patches_without_stains() -> None:
    settings = Settings(loss="l2", patch_size=64, latent_dim=8, stains=2)
    model = new_autoencoder(settings, seed=0)
    patches = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    painted = paint_stains(patches, 2, seed=0, step=0)
    loss = l2.training_loss(model, Batch(patches, painted), settings, precision="float32")
    assert float(loss.detach()) == pytest.approx(float((model(painted) - patches).detach().square().mean()), rel=1e-6)


def few(**changes: object) -> Settings:
    return Settings(
        loss="l2", patch_size=32, latent_dim=8, patches=24, epochs=2, batch_size=16, precision="float32", **changes
    )


def test_training_shows_stains_and_asks_for_the_crops_below() -> None:
    """The weights after training are those of the same steps taken by hand."""
    settings, image = few(stains=3, seed=5), np.random.default_rng(0).random((50, 60), dtype=np.float32)
    found = train([image], settings, device=torch.device("cpu")).model
    model = new_autoencoder(settings, seed=5).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    crops = CropSampler([image], settings)
    for step in range(4):
        crop = crops.batch(step)
        painted = paint_stains(crop, 3, seed=5, step=step)
        loss = (model(painted.contiguous(memory_format=torch.channels_last)) - crop).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    plain = train([image], few(stains=0, seed=5), device=torch.device("cpu")).model
    for name, weights in model.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weights, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(found.state_dict()[name], weights) for name, weights in plain.state_dict().items())


def test_an_interrupted_training_with_stains_ends_with_the_same_weights(tmp_path: Path) -> None:
    settings, image = few(stains=2), np.random.default_rng(0).random((50, 60), dtype=np.float32)
    whole = train([image], settings, device=torch.device("cpu")).model
    with pytest.raises(InterruptedRunError):
        train([image], settings, device=torch.device("cpu"), state=tmp_path / "s", monitor=StopAtStep(2))
    resumed = train([image], settings, device=torch.device("cpu"), state=tmp_path / "s").model
    for name, weights in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], weights)


@pytest.mark.parametrize(("stains", "said"), [(-1, "at least 0"), (1.5, "whole number"), (True, "whole number")])
def test_settings_refuse_what_is_no_number_of_stains(stains: object, said: str) -> None:
    with pytest.raises(ValueError, match=f"`stains` must be.*{said}"):
        Settings(stains=stains)
