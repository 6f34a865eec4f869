"""A data set feeds torch's DataLoader, in this process and in others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from ssimae import TorchDataset, open_dataset, read_image
from support.small_data import write_small_dataset
from torch.utils.data import DataLoader


def test_items_hold_what_the_files_do(tmp_path: Path) -> None:
    data = write_small_dataset(tmp_path / "data")
    Image.fromarray(np.pad(np.full((10, 96), 255, np.uint8), ((0, 60), (0, 0)))).save(tmp_path / "ignore.png")
    dataset = open_dataset(data, ignore=tmp_path / "ignore.png")
    good, test = TorchDataset(dataset), TorchDataset(dataset, "test", channels=3)
    assert (len(good), len(test)) == (4, 3)
    for item, path in zip(good, dataset.train, strict=True):
        np.testing.assert_array_equal(item["image"][0].numpy(), read_image(path))
        assert (item["label"], item["has_mask"], bool(item["mask"].any())) == (0, True, False)
        assert item["ignored"].sum() == 10 * 96
    defective = [item for item in test if item["label"] == 1]
    assert [item["defect"] for item in defective] == ["hole", "hole"]
    for item in defective:
        assert item["image"].shape == (3, 70, 96)
        assert item["mask"].sum() == 20 * 30
    with pytest.raises(IndexError):
        good[4]
    with pytest.raises(ValueError, match="`part` must be"):
        TorchDataset(dataset, "val")  # type: ignore[arg-type]


def crop(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "image": item["image"][:, :32, :32]}


def test_workers_give_the_same_batches(tmp_path: Path) -> None:
    data = TorchDataset(open_dataset(write_small_dataset(tmp_path / "data")), "test", transform=crop)
    here, there = (list(DataLoader(data, batch_size=2, num_workers=workers)) for workers in (0, 1))
    assert [batch["path"] for batch in here] == [batch["path"] for batch in there]
    assert here[0]["image"].shape == (2, 1, 32, 32)
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["mask"], other["mask"])
