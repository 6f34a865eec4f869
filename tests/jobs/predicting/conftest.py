"""A small finished training, and images to inspect with it."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ssimae.cli import main
from support.small_data import SETTINGS, texture, write_small_dataset


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small finished training."""
    folder = tmp_path_factory.mktemp("run")
    data = write_small_dataset(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ssimae.training.train.PLATEAU", math.inf)
        assert main(["train", "--data", str(data), "--out", str(folder / "out"), *SETTINGS]) == 0
    return folder / "out"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of eight images, of which one is defective."""
    folder = tmp_path / "new"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(8):
        image = texture(rng)
        if number == 4:
            image[20:40, 30:60] = rng.integers(0, 255, (20, 30))
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder
