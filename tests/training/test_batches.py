"""Batches made ahead for a GPU are those made in turn for a CPU, and what goes wrong in their thread is not lost."""

import threading
from typing import Any

import numpy as np
import pytest
import torch
from ssimae.config.settings import Settings
from ssimae.losses.batch import Batch
from ssimae.training import batches as module
from ssimae.training.batches import batches, make_batch
from ssimae.training.crops import CropSampler

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SETTINGS = Settings(loss="vae", patch_size=32, latent_dim=8, patches=40, epochs=2, batch_size=16, stains=2)
IMAGE = np.random.default_rng(0).random((50, 60), dtype=np.float32)


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let batches for a GPU stay on the CPU; returns the names of the threads that made them."""
    makers: list[str] = []

    def copied(part: torch.Tensor) -> torch.Tensor:
        makers.append(threading.current_thread().name)
        return part.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", copied)
    monkeypatch.setattr(Batch, "to", lambda batch, device: batch)
    return makers


def parts(batch: Batch) -> list[torch.Tensor]:
    return [part.clone() for part in (batch.crops, batch.painted, batch.noise) if part is not None]


def test_batches_made_ahead_are_those_made_in_turn(without_gpu: list[str]) -> None:
    ahead = [parts(batch) for batch in batches(CropSampler([IMAGE], SETTINGS), SETTINGS, 1, 6, device=CUDA)]
    crops = CropSampler([IMAGE], SETTINGS)
    assert [len(batch[0]) for batch in ahead] == [16, 8, 16, 16, 8]
    for step, found in enumerate(ahead, 1):
        wanted = parts(make_batch(crops, SETTINGS, step))
        assert len(found) == len(wanted) == 3
        assert all(torch.equal(one, other) for one, other in zip(found, wanted))
    assert len(without_gpu) == 3 * 5
    assert all(name.startswith("batches") for name in without_gpu)


def test_batches_in_turn_come_from_the_thread_that_asks() -> None:
    found = [parts(batch) for batch in batches(CropSampler([IMAGE], SETTINGS), SETTINGS, 0, 4, device=CPU)]
    crops = CropSampler([IMAGE], SETTINGS)
    for step, batch in enumerate(found):
        assert all(torch.equal(one, other) for one, other in zip(batch, parts(make_batch(crops, SETTINGS, step))))


def test_no_steps_are_no_batches(without_gpu: list[str]) -> None:
    assert list(batches(CropSampler([IMAGE], SETTINGS), SETTINGS, 6, 6, device=CUDA)) == []
    assert not without_gpu


def test_an_error_in_the_thread_reaches_who_asks_and_the_thread_ends(
    without_gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(crops: CropSampler, settings: Settings, step: int) -> Any:
        if step == 3:
            raise MemoryError("no room")
        return make_batch(crops, settings, step)

    monkeypatch.setattr(module, "make_batch", broken)
    ahead = batches(CropSampler([IMAGE], SETTINGS), SETTINGS, 0, 6, device=CUDA)
    assert [len(next(ahead).crops) for _ in range(3)] == [16, 16, 8]
    with pytest.raises(MemoryError, match="no room"):
        next(ahead)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_who_stops_early_leaves_no_thread_behind(without_gpu: list[str]) -> None:
    generator = batches(CropSampler([IMAGE], SETTINGS), SETTINGS, 0, 6, device=CUDA)
    next(generator)
    assert [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
    generator.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
