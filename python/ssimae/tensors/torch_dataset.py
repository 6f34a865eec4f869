"""Give the images of a data set to torch's DataLoader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ssimae.data.dataset import GOOD, UNLABELLED, Dataset, Sample, good_samples
from ssimae.data.masks import load_mask, read_ignored
from ssimae.images.read import read_image


class TorchDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """The good or the test images of a data set, by number; each is read when it is asked for.

    Parameters
    ----------
    dataset : Dataset
        As :func:`ssimae.open_dataset` returns it.
    part : {"train", "test"}
        The good images to learn from, or the test images.
    channels : int
        1 for gray, 3 for colour.
    data_range : float, optional
        Value that counts as white, as for :func:`ssimae.read_image`.
    transform : callable, optional
        Applied to every item, such as one that crops `image`, `mask` and `ignored` alike. For workers that are spawned
        it has to be one that can be pickled, as a function of a module is.

    Notes
    -----
    An item is a dictionary:

    - ``image``: Tensor of shape (C, h, w), float32 in [0, 1];
    - ``mask``: Tensor of shape (1, h, w), bool: the ground truth, False where good; all False where it is not known;
    - ``has_mask``: bool, False where it is not;
    - ``ignored``: Tensor of shape (1, h, w), bool: True where the image is not inspected;
    - ``label``: 0 for good, 1 for defective, -1 where nothing says;
    - ``defect``, ``name``, ``path``: str.

    DataLoader puts items of equal size into batches; with images of several sizes take ``batch_size=1``, or crop.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import ssimae
    >>> from PIL import Image
    >>> from torch.utils.data import DataLoader
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("good/1.png", "bad/1.png"):
    ...     (root / name).parent.mkdir()
    ...     Image.fromarray(np.full((40, 60), 51, np.uint8)).save(root / name)
    >>> for batch in DataLoader(ssimae.TorchDataset(ssimae.open_dataset(root), "test")):
    ...     print(batch["image"].shape, batch["label"], batch["defect"])
    torch.Size([1, 1, 40, 60]) tensor([1]) ['bad']
    """

    def __init__(
        self,
        dataset: Dataset,
        part: Literal["train", "test"] = "train",
        *,
        channels: int = 1,
        data_range: float | None = None,
        transform: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        if part not in ("train", "test"):
            raise ValueError(f"`part` must be 'train' or 'test', got {part!r}")
        if channels not in (1, 3):
            raise ValueError(f"`channels` must be 1 or 3, got {channels}")
        self.samples: tuple[Sample, ...] = good_samples(dataset, defect=GOOD) if part == "train" else dataset.test
        self.channels, self.data_range, self.transform = channels, data_range, transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        sample = self.samples[index]
        image = read_image(sample.path, channels=self.channels, data_range=self.data_range)
        shape = image.shape[:2]
        has_mask = bool(sample.masks) or sample.defect == GOOD
        mask = load_mask(sample, shape) if has_mask else np.zeros(shape, np.bool_)
        ignored = read_ignored(sample, shape)
        item = {
            "image": torch.from_numpy(np.ascontiguousarray(np.atleast_3d(image).transpose(2, 0, 1))),
            "mask": torch.from_numpy(mask)[None],
            "has_mask": has_mask,
            "ignored": _plane(ignored, shape),
            "label": -1 if sample.defect == UNLABELLED else int(sample.defect != GOOD),
            "defect": sample.defect,
            "name": sample.name,
            "path": str(sample.path),
        }
        return item if self.transform is None else self.transform(item)


def _plane(ignored: np.ndarray[Any, np.dtype[np.bool_]] | None, shape: tuple[int, ...]) -> Tensor:
    return torch.zeros(1, *shape, dtype=torch.bool) if ignored is None else torch.from_numpy(ignored)[None]
