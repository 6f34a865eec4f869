"""The map of a head has the image's own size, lies in [0, 1], and shows no trace of the tiles it is made of."""

import numpy as np
import pytest
import torch
from ssimae.config.settings import Settings
from ssimae.engines.pytorch import torch_engine
from ssimae.inspection import head as module
from ssimae.inspection.head import head_map
from ssimae.models.build import new_autoencoder
from ssimae.models.head import Head

CPU = torch.device("cpu")


def found(height: int, width: int, *, channels: int = 1, scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    colour = (3,) if channels == 3 else ()
    image, rebuilt = rng.random((2, height, width, *colour), dtype=np.float32)
    residual = rng.random((height, width), dtype=np.float32)
    settings = Settings(channels=channels, scale=scale)
    head = Head(channels, seed=0).eval()
    torch.nn.init.normal_(head.last.weight, std=3.0, generator=torch.Generator().manual_seed(0))
    engine = torch_engine(new_autoencoder(settings, seed=0), settings, head=head, device=CPU, precision="float32")
    return head_map(engine, image, rebuilt, residual, settings)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 300), (33, 47)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_it_has_the_size_of_the_image(height: int, width: int, channels: int, scale: float) -> None:
    probabilities = found(height, width, channels=channels, scale=scale)
    assert (probabilities.shape, probabilities.dtype) == ((height, width), np.float32)
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_map_in_tiles_is_that_of_the_whole_image(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found(211, 345, scale=scale)
    assert np.ptp(whole) > 0.2
    monkeypatch.setattr(module, "TILE", 64)
    np.testing.assert_allclose(found(211, 345, scale=scale), whole, rtol=0, atol=2e-6)
