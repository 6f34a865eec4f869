"""The paper's other systems: VAE, FM-AE and the dictionary, each on the same way as SSIM-AE."""

import csv
import dataclasses
import inspect
import json
import tomllib
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from ssimae import Detector
from ssimae.cli import main
from ssimae.config.settings import Settings, as_system
from ssimae.config.systems import ROWS, TITLES, Loss, Method, Pretrained, System
from ssimae.engines.pytorch import torch_engine
from ssimae.errors import InterruptedRunError
from ssimae.inspection.residual import inspect_image
from ssimae.losses import fm, vae
from ssimae.losses.batch import Batch
from ssimae.losses.protocol import LossModule, constant_loss, loss_module
from ssimae.models.autoencoder import Autoencoder, VariationalAutoencoder
from ssimae.models.features import AlexNetFeatures
from ssimae.storage.model_file import load_model
from ssimae.training.batches import make_batch
from ssimae.training.crops import CropSampler
from ssimae.training.learn import learn
from ssimae.training.train import train
from support.monitors import LogKeeper, StopAtStep
from support.small_data import SETTINGS, write_small_dataset
from torch.distributions import Normal, kl_divergence

CPU = torch.device("cpu")
ROUNDING = 1e-5
"""Float32, sums of some thousand terms of order one."""

SMALL = Settings(patch_size=32, latent_dim=8, patches=48, epochs=2, batch_size=16, stride=16, precision="float32")

FLAGS = {
    "vae": ["--loss", "vae"],
    "fm": ["--loss", "fm", "--features", "random"],
    "dictionary": ["--method", "dictionary", "--features", "random", "--patches", "600", "--dictionary-size", "10"],
}


@pytest.fixture
def data(tmp_path):
    return write_small_dataset(tmp_path / "data")


@pytest.mark.parametrize("system", FLAGS)
def test_a_system_goes_the_whole_way(data, tmp_path, capsys, system):
    out = tmp_path / "out"
    assert main(["run", "--data", str(data), "--out", str(out), *SETTINGS, *FLAGS[system]]) == 0
    assert f"{TITLES[system]}: pixel AUROC" in capsys.readouterr().out
    facts = tomllib.loads((out / "config.toml").read_text())["run"]
    assert facts.get("features") == (None if system == "vae" else "random:0")
    assert json.loads((out / "metrics.json").read_text())["n_regions"] == 2
    assert TITLES[system] in (out / "report.html").read_text()
    # The model file is enough to inspect with, and gives the same maps.
    again = tmp_path / "again"
    assert main(["predict", str(out), str(data / "test/hole"), "--out", str(again), "--allow-collapsed"]) == 0
    with (out / "predictions.csv").open() as first, (again / "predictions.csv").open() as second:
        scores = [{row["image"]: row["score"] for row in csv.DictReader(file)} for file in (first, second)]
    assert scores[1].items() <= scores[0].items()
    assert len(scores[1]) == 2


def test_a_dictionary_has_no_reconstruction_and_its_report_does_not_miss_it(data, tmp_path):
    out = tmp_path / "out"
    flags = ["--data", str(data), "--out", str(out), *SETTINGS, *FLAGS["dictionary"]]
    assert main(["run", *flags]) == 0
    assert not (out / "reconstructions").exists()
    assert "reconstruction" not in (out / "report.html").read_text().split("<details")[0].lower()


def test_systems_are_compared_in_one_run(data, tmp_path):
    out = tmp_path / "out"
    assert main(["run", "--data", str(data), "--out", str(out), "--compare", "vae", *SETTINGS]) == 0
    page = (out / "report.html").read_text()
    assert "SSIM-AE" in page
    assert "VAE" in page
    assert "encoder.16.weight" in load_file(out / "vae/model.safetensors")


