"""Read every file of a data set and report all problems together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssimae.data.dataset import GOOD, Dataset, Sample, good_samples
from ssimae.data.ignore import inspected_frame
from ssimae.data.masks import load_mask, read_ignored
from ssimae.errors import reason_of
from ssimae.images.decoding import decode
from ssimae.images.read import MAX_PIXELS, white_level
from ssimae.images.resize import scaled_shape

_TWELVE_BITS = 4096
_WHITE_16_BIT = 65535


@dataclass(frozen=True)
class Problem:
    """An error in one file, or something suspicious about it."""

    path: Path
    message: str
    severity: Literal["error", "warning"]
    """`error`: no run can start; `warning`: suspicious but workable."""


@dataclass(frozen=True)
class _Finding:
    problems: tuple[Problem, ...]
    largest_16_bit: int | None
    """Largest value of a 16-bit image whose range is its type's; None for all other images."""


def check_dataset(
    dataset: Dataset,
    *,
    patch_size: int = 128,
    scale: float = 1.0,
    channels: int = 1,
    data_range: float | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[Problem]:
    """Return everything that is wrong with the files of a data set, after reading all of them.

    Parameters
    ----------
    dataset : Dataset
    patch_size : int
        Images that are smaller once scaled are errors.
    scale : float
        Factor images are resized by.
    channels : int
        1 for gray, 3 for colour.
    data_range : float, optional
        Value that counts as white, as for :func:`ssimae.read_image`.
    progress : callable, optional
        Called from this thread with the number of images done.

    Returns
    -------
    list of Problem
        In the order of the data set: unreadable images and masks, images smaller than a patch, masks of another size,
        missing masks where other defective images have one; as warnings, masks that mark nothing, and 16-bit data that
        looks like 12 bits.

    Raises
    ------
    ValueError
        If a parameter breaks its rule.
    """
    samples = [*good_samples(dataset, defect=GOOD), *dataset.test]
    findings = _examine_all(
        samples, patch_size=patch_size, scale=scale, channels=channels, data_range=data_range, progress=progress
    )
    problems = [problem for finding in findings for problem in finding.problems]
    largest = [finding.largest_16_bit for finding in findings if finding.largest_16_bit is not None]
    if largest and 0 < max(largest) < _TWELVE_BITS:
        message = f"all {len(largest)} 16-bit images stay below 4096 (largest {max(largest)}), as 12-bit data does: "
        problems.append(Problem(dataset.root, message + "`data_range` 4095 would use the whole range", "warning"))
    return problems


def check_samples(
    samples: Sequence[Sample],
    *,
    patch_size: int = 128,
    scale: float = 1.0,
    channels: int = 1,
    data_range: float | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[tuple[Problem, ...]]:
    """Return everything that is wrong with the files of each image, as :func:`check_dataset` does for a data set.

    Only what a data set says as a whole is missing: whether its 16-bit data looks like 12 bits.
    """
    findings = _examine_all(
        samples, patch_size=patch_size, scale=scale, channels=channels, data_range=data_range, progress=progress
    )
    return [finding.problems for finding in findings]


def _examine_all(
    samples: Sequence[Sample],
    *,
    patch_size: int,
    scale: float,
    channels: int,
    data_range: float | None,
    progress: Callable[[int], object] | None,
) -> list[_Finding]:
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3, got {channels}")
    if patch_size < 1:
        raise ValueError(f"`patch_size` must be at least 1, got {patch_size}")
    if not scale > 0:
        raise ValueError(f"`scale` must be positive, got {scale}")
    masks_expected = any(sample.mask is not None for sample in samples)
    examine = partial(
        _examine, patch_size=patch_size, scale=scale, data_range=data_range, masks_expected=masks_expected
    )
    findings = []
    executor = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        for done, finding in enumerate(executor.map(examine, samples), 1):
            findings.append(finding)
            if progress is not None:
                progress(done)
    finally:
        executor.shutdown(cancel_futures=True)
    return findings


def _examine(
    sample: Sample, *, patch_size: int, scale: float, data_range: float | None, masks_expected: bool
) -> _Finding:
    problems: list[Problem] = []
    shape = largest = ignored = None
    try:
        decoded = decode(sample.path, page=None, max_pixels=MAX_PIXELS)
        shape = (decoded.samples.shape[0], decoded.samples.shape[1])
        white_level(decoded, sample.path, data_range=data_range)
    except (OSError, ValueError) as error:
        problems.append(_problem(sample.path, error))
    else:
        if data_range is None and decoded.white == _WHITE_16_BIT:
            largest = int(decoded.samples.max())
        try:
            ignored = read_ignored(sample, shape)
        except (OSError, ValueError) as error:
            problems.append(_problem(sample.ignore or sample.path, error))
        inspected = decoded.samples[inspected_frame(ignored)]
        height, width = scaled_shape(inspected, scale)
        if min(height, width) < patch_size:
            size = f"{inspected.shape[0]} x {inspected.shape[1]} pixels"
            kept = f" left of {shape[0]} x {shape[1]} by the ignore mask" if inspected.shape[:2] != shape else ""
            scaled = f" ({height} x {width} at scale {scale:g})" if scale != 1 else ""
            message = f"{size}{kept}{scaled}, smaller than a patch of {patch_size} x {patch_size}"
            problems.append(Problem(sample.path, message, "error"))
    if sample.mask is not None:
        problems += _examine_mask(sample, sample.mask, shape, ignored)
    elif masks_expected and sample.defect != GOOD:
        problems.append(Problem(sample.path, "no ground-truth mask, while other images have one", "error"))
    return _Finding(tuple(problems), largest)


def _examine_mask(
    sample: Sample, mask: Path, shape: tuple[int, int] | None, ignored: NDArray[np.bool_] | None
) -> list[Problem]:
    try:
        truth = load_mask(sample, shape)
    except (OSError, ValueError) as error:
        return [_problem(mask, error)]
    inspected = truth if ignored is None else truth & ~ignored
    if inspected.any() or sample.defect == GOOD:
        return []
    what = "marks only pixels that are ignored" if truth.any() else "marks no pixel"
    return [Problem(mask, f"{what} of {sample.path}", "warning")]


def _problem(path: Path, error: OSError | ValueError) -> Problem:
    """Return an error as a problem, its file's name taken off the front of the message."""
    return Problem(path, reason_of(error, path), "error")
