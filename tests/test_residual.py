"""Residual maps of whole images: the mirrored margin."""

import numpy as np
import pytest
import torch
from ssimae.config import Settings
from ssimae.model import Autoencoder
from ssimae.residual import difference, inspect_image, reconstruct
from ssimae.tiling import extract_patches, stitch_patches


def settings(**changes: object) -> Settings:
    return Settings(**{"patch_size": 32, "latent_dim": 8, "stride": 16, "opening": 0, **changes})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("average", [False, True])
def test_the_margin_is_mirrored_and_cut_off_again(channels: int, average: bool) -> None:
    chosen = settings(channels=channels, margin=13, residual_average=average)
    rng = np.random.default_rng(0)
    image = rng.random((40, 51, channels) if channels == 3 else (40, 51), dtype=np.float32)
    model = Autoencoder(8, 32, channels, seed=0).eval()
    reconstruction, residual = inspect_image(model, image, chosen, device=torch.device("cpu"), precision="float32")
    assert reconstruction.shape == image.shape
    assert residual.shape == (40, 51)
    padded = np.pad(image, [(13, 13), (13, 13), (0, 0)][: image.ndim], mode="reflect")
    patches = extract_patches(padded, patch_size=32, stride=16).reshape(-1, channels, 32, 32)
    rebuilt = reconstruct(model, torch.from_numpy(patches), "float32")
    flat = rebuilt.numpy() if channels == 3 else rebuilt.numpy()[:, 0]
    want = stitch_patches(flat, height=66, width=77, stride=16)[13:-13, 13:-13]
    np.testing.assert_allclose(reconstruction, want, atol=1e-6)
    if average:
        maps = difference(torch.from_numpy(patches), rebuilt, chosen).numpy()
        np.testing.assert_allclose(
            residual, stitch_patches(maps, height=66, width=77, stride=16)[13:-13, 13:-13], atol=1e-5
        )


def test_without_a_margin_the_image_is_tiled_as_it_is() -> None:
    image = np.random.default_rng(1).random((32, 32), dtype=np.float32)
    model = Autoencoder(8, 32, 1, seed=0).eval()
    reconstruction, _ = inspect_image(model, image, settings(margin=0), device=torch.device("cpu"), precision="float32")
    want = reconstruct(model, torch.from_numpy(image[None, None]), "float32")[0, 0].numpy()
    np.testing.assert_allclose(reconstruction, want, atol=1e-6)


@pytest.mark.parametrize("margin", [-1, 32])
def test_a_margin_that_has_nothing_to_mirror_is_refused(margin: int) -> None:
    with pytest.raises(ValueError, match=r"`margin` must be in 0\.\.patch_size - 1 \(31\)"):
        settings(margin=margin)