@pytest.mark.parametrize("system", ["fm", "dictionary"])
def test_missing_weights_are_named_before_any_work(data, tmp_path, capsys, system, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    flags = [flag for flag in FLAGS[system] if flag not in ("--features", "random")]
    out = tmp_path / "out"
    assert main(["run", "--data", str(data), "--out", str(out), *SETTINGS, *flags]) == 2
    message = capsys.readouterr().err
    file = {"fm": "alexnet-owt-7be5be79.pth", "dictionary": "resnet18-f37072fd.pth"}[system]
    assert str(tmp_path / "hub/checkpoints" / file) in message
    assert f"https://download.pytorch.org/models/{file}" in message
    assert "--weights" in message
    assert not out.exists()


def test_missing_torchvision_is_said_before_any_work(data, tmp_path, capsys, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torchvision" else found(name))
    out = tmp_path / "out"
    assert main(["run", "--data", str(data), "--out", str(out), *SETTINGS, *FLAGS["fm"]]) == 2
    assert "FM-AE needs torchvision: pip install 'ssimae[features]'" in capsys.readouterr().err
    assert not out.exists()


def test_weights_that_nobody_needs_are_refused(data, tmp_path, capsys):
    file = tmp_path / "alexnet-owt-7be5be79.pth"
    file.write_bytes(b"x")
    assert main(["run", "--data", str(data), "--weights", str(file), "--out", str(tmp_path / "out"), *SETTINGS]) == 2
    assert "no system here needs them" in capsys.readouterr().err
    flags = [*SETTINGS, "--loss", "fm"]
    assert main(["run", "--data", str(data), "--weights", str(file), "--out", str(tmp_path / "out"), *flags]) == 2
    assert "not torchvision's" in capsys.readouterr().err


@pytest.mark.parametrize("system", TITLES)
def test_settings_know_their_system(system):
    settings = as_system(Settings(), system)
    assert settings.system == system
    assert settings.row.title == TITLES[system]
    assert as_system(settings, "ssim") == Settings()


def test_every_name_has_its_row_and_every_row_its_name():
    assert tuple(ROWS) == get_args(System)
    autoencoders = [row for row in ROWS.values() if row.method == "autoencoder"]
    assert tuple(row.loss for row in autoencoders) == get_args(Loss)
    assert {row.method for row in ROWS.values()} == set(get_args(Method))
    assert {row.pretrained for row in ROWS.values()} == {None, *get_args(Pretrained)}
    assert len({row.title for row in ROWS.values()}) == len(ROWS)


@pytest.mark.parametrize("loss", get_args(Loss))
def test_every_loss_has_a_module_with_the_functions_of_the_protocol(loss):
    module = loss_module(Settings(loss=loss))
    for name, function in vars(LossModule).items():
        if not name.startswith("_"):
            _, *wanted = inspect.signature(function).parameters.values()
            found = inspect.signature(getattr(module, name)).parameters.values()
            assert [(part.name, part.kind, part.default) for part in found] == [
                (part.name, part.kind, part.default) for part in wanted
            ]


def test_an_unknown_system_is_refused():
    with pytest.raises(ValueError, match="`system` must be one of ssim, l2"):
        as_system(Settings(), "gan")


@torch.no_grad()
def test_divergence_is_that_of_torch():
    settings = dataclasses.replace(SMALL, loss="vae", kl_weight=100.0)
    model = VariationalAutoencoder(8, 32, seed=0)
    torch.nn.init.normal_(model.encoder[-1].weight, std=0.5, generator=torch.Generator().manual_seed(1))
    patches = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    batch = Batch(patches, noise=torch.randn(4, 8, generator=torch.Generator().manual_seed(3)))
    without = vae.training_loss(model, batch, dataclasses.replace(settings, kl_weight=0.0), precision="float32")
    with_it = vae.training_loss(model, batch, settings, precision="float32")
    mean, log_variance = model.encode(patches)
    wanted = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(dim=1).mean()
    assert float(with_it - without) == pytest.approx(float(100 * wanted / 32**2), rel=1e-3)
    assert float(wanted) > 0.1


def test_noise_of_a_vae_follows_from_seed_and_step():
    crops = CropSampler([np.random.default_rng(0).random((50, 60), dtype=np.float32)], SMALL)
    settings = dataclasses.replace(SMALL, loss="vae")
    noises = [make_batch(crops, settings, step).noise for step in (1, 1, 2)]
    assert noises[0].shape == (16, 8)
    assert torch.equal(noises[0], noises[1])
    assert not torch.equal(noises[0], noises[2])
    other = make_batch(crops, dataclasses.replace(settings, seed=1), 1).noise
    assert not torch.equal(noises[0], other)
    model = VariationalAutoencoder(8, 32, seed=0)
    patches = crops.batch(0)
    losses = [
        float(vae.training_loss(model, Batch(patches, noise=n), settings, precision="float32").detach()) for n in noises
    ]
    assert losses[0] == losses[1] != losses[2]
    with pytest.raises(ValueError, match="needs the noise"):
        vae.training_loss(model, Batch(patches), settings, precision="float32")


def test_loss_of_fm_is_squared_error_of_gray_and_of_features():
    features = AlexNetFeatures.random(0)
    settings = dataclasses.replace(SMALL, loss="fm", feature_weight=0.25)
    x, y = torch.rand(2, 3, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    y.requires_grad_()
    loss = fm.reconstruction_loss(x, y, settings, features=features)
    wanted = (x - y).square().mean() + 0.25 * (features(x) - features(y)).square().mean()
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=ROUNDING)
    loss.backward()
    assert y.grad is not None
    assert float(y.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in features.parameters())


def test_loss_of_fm_needs_features():
    x = torch.rand(1, 1, 64, 64)
    with pytest.raises(ValueError, match="needs the network whose features"):
        fm.reconstruction_loss(x, x, dataclasses.replace(SMALL, loss="fm"))


@pytest.mark.parametrize(
    "loss", ["ssim", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("l2", "vae"))]
)
def test_training_lowers_the_loss(loss):
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:96, :96]
    image = (0.5 + 0.3 * np.sin(rows / 3) * np.cos(columns / 4) + rng.normal(0, 0.01, (96, 96))).astype(np.float32)
    settings = dataclasses.replace(SMALL, loss=loss, patches=160, epochs=20, lr=1e-3)
    log = LogKeeper()
    training = train([image], settings, device=CPU, monitor=log)
    assert training.plateau is not None
    assert log.lines[-1].loss < 0.8 * training.plateau


