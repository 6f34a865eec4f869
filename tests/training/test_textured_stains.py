"""Textured stains hold the surface from elsewhere, cover says where they lie, and all follows from seed and step."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from ssimae import _rust
from ssimae.config.settings import Settings
from ssimae.config.stored import settings_from_dict
from ssimae.training.batches import make_batch
from ssimae.training.crops import CropSampler
from ssimae.training.stains.paint import paint_stains
from ssimae.training.stains.textures import Sizes, draw_textured
from torch import Tensor


def surface(count: int, channels: int = 1, side: int = 64) -> Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0))


def textured(patches: Tensor, stains: int = 3, *, seed: int = 0, step: int = 0, cover: Tensor | None = None) -> Tensor:
    return paint_stains(patches, stains, fill="textured", seed=seed, step=step, cover=cover)


def test_they_follow_from_seed_and_step_and_leave_the_batch_as_it_is() -> None:
    patches = surface(20)
    before = patches.clone()
    painted = textured(patches, seed=4, step=7)
    assert torch.equal(patches, before)
    assert torch.equal(painted, textured(patches, seed=4, step=7))
    assert not torch.equal(painted, textured(patches, seed=4, step=8))
    assert not torch.equal(painted, textured(patches, seed=5, step=7))
    assert not torch.equal(painted, paint_stains(patches, 3, seed=4, step=7))
    assert (painted.dtype, painted.shape) == (torch.float32, patches.shape)
    assert 0 <= painted.min() < painted.max() <= 1


def test_they_do_not_depend_on_the_number_of_threads() -> None:
    program = (
        "import hashlib, torch; from ssimae.training.stains.paint import paint_stains;"
        "patches = torch.rand(33, 3, 32, 32, generator=torch.Generator().manual_seed(0));"
        "painted = paint_stains(patches, 4, fill='textured', seed=0, step=0);"
        "print(hashlib.sha256(painted.numpy().tobytes()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "RAYON_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "4")
    }
    assert len(found) == 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fill", ["flat", "textured"])
def test_pixels_change_where_they_are_covered_and_nowhere_else(fill: str, channels: int) -> None:
    patches = surface(60, channels)
    cover = torch.full((60, 64, 64), torch.nan)
    painted = paint_stains(patches, 3, fill=fill, seed=1, step=2, cover=cover)  # type: ignore[arg-type]
    assert 0 <= cover.min() < cover.max() <= 1
    assert 0.02 < cover.mean() < 0.3
    change = (painted - patches).abs().amax(1)
    assert (change[cover == 0] == 0).all()
    # No value lies farther than 1 from another, so a pixel changes by its cover at most.
    assert (change <= cover + 1e-6).all()
    # On noise, hardly any value of a stain is that of the pixel below it.
    assert (change[cover > 0.3] > 1e-3).float().mean() > 0.95
    assert torch.equal(painted, paint_stains(patches, 3, fill=fill, seed=1, step=2))  # type: ignore[arg-type]


def test_cover_is_whole_minus_what_each_stain_leaves() -> None:
    """Stains of value 1 on black show the cover, one at a time and together."""
    patches = torch.zeros(8, 1, 32, 32)
    values, shapes = draw_textured(np.random.default_rng(0), patches, 3)
    shapes["textures"]["contrasts"][:] = 0
    left, cover = np.ones((8, 32, 32)), np.empty((8, 32, 32), np.float32)
    for stain in range(3):
        painted = np.zeros((8, 1, 32, 32), np.float32)
        read = {
            name: numbers if name in ("patches", "noise") else np.ascontiguousarray(numbers[:, stain : stain + 1])
            for name, numbers in shapes["textures"].items()
        }
        one = {name: numbers[:, stain : stain + 1].copy() for name, numbers in shapes.items() if name != "textures"}
        _rust.paint_stains(painted, np.ones((8, 1, 1), np.float32), **one, textures=read)
        left *= 1 - painted[:, 0]
    painted = np.zeros((8, 1, 32, 32), np.float32)
    _rust.paint_stains(painted, np.ones_like(values), **shapes, cover=cover)
    np.testing.assert_allclose(cover, 1 - left, atol=1e-6)
    np.testing.assert_allclose(painted[:, 0], cover, atol=1e-6)


def test_a_piece_of_surface_holds_pixels_of_another_patch_and_never_its_own() -> None:
    """Each patch has a gray value of its own, so what lies whole over it says where it comes from."""
    count = 400
    patches = (torch.arange(count) + 0.5).div(count)[:, None, None, None].expand(-1, 1, 64, 64).contiguous()
    values, shapes = draw_textured(np.random.default_rng(1), patches, 2)
    textures = shapes["textures"]
    sources = textures["sources"]
    surfaces = (sources >= 0) & (textures["contrasts"] != 0)
    assert not (sources == np.arange(count)[:, None]).any()
    assert len(np.unique(sources[surfaces])) > count / 2
    plain = surfaces & (textures["contrasts"] == 1) & (values[..., 0] == 0)
    shapes["opacities"][:] = 1
    painted, cover = patches.numpy().copy(), np.empty((count, 64, 64), np.float32)
    _rust.paint_stains(painted, values, **shapes, cover=cover)
    checked = 0
    for patch in np.flatnonzero(plain[:, 1]):
        # The second stain lies on top.
        row, column = np.rint(shapes["centres"][patch, 1]).astype(int).clip(0, 63)
        if min(shapes["semi_axes"][patch, 1]) > 4:
            assert painted[patch, 0, row, column] == pytest.approx((sources[patch, 1] + 0.5) / count, abs=1e-6)
            checked += 1
    assert checked > 5


def test_a_piece_of_surface_keeps_the_colours_of_its_source() -> None:
    """In a batch where all channels are alike, only flat stains and noise bring colours in."""
    patches = surface(100).expand(-1, 3, -1, -1).contiguous()
    values, shapes = draw_textured(np.random.default_rng(0), patches, 1)
    cover = np.empty((100, 64, 64), np.float32)
    painted = patches.numpy().copy()
    _rust.paint_stains(painted, values, **shapes, cover=cover)
    textures = shapes["textures"]
    surfaces = ((textures["sources"] >= 0) & (textures["contrasts"] != 0))[:, 0]
    coloured = (np.ptp(painted, axis=1) > 1e-6).any((1, 2))
    assert not coloured[surfaces].any()
    assert coloured[~surfaces & (cover > 0).any((1, 2))].all()


def test_one_patch_alone_is_read_itself() -> None:
    patches = surface(1)
    assert set(draw_textured(np.random.default_rng(0), patches, 50)[1]["textures"]["sources"].ravel()) == {-1, 0}
    assert not torch.equal(textured(patches, 5), patches)


def test_kinds_sizes_rims_and_opacities_are_those_that_are_promised() -> None:
    side, count = 128, 400
    _, shapes = draw_textured(np.random.default_rng(0), torch.full((count, 1, side, side), 0.5), 5)
    textures, stains = shapes["textures"], count * 5
    noise = textures["sources"] == -1
    flat = ~noise & (textures["contrasts"] == 0)
    for kind, share in [(noise, 0.2), (flat, 0.2), (~noise & ~flat, 0.6)]:
        assert kind.mean() == pytest.approx(share, abs=4 * spread(share, stains))
    assert (textures["contrasts"][~noise & ~flat] < 0).mean() == pytest.approx(0.2, abs=0.05)
    semi_axes, edges = shapes["semi_axes"], shapes["edges"]
    assert semi_axes.max() <= 0.3 * side + 1e-3
    assert 0.5 <= semi_axes.min() < 1
    assert (semi_axes.max(-1) / semi_axes.min(-1) > 13).mean() > 0.08  # streaks; of an ellipse, it is 12 at most
    assert (edges >= 0.5).all()
    assert (edges <= 8).all()
    assert edges.max() > 7
    assert 0.3 <= shapes["opacities"].min() < 0.32
    assert 0.98 < shapes["opacities"].max() <= 1
    # Lengths of one step in the source: 1/2 to 2 on the surface, one by the grain in the noise.
    steps = np.linalg.norm(textures["steps"].reshape(count, 5, 2, 2), axis=-2)
    for kind, least, most in [(~noise, 1 / 2, 2), (noise, 1 / 12, 1)]:
        assert least * 0.999 <= steps[kind].min() < least * 1.05
        assert most * 0.95 < steps[kind].max() <= most * 1.001


def spread(share: float, count: int) -> float:
    """Return the standard deviation of the share of `count` draws that have a probability."""
    return float(np.sqrt(share * (1 - share) / count))


def test_no_stains_paint_nothing_and_cover_nothing() -> None:
    cover = torch.full((3, 64, 64), torch.nan)
    assert torch.equal(textured(surface(3), 0, cover=cover), surface(3))
    assert (cover == 0).all()


def test_batches_have_the_stains_that_the_settings_ask_for() -> None:
    image = np.random.default_rng(0).random((50, 60), dtype=np.float32)
    settings = Settings(patch_size=32, patches=24, batch_size=16, stains=2, stain_fill="textured", seed=3)
    batch = make_batch(CropSampler([image], settings), settings, 1)
    assert batch.painted is not None
    assert torch.equal(batch.painted, textured(batch.crops, 2, seed=3, step=1))


def test_files_from_before_there_was_a_choice_mean_flat_stains() -> None:
    assert settings_from_dict({"stains": 3}, stored=True).stain_fill == "flat"
    with pytest.raises(ValueError, match=r"`stain_fill` must be.*flat, textured"):
        Settings(stain_fill="wavy")  # type: ignore[arg-type]


def test_arrays_that_do_not_fit_are_refused() -> None:
    patches = surface(2)
    with pytest.raises(ValueError, match=r"`cover` must have shape \(2, 64, 64\)"):
        textured(patches, cover=torch.empty(2, 64, 63))
    values, shapes = draw_textured(np.random.default_rng(0), patches, 3)
    painted = patches.numpy().copy()
    for name, wrong in [
        ("patches", patches.numpy()[:, :, :32, :32].copy()),
        ("noise", np.zeros((64, 63), np.float32)),
        ("sources", np.full((2, 3), 2)),
        ("sources", np.full((2, 3), -2)),
        ("lobes", np.zeros((2, 3, 4), np.float32)),
        ("origins", np.zeros((2, 2, 2), np.float32)),
        ("patches", painted),  # read while it is painted
    ]:
        with pytest.raises(ValueError, match=r"textures|lobes|origins|array"):
            _rust.paint_stains(painted, values, **{**shapes, "textures": {**shapes["textures"], name: wrong}})


def test_sizes_bound_the_semi_axes_and_change_nothing_else() -> None:
    patches, sizes = surface(40), Sizes(ellipses=(0.1, 0.12), streaks=(0.2, 0.25))
    _, shapes = draw_textured(np.random.default_rng(2), patches, 3, sizes)
    _, usual = draw_textured(np.random.default_rng(2), patches, 3)
    longest = shapes["semi_axes"].max(-1) / 64
    streaks = longest > 0.15
    assert streaks.any()
    assert ((longest[streaks] >= 0.2 - 1e-6) & (longest[streaks] <= 0.25 + 1e-6)).all()
    assert ((longest[~streaks] >= 0.1 - 1e-6) & (longest[~streaks] <= 0.12 + 1e-6)).all()
    assert np.array_equal(shapes["centres"], usual["centres"])
    assert np.array_equal(shapes["opacities"], usual["opacities"])
