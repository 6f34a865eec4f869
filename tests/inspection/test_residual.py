"""Residual maps of whole images: the mirrored margin."""

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator
from ssimae import evaluate_maps, ssim_loss
from ssimae.config.settings import Settings
from ssimae.engines.engine import Engine
from ssimae.engines.pytorch import TorchRebuilder, torch_engine
from ssimae.inspection import residual as module
from ssimae.inspection.comparison import compare_patches
from ssimae.inspection.residual import inspect_image
from ssimae.losses import ssim
from ssimae.losses.network import reconstruct
from ssimae.losses.protocol import loss_module
from ssimae.models.autoencoder import Autoencoder
from ssimae.storage.run_folder import RunFolder
from ssimae.tiling import extract_patches, stitch_patches
from support.small_data import small_facts


def settings(**changes: object) -> Settings:
    return Settings(**{"patch_size": 32, "latent_dim": 8, "stride": 16, "opening": 0, **changes})


def on_cpu(model: Autoencoder, chosen: Settings) -> Engine:
    return torch_engine(model, chosen, device=torch.device("cpu"), precision="float32")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("loss", ["ssim", "l2", "vae", "fm"])
def test_an_image_is_compared_as_its_loss_says_to_the_last_bit(loss: str, channels: int) -> None:
    chosen = settings(loss=loss, channels=channels, residual_scales=3, variance_floor=0.3)
    x, y, variances = np.random.default_rng(0).random((3, 2, channels, 91, 74), dtype=np.float32)
    spread = variances if loss == "vae" else None
    planes = [None if part is None else torch.from_numpy(part) for part in (x, y, spread)]
    want = loss_module(chosen).residual(planes[0], planes[1], chosen, planes[2])
    np.testing.assert_array_equal(compare_patches(x, y, chosen, spread), want.numpy())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("average", [False, True])
def test_the_margin_is_mirrored_and_cut_off_again(channels: int, average: bool) -> None:
    chosen = settings(channels=channels, margin=13, residual_average=average)
    rng = np.random.default_rng(0)
    image = rng.random((40, 51, channels) if channels == 3 else (40, 51), dtype=np.float32)
    model = Autoencoder(8, 32, channels, seed=0).eval()
    reconstruction, residual = inspect_image(on_cpu(model, chosen), image, chosen)
    assert reconstruction.shape == image.shape
    assert residual.shape == (40, 51)
    padded = np.pad(image, [(13, 13), (13, 13), (0, 0)][: image.ndim], mode="reflect")
    patches = extract_patches(padded, patch_size=32, stride=16).reshape(-1, channels, 32, 32)
    rebuilt = reconstruct(model, torch.from_numpy(patches), "float32")
    flat = rebuilt.numpy() if channels == 3 else rebuilt.numpy()[:, 0]
    want = stitch_patches(flat, height=66, width=77, stride=16)[13:-13, 13:-13]
    np.testing.assert_allclose(reconstruction, want, atol=1e-6)
    if average:
        maps = ssim.residual(torch.from_numpy(patches), rebuilt, chosen).numpy()
        np.testing.assert_allclose(
            residual, stitch_patches(maps, height=66, width=77, stride=16)[13:-13, 13:-13], atol=1e-5
        )


def test_without_a_margin_the_image_is_tiled_as_it_is() -> None:
    image = np.random.default_rng(1).random((32, 32), dtype=np.float32)
    model = Autoencoder(8, 32, 1, seed=0).eval()
    reconstruction, _ = inspect_image(on_cpu(model, settings(margin=0)), image, settings(margin=0))
    want = reconstruct(model, torch.from_numpy(image[None, None]), "float32")[0, 0].numpy()
    np.testing.assert_allclose(reconstruction, want, atol=1e-6)