def test_an_interrupted_vae_ends_with_the_same_weights(tmp_path):
    image = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    settings = dataclasses.replace(SMALL, loss="vae")
    whole = train([image], settings, device=CPU)
    state = tmp_path / "state.safetensors"
    with pytest.raises(InterruptedRunError):
        train([image], settings, device=CPU, state=state, monitor=StopAtStep(3))
    resumed = train([image], settings, device=CPU, state=state)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_a_dictionary_stops_when_interrupted():
    image = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    settings = dataclasses.replace(SMALL, method="dictionary", features="random", patches=600, dictionary_size=5)
    with pytest.raises(InterruptedRunError, match="interrupted at step") as error:
        learn([image], settings, device=CPU, monitor=StopAtStep(3, signal=2))
    assert error.value.signal == 2


def test_constant_output_has_the_variance_of_patches_as_loss():
    patches = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    wanted = patches.var(dim=(2, 3), unbiased=False).mean()
    for loss in ("l2", "vae"):
        found = constant_loss(patches, dataclasses.replace(SMALL, loss=loss))
        assert found == pytest.approx(float(wanted), rel=ROUNDING)


def test_samples_have_mean_and_variance_of_single_decodings():
    model = VariationalAutoencoder(8, 32, seed=0).eval()
    patches = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(5, 3, 8, generator=torch.Generator().manual_seed(1))
    mean, variance = vae.sample_reconstructions(model, patches, noise, "float32")
    with torch.no_grad():
        latent, log_variance = model.encode(patches)
        each = np.stack([model.decode(latent + (log_variance / 2).exp() * draw).numpy() for draw in noise])
    np.testing.assert_allclose(mean.numpy(), each.mean(axis=0), atol=ROUNDING)
    np.testing.assert_allclose(variance.numpy(), each.var(axis=0), atol=ROUNDING)


def test_residual_of_a_vae_is_squared_error_over_variance_with_a_floor():
    settings = dataclasses.replace(SMALL, loss="vae", variance_floor=0.01)
    image, rebuilt = torch.rand(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    variance = torch.linspace(0, 0.1, 3 * 64).reshape(1, 3, 8, 8)
    found = vae.residual(image, rebuilt, settings, variance)
    wanted = ((image - rebuilt).numpy() ** 2 / np.maximum(variance.numpy(), 0.01)).mean(axis=1)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=ROUNDING)


@pytest.mark.parametrize("averaged", [False, True])
def test_a_vae_gives_an_image_the_same_map_every_time(averaged):
    settings = dataclasses.replace(SMALL, loss="vae", residual_average=averaged, opening=0)
    model = VariationalAutoencoder(8, 32, seed=0).eval()
    image = np.random.default_rng(0).random((70, 90), dtype=np.float32)
    (first, map_), (second, again) = (
        inspect_image(torch_engine(model, settings, device=CPU, precision="float32"), image, settings) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(map_, again)
    assert map_.shape == (70, 90)
    assert (map_ >= 0).all()
    other = dataclasses.replace(settings, seed=1)
    drawn = inspect_image(torch_engine(model, other, device=CPU, precision="float32"), image, other)
    assert (drawn[1] != map_).any()


def test_a_vae_rebuilds_from_latent_means_when_called():
    model = VariationalAutoencoder(8, 32, seed=0)
    patches = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    mean, log_variance = model.encode(patches)
    assert torch.equal(model(patches), model.decode(mean))
    assert (log_variance == 0).all()
    assert mean.shape == (2, 8)


def test_a_vae_has_the_autoencoder_s_layers_and_twice_its_latent_outputs():
    plain, varied = (
        sum(parameter.numel() for parameter in kind(100).parameters()) for kind in (Autoencoder, VariationalAutoencoder)
    )
    assert varied - plain == 100 * (32 * 8 * 8 + 1)


def test_weights_of_another_network_are_refused(tmp_path, data):
    out = tmp_path / "out"
    assert main(["train", "--data", str(data), "--out", str(out), *SETTINGS]) == 0
    content = (out / "model.safetensors").read_bytes()
    path = tmp_path / "other.safetensors"
    path.write_bytes(content.replace(b'\\"loss\\": \\"ssim\\"', b'\\"loss\\": \\"vae\\" '))
    with pytest.raises(ValueError, match="weights do not fit the network of its settings"):
        load_model(path)


def test_a_detector_is_any_system():
    rng = np.random.default_rng(0)
    images = [rng.random((64, 64)).astype(np.float32) for _ in range(2)]
    detector = Detector(
        method="dictionary", features="random", patches=600, dictionary_size=5, patch_size=32, dictionary_patch=16
    ).fit(images)
    found = detector.inspect(images[0])
    assert found.reconstruction is None
    assert found.residual.shape == (64, 64)
