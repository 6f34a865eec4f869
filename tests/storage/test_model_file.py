"""A model comes back from its file with all that good images showed, and gives the same maps to the bit."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from ssimae.calibration import expectation
from ssimae.calibration.calibration import describe_place, fit_calibration, with_position
from ssimae.calibration.places import place_features
from ssimae.calibration.reference import HEAD, RESIDUAL, Reference
from ssimae.calibration.whole import fit_limits, measure_image
from ssimae.config.settings import Settings
from ssimae.inspection.threshold import Thresholds
from ssimae.models.build import new_autoencoder
from ssimae.models.head import Head
from ssimae.models.tensor_file import tensor_bytes
from ssimae.storage.model_file import SavedModel, load_model, save_model
from support.small_data import texture

CPU = torch.device("cpu")
SETTINGS = Settings(
    patch_size=32, latent_dim=4, stride=16, calibration="both", residual_smoothing=1.0, head_weight=0.5, min_area=5
)
THRESHOLDS = Thresholds(
    1.7, 2.5, "area", 5, True, 4, 9000, "float32", "torch", (1.0, 2.0), (0.5, 1.5), False, 0.025, True
)
SIZE = (40, 56)


def image(number: int) -> np.ndarray:
    return texture(np.random.default_rng(number), *SIZE).astype(np.float32) / 255


def reference() -> Reference:
    rng = np.random.default_rng(0)
    channels = {}
    for channel in (RESIDUAL, HEAD):
        places = [
            describe_place(
                rng.random(SIZE, dtype=np.float32),
                place_features(image(number)),
                region=(slice(None), slice(None)),
                ignored=None,
            )
            for number in range(3)
        ]
        channels[channel] = with_position(fit_calibration(places, surface=True, seed=0), places)
    return Reference(channels, fit_limits([measure_image(image(number)) for number in range(3)], [0.0, 0.1, 0.2]))


@pytest.fixture(scope="module")
def saved() -> SavedModel:
    torch.manual_seed(0)
    head = Head(1).eval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expectation, "_STEPS", 50)  # how good the fit is does not matter here
        shown = reference()
    return SavedModel(new_autoencoder(SETTINGS, seed=0).eval(), SETTINGS, "float32", THRESHOLDS, head, shown)


@pytest.fixture
def path(saved: SavedModel, tmp_path: Path) -> Path:
    save_model(tmp_path / "model.safetensors", saved)
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("masked", [False, True])
def test_a_calibrated_model_gives_the_same_maps_to_the_bit(saved: SavedModel, path: Path, masked: bool) -> None:
    ignored = np.zeros(SIZE, bool)
    ignored[:, 45:], ignored[10:14, 20:30] = True, True
    loaded = load_model(path)
    assert (loaded.settings, loaded.precision, loaded.thresholds) == (SETTINGS, "float32", THRESHOLDS)
    before, after = (
        model.on(CPU).inspect(image(9) + np.float32(0.2), ignored if masked else None) for model in (saved, loaded)
    )
    assert before.calibrated
    assert after.calibrated
    assert before.unlike == after.unlike
    assert "brighter" in after.unlike
    for name in ("reconstruction", "residual", "judged"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    if masked:
        assert not after.judged[ignored].any()
        assert (after.judged[~ignored] > 0).all()


def test_the_head_counts_as_its_weight_says(saved: SavedModel) -> None:
    """The joined map is the geometric mean of both channels' calibrated maps."""
    settings = dataclasses.replace(SETTINGS, residual_smoothing=0.0, opening=0)
    maps = {
        weight: dataclasses.replace(saved, settings=dataclasses.replace(settings, head_weight=weight))
        .on(CPU)
        .inspect(image(2))
        .judged
        for weight in (0.0, 0.25, 1.0)
    }
    assert not np.allclose(maps[0.0], maps[1.0], rtol=0.01)
    # Up to one factor: where the whole surface is unlike the good ones, maps are divided by the excess.
    factors = maps[0.25] / (maps[0.0] ** 0.75 * maps[1.0] ** 0.25)
    np.testing.assert_allclose(factors, factors[0, 0], rtol=1e-4)


def test_a_model_without_calibration_and_head_has_none(saved: SavedModel, path: Path) -> None:
    save_model(path, dataclasses.replace(saved, reference=None, head=None, thresholds=None))
    loaded = load_model(path)
    assert (loaded.reference, loaded.head, loaded.thresholds) == (None, None, None)
    maps = loaded.on(CPU).inspect(image(0))
    assert not maps.calibrated
    assert maps.judged is maps.residual


def metadata_of(path: Path) -> dict[str, str]:
    content = path.read_bytes()
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]


def test_a_file_of_the_earlier_format_still_loads(saved: SavedModel, path: Path) -> None:
    """Its settings know neither calibration nor head."""
    plain = dataclasses.replace(SETTINGS, calibration="none", head_weight=Settings().head_weight)
    save_model(path, dataclasses.replace(saved, settings=plain, reference=None, head=None))
    metadata = {**metadata_of(path), "format": "ssimae-model-1"}
    settings, thresholds = json.loads(metadata["settings"]), json.loads(metadata["thresholds"])
    for name in ("calibration", "false_calls", "head_patches", "head_weight", "stain_fill", "pixel_size"):
        del settings[name]
    for name in ("false_calls", "extrapolated"):
        del thresholds[name]
    metadata |= {"settings": json.dumps(settings), "thresholds": json.dumps(thresholds)}
    path.write_bytes(tensor_bytes(load(path.read_bytes()), metadata))
    loaded = load_model(path)
    assert loaded.settings == plain
    assert loaded.thresholds == dataclasses.replace(THRESHOLDS, false_calls=None, extrapolated=False)
    before = dataclasses.replace(saved, settings=plain, reference=None, head=None).on(CPU).inspect(image(1))
    np.testing.assert_array_equal(loaded.on(CPU).inspect(image(1)).judged, before.judged)


def test_a_file_of_another_format_is_refused(path: Path) -> None:
    tensors, metadata = load(path.read_bytes()), metadata_of(path)
    path.write_bytes(save(tensors, {**metadata, "format": "ssimae-model-9"}))
    with pytest.raises(ValueError, match="wants ssimae-model-3, found ssimae-model-9"):
        load_model(path)


@pytest.mark.parametrize(
    "name",
    [
        "calibration.whole",
        "calibration.residual.offset",
        "calibration.residual.weight1",
        "calibration.head.mean",
        "calibration.residual.position",
    ],
)
def test_a_damaged_calibration_is_refused_and_the_file_named(path: Path, name: str) -> None:
    tensors, metadata = load(path.read_bytes()), metadata_of(path)
    tensors[name] = tensors[name] * torch.nan
    path.write_bytes(save(tensors, metadata))
    with pytest.raises(ValueError, match=r"model\.safetensors: calibration"):
        load_model(path)
    if not name.endswith("position"):
        del tensors[name]
        path.write_bytes(save(tensors, metadata))
        with pytest.raises(ValueError, match=r"model\.safetensors: calibration"):
            load_model(path)


def test_a_head_of_another_shape_is_refused(path: Path) -> None:
    tensors, metadata = load(path.read_bytes()), metadata_of(path)
    name = next(name for name, tensor in tensors.items() if name.startswith("head.") and tensor.shape[:1] > (1,))
    tensors[name] = tensors[name][:1].clone()
    path.write_bytes(save(tensors, metadata))
    with pytest.raises(ValueError, match=r"model\.safetensors: "):
        load_model(path)
