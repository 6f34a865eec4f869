"""Timings beside the paper's: the plain script computes the same, and the table says what was not timed."""

import json

import numpy as np
import pytest
import torch
from ssimae import ssim_loss
from ssimae.config.settings import Settings
from ssimae.engines.pytorch import torch_engine
from ssimae.inspection.residual import inspect_image
from ssimae.losses.network import reconstruct
from ssimae.models.autoencoder import Autoencoder
from ssimae.progress import SilentProgress
from ssimae.reproduce.runtime import measure as runtime
from ssimae.reproduce.runtime.measure import MEASURES, PLAIN, Timing, measure_runtime, runtime_dict, runtime_table
from ssimae.reproduce.runtime.plain import PlainAutoencoder, plain_inspect, plain_patches, plain_step

CPU = torch.device("cpu")
ROUNDING = 1e-4
"""Float32 sums in another order, through eighteen layers."""


@pytest.fixture
def pair() -> tuple[Autoencoder, PlainAutoencoder]:
    ours = Autoencoder(16, seed=0).eval()
    plain = PlainAutoencoder(16)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def test_the_script_has_the_same_network(pair: tuple[Autoencoder, PlainAutoencoder]) -> None:
    ours, plain = pair
    patches = torch.rand(3, 1, 128, 128)
    with torch.no_grad():
        wanted = plain(patches).numpy()
    np.testing.assert_allclose(reconstruct(ours, patches, "float32").numpy(), wanted, atol=ROUNDING)


def test_the_script_has_the_same_loss_inside_the_border(pair: tuple[Autoencoder, PlainAutoencoder]) -> None:
    pytest.importorskip("pytorch_msssim")
    _, plain = pair
    patches = torch.rand(2, 1, 128, 128)
    with torch.no_grad():
        wanted = float(ssim_loss(plain(patches), patches, data_range=1.0, window="uniform", border="valid"))
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    assert plain_step(plain, optimizer, patches) == pytest.approx(wanted, abs=ROUNDING)
    assert plain_step(plain, optimizer, patches) < wanted


def test_the_script_finds_the_same_residuals_inside_the_border(pair: tuple[Autoencoder, PlainAutoencoder]) -> None:
    pytest.importorskip("skimage")
    ours, plain = pair
    image = np.random.default_rng(0).random((170, 190), dtype=np.float32)
    settings = Settings(latent_dim=16, residual_window="uniform", residual_scales=1, border="symmetric")
    found, residual = inspect_image(torch_engine(ours, settings, device=CPU, precision="float32"), image, settings)
    wanted, plain_residual = plain_inspect(plain, image)
    np.testing.assert_allclose(found, wanted, atol=ROUNDING)
    inner = slice(8, -8)  # SciPy's opening continues the image otherwise
    np.testing.assert_allclose(residual[inner, inner], plain_residual[inner, inner], atol=10 * ROUNDING)


def test_patches_of_the_script_are_parts_of_the_image() -> None:
    image = np.arange(130 * 140, dtype=np.float32).reshape(130, 140)
    patches = plain_patches([image], 5, np.random.default_rng(0)).numpy()[:, 0]
    for patch in patches:
        row, column = np.divmod(int(patch[0, 0]), 140)
        np.testing.assert_array_equal(patch, image[row : row + 128, column : column + 128])


def test_every_system_is_timed_for_every_measure_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "HEIGHT", 128)
    monkeypatch.setattr(runtime, "WIDTH", 160)
    monkeypatch.setattr(runtime, "_STEPS", 1)
    monkeypatch.setattr(runtime, "preset", lambda name: Settings(latent_dim=8, batch_size=2))
    timings, missing = measure_runtime(rounds=2, device=CPU, progress=SilentProgress())
    found = {(timing.system.split(",")[0], timing.measure) for timing in timings}
    for system in ("SSIM-AE", "L2-AE", "VAE", "FM-AE", PLAIN):
        if system not in missing:
            assert {(system, measure) for measure in MEASURES} <= found, system
    assert ("CNN dictionary", "step") not in found
    assert all(len(timing.seconds) == 2 and min(timing.seconds) > 0 for timing in timings)
    stored = json.loads(json.dumps(runtime_dict(timings, CPU)))
    assert stored["seconds"]["image"].keys() == {timing.system for timing in timings}


def test_the_table_shows_the_paper_and_ratios_of_rounds() -> None:
    timings = [
        Timing("SSIM-AE, float32", "forward", (0.002, 0.004, 0.002)),
        Timing(PLAIN, "forward", (0.004, 0.012, 0.004)),
    ]
    text = runtime_table(timings, {"FM-AE": "no torchvision"})
    assert "2.00 (2.00 to 2.50)" in text
    assert "paper, Tesla V100          2.230" in text
    assert "15000 to 55000" in text
    assert "not timed: FM-AE: no torchvision" in text
