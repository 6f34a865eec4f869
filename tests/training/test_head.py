"""A head learns to see what does not belong to the surface, the same for the same seed, and can be stopped."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from ssimae.calibration.reference import DISTANCE, HEAD
from ssimae.config.settings import Settings
from ssimae.config.stored import settings_from_dict
from ssimae.engines.pytorch import torch_engine
from ssimae.errors import InterruptedRunError
from ssimae.inspection.head import head_maps
from ssimae.inspection.residual import inspect_image
from ssimae.models.build import AnyAutoencoder, new_autoencoder
from ssimae.models.head import Head
from ssimae.training.crops import CropSampler
from ssimae.training.head import train as module
from ssimae.training.head.examples import make_examples
from ssimae.training.head.train import train_head
from ssimae.training.monitor import SILENT, Monitor, SilentMonitor
from support.monitors import StopAtStep

CPU = torch.device("cpu")
SETTINGS = Settings(patch_size=32, latent_dim=8, stride=16, opening=0, head_patches=96)


def surface(seed: int, *shape: int) -> NDArray[np.float32]:
    """Return waves with some noise."""
    rows = 0.4 + 0.1 * np.sin(np.arange(shape[0]) / 3).reshape(-1, *[1] * (len(shape) - 1))
    return (rows + 0.01 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def trained(
    settings: Settings = SETTINGS, model: AnyAutoencoder | None = None, monitor: Monitor = SILENT
) -> tuple[AnyAutoencoder, Head]:
    model = new_autoencoder(settings, seed=1).eval() if model is None else model
    colour = (3,) if settings.channels == 3 else ()
    parts = [surface(0, 70, 90, *colour), surface(1, 120, 100, *colour)]
    return model, train_head(model, parts, settings, device=CPU, precision="float32", monitor=monitor)


def test_it_tells_a_spot_from_the_surface_and_leaves_the_autoencoder_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 8)  # as many steps as the time allows
    settings = dataclasses.replace(SETTINGS, patch_size=64, head_patches=640)
    model = new_autoencoder(settings, seed=1).eval()
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    _, head = trained(settings, model)
    assert all(torch.equal(weights, before[name]) for name, weights in model.state_dict().items())
    image = surface(2, 80, 96)
    spot = (slice(30, 44), slice(50, 66))
    image[spot] = 0.95
    engine = torch_engine(model, settings, head=head, device=CPU, precision="float32")
    rebuilt, residual = inspect_image(engine, image, settings)
    assert rebuilt is not None
    maps = head_maps(engine, image, rebuilt, residual, settings)
    good = np.ones(image.shape, bool)
    good[20:54, 40:76] = False
    assert np.quantile(maps[HEAD][spot], 0.1) > 0.5 > np.quantile(maps[HEAD][good], 0.99)
    assert np.quantile(maps[DISTANCE][spot], 0.1) > 5 > 2 * np.median(maps[DISTANCE][good])


@pytest.mark.parametrize(("loss", "channels"), [("ssim", 1), ("vae", 3)])
def test_the_same_seed_gives_the_same_head(loss: str, channels: int) -> None:
    settings = dataclasses.replace(SETTINGS, loss=loss, channels=channels)
    first, again = (trained(settings)[1].state_dict() for _ in range(2))
    other = trained(dataclasses.replace(settings, seed=1))[1].state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["last.weight"], other["last.weight"])


def test_a_signal_ends_the_training() -> None:
    with pytest.raises(InterruptedRunError, match="interrupted at step 2 of 6") as caught:
        trained(monitor=StopAtStep(2))
    assert caught.value.signal == 15


def test_the_monitor_is_told_of_every_crop() -> None:
    class Keeper(SilentMonitor):
        def __init__(self) -> None:
            self.patches: list[int] = []

        def stepped(self, patches: int, loss: float) -> None:
            self.patches.append(patches)

    keeper = Keeper()
    trained(dataclasses.replace(SETTINGS, head_patches=70), monitor=keeper)
    assert keeper.patches == [16, 32, 48, 64, 70]


def test_what_counts_as_defect_has_changed_and_a_fifth_of_the_crops_has_none() -> None:
    settings = dataclasses.replace(SETTINGS, patches=100, batch_size=20, crops="fresh")
    sampler = CropSampler([surface(0, 70, 90)], settings)
    examples = make_examples(sampler, seed=5, step=2)
    defect, weight = examples.defect > 0, examples.weight
    assert examples.crops.shape == defect.shape == weight.shape == (20, 1, 32, 32)
    assert defect[:16].any()
    assert not defect[16:].any()
    assert (weight[16:] == 1).all()
    assert (weight[defect] == 1).all()
    again = make_examples(sampler, seed=5, step=2)
    assert torch.equal(examples.crops, again.crops)
    assert torch.equal(examples.defect, again.defect)
    assert not torch.equal(examples.crops, make_examples(sampler, seed=6, step=2).crops)


def test_stored_settings_without_a_head_have_none() -> None:
    assert settings_from_dict({}, stored=True).head_patches == 0
    with pytest.raises(ValueError, match="`head_patches` must be at least 0"):
        Settings(head_patches=-1)


def test_the_loss_weighs_what_is_told_wrongly_and_leaves_rims_open() -> None:
    probability = torch.tensor([0.9, 0.2, 0.7, 0.4], dtype=torch.float64)
    defect, weight = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]], dtype=torch.float64)
    each = [4 * 0.1**2 * -np.log(0.9), 4 * 0.8**2 * -np.log(0.2), 0.7**2 * -np.log(0.3), 0.0]
    assert float(module._loss(probability.logit(), defect, weight)) == pytest.approx(np.mean(each))