@pytest.mark.parametrize(("side", "stride", "length", "batches"), [(32, 4, 100, [256, 68]), (64, 8, 128, [64, 17])])
def test_small_patches_come_in_larger_batches(
    side: int, stride: int, length: int, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(patch_size=side, stride=stride)
    image = np.random.default_rng(2).random((length, length), dtype=np.float32)
    engine = on_cpu(Autoencoder(8, side, 1, seed=0).eval(), chosen)
    seen: list[int] = []
    rebuild = TorchRebuilder.rebuild

    def counted(self: TorchRebuilder, patches: np.ndarray, *, first: int) -> object:
        seen.append(len(patches))
        return rebuild(self, patches, first=first)

    monkeypatch.setattr(TorchRebuilder, "rebuild", counted)
    reconstruction, residual = inspect_image(engine, image, chosen)
    assert seen == batches
    monkeypatch.setattr(module, "BATCH", 16)
    monkeypatch.setattr(module, "_BATCH_PIXELS", 0)
    again = inspect_image(engine, image, chosen)
    np.testing.assert_allclose(again[0], reconstruction, atol=1e-6)
    np.testing.assert_allclose(again[1], residual, atol=1e-5)


@pytest.mark.parametrize("margin", [-1, 32])
def test_a_margin_that_has_nothing_to_mirror_is_refused(margin: int) -> None:
    with pytest.raises(ValueError, match=r"`margin` must be in 0\.\.patch_size - 1 \(31\)"):
        settings(margin=margin)


def halved(planes: np.ndarray) -> np.ndarray:
    """Means of blocks of 2 x 2; of what there is, where the border cuts one."""
    count, height, width = planes.shape
    padded = np.pad(planes, [(0, 0), (0, height % 2), (0, width % 2)], constant_values=np.nan)
    return np.nanmean(padded.reshape(count, -(-height // 2), 2, -(-width // 2), 2), axis=(2, 4)).astype(np.float32)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 67), (45, 80)])
def test_scales_are_averaged_at_their_places(height: int, width: int) -> None:
    x, y = torch.rand(2, 2, 1, height, width, generator=torch.Generator().manual_seed(0))
    chosen = settings(patch_size=64, residual_scales=3)
    found = ssim.residual(x, y, chosen).numpy()
    assert chosen.n_scales == 3
    total = np.zeros((2, height, width))
    planes = [x[:, 0].numpy(), y[:, 0].numpy()]
    for scale in range(3):
        if scale:
            planes = [halved(plane) for plane in planes]
        maps = ssim.residual(
            *(torch.from_numpy(plane)[:, None] for plane in planes), settings(residual_scales=1)
        ).numpy()
        centres = [(np.arange(count) + 0.5) * 2**scale - 0.5 for count in maps.shape[1:]]
        places = [np.clip(np.arange(length), centre[0], centre[-1]) for length, centre in zip((height, width), centres)]
        grid = np.stack(np.meshgrid(*places, indexing="ij"), axis=-1)
        total += np.stack([RegularGridInterpolator(centres, each)(grid) for each in maps])
    np.testing.assert_allclose(found, total / 3, atol=1e-4)
    assert found.shape == (2, height, width)


def test_one_scale_is_the_paper_s_residual() -> None:
    x, y = torch.rand(2, 1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    wanted = ssim_loss(x, y, data_range=1.0, window="uniform", reduction="none")[0]
    assert torch.equal(ssim.residual(x, y, settings(residual_scales=1)), wanted)


@pytest.mark.parametrize(("patch_size", "window", "scales"), [(32, 11, 2), (64, 11, 3), (128, 11, 3), (64, 19, 2)])
def test_scales_at_which_a_patch_is_smaller_than_the_window_are_left_out(
    patch_size: int, window: int, scales: int
) -> None:
    assert settings(patch_size=patch_size, residual_window_size=window, residual_scales=3).n_scales == scales


def test_coarse_scales_see_a_defect_larger_than_the_window() -> None:
    rng = np.random.default_rng(0)
    rebuilt = rng.normal(0.5, 0.05, (96, 96)).astype(np.float32)
    image = rebuilt + rng.normal(0, 0.05, (96, 96)).astype(np.float32)  # noise that is nowhere rebuilt
    image[30:70, 30:70] += (0.02 * np.sign(np.sin(np.arange(40) / 6)))[None, :]  # slow and faint
    mask = np.zeros((96, 96), np.bool_)
    mask[30:70, 30:70] = True
    pair = [torch.from_numpy(plane)[None, None] for plane in (image, rebuilt)]
    fine, all_ = (
        evaluate_maps([ssim.residual(*pair, settings(patch_size=64, residual_scales=count))[0].numpy()], [mask]).auroc
        for count in (1, 3)
    )
    assert all_ > fine


def test_settings_of_before_scales_keep_the_residual_they_had(tmp_path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_config(settings(), small_facts())
    text = folder.config.read_text()
    folder.config.write_text("".join(line for line in text.splitlines(True) if "residual_scales" not in line))
    assert folder.read_settings().residual_scales == 1
    # A file of one's own leaves defaults out.
    folder.config.write_text("[settings]\nlr = 0.5\n")
    assert folder.read_settings().residual_scales == Settings().residual_scales


@pytest.mark.parametrize("loss", ["ssim", "l2"])
def test_flips_keep_the_lowest_residual_of_four_mirrored_images(loss: str) -> None:
    image = np.random.default_rng(0).random((45, 60), dtype=np.float32)
    model = Autoencoder(8, 32, 1, seed=0).eval()

    def inspect(plane: np.ndarray, *, flips: bool) -> tuple[np.ndarray, np.ndarray]:
        chosen = settings(loss=loss, residual_flips=flips)
        return inspect_image(on_cpu(model, chosen), np.ascontiguousarray(plane), chosen)

    reconstruction, found = inspect(image, flips=True)
    each = [inspect(image[::down, ::right], flips=False)[1][::down, ::right] for down in (1, -1) for right in (1, -1)]
    np.testing.assert_array_equal(found, np.min(each, axis=0))
    np.testing.assert_array_equal(reconstruction, inspect(image, flips=False)[0])
    # An image mirrored gives the map mirrored, which without flips it does not.
    np.testing.assert_allclose(inspect(image[:, ::-1], flips=True)[1], found[:, ::-1], atol=1e-6)
    assert (each[0] != each[1]).any()
