"""Data sets: their images by layout, their masks, their check and their fingerprint."""

from __future__ import annotations

import hashlib

from ssimae.data.check import Problem, check_dataset
from ssimae.data.layouts import Dataset, Sample, good_samples, open_dataset
from ssimae.data.masks import read_ignored, read_mask

__all__ = [
    "Dataset",
    "Problem",
    "Sample",
    "check_dataset",
    "dataset_fingerprint",
    "good_samples",
    "open_dataset",
    "read_ignored",
    "read_mask",
]


def dataset_fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256 of a data set: names below its folder and contents of all images and masks.

    The same wherever the folder lies and however it is called; another as soon as a byte, a name or a file changes.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    masks = [sample.mask for sample in dataset.test if sample.mask is not None]
    files = {*dataset.train, *(sample.path for sample in dataset.test), *masks}
    digest = hashlib.sha256()
    named = [(path.relative_to(dataset.root).as_posix(), path) for path in files]
    # Ignore masks lie anywhere; what counts is which image each belongs to.
    named += [(f"/ignore/{image.relative_to(dataset.root).as_posix()}", mask) for image, mask in dataset.ignore.items()]
    for name, path in sorted(named):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256")
        # Of fixed length after the name, which cannot hold a zero byte: no two data sets give the same stream.
        digest.update(name.encode() + b"\0" + content.digest())
    return digest.hexdigest()
