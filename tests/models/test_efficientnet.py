"""EfficientNet-Lite0 computes what the package's own network does, from the weights that are known alone."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from ssimae.cli import main
from ssimae.models import efficientnet
from ssimae.models.dictionary import FeatureDictionary
from ssimae.models.efficientnet import EfficientNetFeatures, pretrained_file
from support.small_data import SETTINGS, write_small_dataset

# float32 sums in another order, over 16 blocks
SAME = 1e-4


def test_maps_are_those_of_the_package_s_network() -> None:
    theirs = importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(torch.load(pretrained_file(), weights_only=True))
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        maps = theirs._swish(theirs._bn0(theirs._conv_stem((images * 255 - 127) / 128)))
        for number, block in enumerate(theirs._blocks):
            maps = block(maps)
            if number == 4:
                early = maps
        np.testing.assert_allclose(EfficientNetFeatures.pretrained(pooled=False)(images), early, rtol=0, atol=SAME)
        pooled = EfficientNetFeatures.pretrained(pooled=True)(images)
        np.testing.assert_allclose(pooled, maps.mean(dim=(2, 3)), rtol=0, atol=SAME)


def test_gradients_reach_gray_images_and_no_weight() -> None:
    features = EfficientNetFeatures(None, "none", pooled=False).train()
    images = torch.rand(1, 1, 33, 47, requires_grad=True)
    assert features(images).shape == (1, 40, 5, 6)
    features(images).sum().backward()
    assert images.grad is not None
    assert not any(parameter.requires_grad for parameter in features.parameters())


def test_other_weights_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match="SHA-256 begins 57934424, not 00000000"):
        EfficientNetFeatures.pretrained(pooled=True)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_of_weights")
    data = write_small_dataset(tmp_path / "data")
    system = ["--loss", "fm", "--features", "efficientnet-lite0"]
    assert main(["run", "--data", str(data), "--out", str(tmp_path / "out"), *SETTINGS, *system]) == 2
    assert "ssimae[efficientnet]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("system", [["--loss", "fm"], ["--method", "dictionary", "--dictionary-size", "5"]])
def test_a_run_trains_and_inspects_with_them(tmp_path: Path, system: list[str]) -> None:
    data = write_small_dataset(tmp_path / "data")
    few = ["--patches", "330", "--epochs", "1", "--features", "efficientnet-lite0", *system]
    assert main(["run", "--data", str(data), "--out", str(tmp_path / "out"), *SETTINGS, *few]) == 0
    assert f'features = "efficientnet-lite0:{efficientnet.SHA256}"' in (tmp_path / "out/config.toml").read_text()


def test_a_stored_dictionary_keeps_its_network() -> None:
    dictionary = FeatureDictionary(EfficientNetFeatures.pretrained(pooled=True), n_components=3, size=2)
    patches = torch.rand(2, 1, 32, 32)
    loaded = FeatureDictionary.from_state(dictionary.state_dict())
    np.testing.assert_array_equal(loaded.project(patches), dictionary.project(patches))
