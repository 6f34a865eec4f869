"""Two equal runs leave the same bytes, and files of before are still read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, save
from ssimae.config.settings import Settings
from ssimae.models.build import new_autoencoder
from ssimae.models.tensor_file import tensor_bytes
from ssimae.storage.model_file import SavedModel, load_model, save_model
from ssimae.training.checkpoint import TrainingPosition, load_state, save_state

SETTINGS = Settings(loss="l2", patch_size=32, latent_dim=2)
METADATA = {name: f'{name}: é \\ "{name}"' for name in ("format", "settings", "precision", "thresholds")}

RUN = """
import numpy as np
from ssimae import Detector
image = np.random.default_rng(0).random((72, 72), dtype=np.float32)
small = dict(loss="vae", patch_size=32, latent_dim=2, patches=32, epochs=1, batch_size=16, device="cpu")
Detector(**small).fit([image]).save(path)
"""


def test_two_equal_runs_write_the_same_bytes(tmp_path: Path) -> None:
    here, there = tmp_path / "here.safetensors", tmp_path / "there.safetensors"
    exec(RUN, {"path": here})
    program = f"import torch; torch.set_num_threads({torch.get_num_threads()}); path = {str(there)!r}{RUN}"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.parametrize("length", range(9))
def test_tensors_and_metadata_come_back_and_data_stay_aligned(tmp_path: Path, length: int) -> None:
    tensors = {"b": torch.arange(5, dtype=torch.int64), "a": torch.rand(2, 3), "empty": torch.empty(0)}
    metadata = {**METADATA, "long": "x" * length}
    content = tensor_bytes(tensors, metadata)
    assert int.from_bytes(content[:8], "little") % 8 == 0
    found = load(content)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    (tmp_path / "file").write_bytes(content)
    with safe_open(tmp_path / "file", framework="pt") as file:
        assert file.metadata() == metadata


def test_the_order_of_metadata_leaves_no_trace() -> None:
    tensors = {"a": torch.rand(2)}
    assert tensor_bytes(tensors, METADATA) == tensor_bytes(tensors, dict(reversed(METADATA.items())))


def test_files_whose_metadata_come_in_any_order_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library itself wrote them before."""
    for module in ("ssimae.storage.model_file", "ssimae.training.checkpoint"):
        monkeypatch.setattr(f"{module}.tensor_bytes", lambda tensors, metadata: save(tensors, metadata=metadata))
    model = new_autoencoder(SETTINGS, seed=0)
    save_model(tmp_path / "model", SavedModel(model, SETTINGS, "float32", None))
    loaded = load_model(tmp_path / "model")
    assert (loaded.settings, loaded.precision, loaded.thresholds) == (SETTINGS, "float32", None)
    assert all(torch.equal(loaded.model.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    model(torch.rand(1, 1, 32, 32)).mean().backward()
    optimizer.step()
    position = TrainingPosition(1, 2.5, 0.25)
    save_state(tmp_path / "state", model, optimizer, position, SETTINGS)
    assert load_state(tmp_path / "state", model, optimizer, SETTINGS) == position
