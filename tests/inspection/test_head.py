"""The maps of a head have the image's own size, lie in their range, and show no trace of the tiles they are made of."""

import numpy as np
import pytest
import torch
from ssimae.config.settings import Settings
from ssimae.engines.pytorch import torch_engine
from ssimae.inspection import head as module
from ssimae.inspection.head import head_maps
from ssimae.models.build import new_autoencoder
from ssimae.models.head import FEATURES, Head

CPU = torch.device("cpu")


def found(height: int, width: int, *, channels: int = 1, scale: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    colour = (3,) if channels == 3 else ()
    image, rebuilt = rng.random((2, height, width, *colour), dtype=np.float32)
    residual = rng.random((height, width), dtype=np.float32)
    settings = Settings(channels=channels, scale=scale)
    head = Head(channels, seed=0).eval()
    torch.nn.init.normal_(head.last.weight, std=3.0, generator=torch.Generator().manual_seed(0))
    mean, whitening = torch.linspace(-1, 1, FEATURES), torch.eye(FEATURES) * torch.linspace(0.5, 2, FEATURES)
    head = head.knowing(mean, whitening)
    engine = torch_engine(new_autoencoder(settings, seed=0), settings, head=head, device=CPU, precision="float32")
    return list(head_maps(engine, image, rebuilt, residual, settings).values())


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 300), (33, 47)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_it_has_the_size_of_the_image(height: int, width: int, channels: int, scale: float) -> None:
    maps = found(height, width, channels=channels, scale=scale)
    assert [(map_.shape, map_.dtype) for map_ in maps] == [((height, width), np.float32)] * 2
    assert min(map_.min() for map_ in maps) >= 0
    assert maps[0].max() <= 1


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_map_in_tiles_is_that_of_the_whole_image(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found(211, 345, scale=scale)
    assert min(np.ptp(map_) for map_ in whole) > 0.05
    monkeypatch.setattr(module, "TILE", 64)
    for map_, wanted in zip(found(211, 345, scale=scale), whole, strict=True):
        np.testing.assert_allclose(map_, wanted, rtol=0, atol=2e-6)
