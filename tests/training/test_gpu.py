"""Training and inspection on a CUDA device: what the CPU computes, the same bits each time, the whole way of a run."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.engines.pytorch import torch_engine
from ssimae.errors import InterruptedRunError
from ssimae.hardware import steady
from ssimae.inspection.residual import inspect_image
from ssimae.models.build import new_autoencoder, place
from ssimae.training.batches import batches
from ssimae.training.crops import CropSampler
from ssimae.training.gradients import gradients_of
from ssimae.training.train import train
from support.monitors import StopAtStep
from support.small_data import SETTINGS, write_small_dataset

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
IMAGE = np.random.default_rng(0).random((90, 120), dtype=np.float32)
SMALL = Settings(
    patch_size=64, latent_dim=16, patches=40, epochs=3, batch_size=16, stride=16, precision="float32", stains=2
)


def of(loss: str) -> Settings:
    return dataclasses.replace(SMALL, loss=loss)


@pytest.mark.parametrize("loss", ["ssim", "l2", "vae"])
@steady()  # without which float32 is TF32
def test_losses_and_gradients_are_those_of_the_cpu(loss: str) -> None:
    """Of several batches, also short ones, in turn: a captured graph must take each one's own values."""
    found = {}
    for device in (CPU, CUDA):
        model = place(new_autoencoder(of(loss), seed=0), device)
        gradients = gradients_of(model, of(loss), precision="float32", features=None, device=device)
        found[device.type] = [
            (float(gradients(batch)), torch.cat([part.grad.cpu().flatten() for part in model.parameters()]))
            for batch in batches(CropSampler([IMAGE], of(loss)), of(loss), 0, 6, device=device)
        ]
    for (loss_here, here), (loss_there, there) in zip(found["cpu"], found["cuda"]):
        assert loss_there == pytest.approx(loss_here, rel=1e-4)
        assert (here - there).norm() < 5e-3 * here.norm()  # SSIM of noise: 2e-3 on an H200


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("loss", ["ssim", "vae"])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, loss: str, precision: str) -> None:
    settings = dataclasses.replace(of(loss), precision=precision)
    whole = train([IMAGE], settings, device=CUDA).model
    with pytest.raises(InterruptedRunError):
        train([IMAGE], settings, device=CUDA, state=tmp_path / "s", monitor=StopAtStep(4))
    resumed = train([IMAGE], settings, device=CUDA, state=tmp_path / "s").model
    for name, weights in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], weights)


@pytest.mark.parametrize("loss", ["ssim", "vae"])
def test_residuals_are_those_of_the_cpu(loss: str) -> None:
    model = new_autoencoder(of(loss), seed=0).eval()
    maps = [
        inspect_image(torch_engine(model.to(device), of(loss), device=device, precision="float32"), IMAGE, of(loss))
        for device in (CPU, CUDA)
    ]
    for here, there in zip(*maps):
        np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-3 * np.abs(here).max())


@pytest.mark.parametrize("system", [[], ["--loss", "vae"], ["--loss", "fm", "--features", "random"]])
def test_a_run_goes_the_whole_way(tmp_path: Path, system: list[str]) -> None:
    data, out = write_small_dataset(tmp_path / "data"), tmp_path / "out"
    assert main(["run", "--data", str(data), "--out", str(out), "--device", "cuda", *SETTINGS, *system]) == 0
    assert json.loads((out / "metrics.json").read_text())["n_regions"] == 2
    assert "CUDA" in (out / "config.toml").read_text()
    assert (
        main(
            [
                "predict",
                str(out),
                str(data / "test/hole"),
                "--out",
                str(tmp_path / "again"),
                "--device",
                "cpu",
                "--allow-collapsed",
            ]
        )
        == 0
    )


def test_a_dictionary_goes_the_whole_way(tmp_path: Path) -> None:
    data, out = write_small_dataset(tmp_path / "data"), tmp_path / "out"
    flags = ["--method", "dictionary", "--features", "random", "--patches", "600", "--dictionary-size", "10"]
    assert main(["run", "--data", str(data), "--out", str(out), "--device", "cuda", *SETTINGS, *flags]) == 0
    assert json.loads((out / "metrics.json").read_text())["n_regions"] == 2
