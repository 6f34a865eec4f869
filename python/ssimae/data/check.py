"""Read every file of a data set and report all problems together."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssimae.bands import Room
from ssimae.data.dataset import GOOD, Dataset, Sample, good_samples
from ssimae.data.files import shortened
from ssimae.data.ignore import inspected_frame
from ssimae.data.masks import MaskKind, ignored_note, load_marks, mask_notes, read_ignored
from ssimae.errors import reason_of
from ssimae.images.decoding import decode
from ssimae.images.read import MAX_PIXELS, has_colour, image_size, is_flat, white_level
from ssimae.images.resize import scaled_shape

_TWELVE_BITS = 4096
_WHITE_16_BIT = 65535

AT_ONCE = 2**26
"""Pixels of images that are read at once, or one image that has more."""

_NAMED = 2
"""Images named as examples."""


@dataclass(frozen=True)
class Problem:
    """An error in one file, or something suspicious about it."""

    path: Path
    message: str
    severity: Literal["error", "warning"]
    """`error`: no run can start; `warning`: suspicious but workable."""


@dataclass(frozen=True)
class Checked:
    """What reading all files of a data set found."""

    problems: list[Problem]
    """Those of all images, and what is said of all of them together."""
    of_images: list[tuple[Problem, ...]]
    """Those of each image, with its masks."""
    masks: Mapping[MaskKind, int]
    """How many masks hold what."""
    coloured: int
    """Number of images in colour, of whatever the detector sees."""
    flat: list[bool]
    """Of each image, whether all that is inspected of it is of one value."""

    @property
    def errors(self) -> list[Problem]:
        """Problems with which no run can start."""
        return [problem for problem in self.problems if problem.severity == "error"]

    def with_problem(self, problem: Problem) -> Checked:
        """Return the same with one more problem."""
        return replace(self, problems=[*self.problems, problem])

    @property
    def warnings(self) -> list[Problem]:
        """Problems that are suspicious but workable."""
        return [problem for problem in self.problems if problem.severity == "warning"]


@dataclass(frozen=True)
class _Finding:
    path: Path
    problems: tuple[Problem, ...]
    depth: str | None = None
    """Depth of the image in words; None where it cannot be read."""
    largest_16_bit: int | None = None
    """Largest value of a 16-bit image whose range is its type's; None for all other images."""
    at_high_end: bool = False
    """Whether all its values are multiples of 16."""
    coloured: bool = False
    flat: bool = False
    ignores: bool | None = None
    """Whether its ignore mask marks anything; None where it has none that can be read."""
    masks: tuple[MaskKind, ...] = ()


def check_dataset(
    dataset: Dataset,
    *,
    patch_size: int = 128,
    scale: float = 1.0,
    channels: int | None = 1,
    data_range: float | None = None,
    progress: Callable[[int], object] | None = None,
) -> Checked:
    """Return everything that is wrong with the files of a data set, after reading all of them.

    Parameters
    ----------
    dataset : Dataset
    patch_size : int
        Images that are smaller once scaled are errors.
    scale : float
        Factor images are resized by.
    channels : int or None
        1 for gray, 3 for colour, None where it is still to be chosen.
    data_range : float, optional
        Value that counts as white, as for :func:`ssimae.read_image`.
    progress : callable, optional
        Called from this thread with the number of images done.

    Returns
    -------
    Checked
        Its problems in the order of the data set: unreadable images and masks, images smaller than a patch, masks of
        another size, missing masks where other defective images have one, good images none of which shows anything; as
        warnings, masks that mark nothing or most of an image, or may be turned against it, colour that is made
        gray, images of different depth, and 16-bit data that looks like 12 bits.

    Raises
    ------
    ValueError
        If a parameter breaks its rule.
    """
    checked = check_samples(
        [*good_samples(dataset, defect=GOOD), *dataset.test],
        patch_size=patch_size,
        scale=scale,
        channels=channels,
        data_range=data_range,
        progress=progress,
        root=dataset.root,
    )
    note = flat_note(checked.flat[: len(dataset.train)])
    return checked if note is None else checked.with_problem(Problem(dataset.root, note, "error"))


def check_samples(
    samples: Sequence[Sample],
    *,
    patch_size: int = 128,
    scale: float = 1.0,
    channels: int | None = 1,
    data_range: float | None = None,
    progress: Callable[[int], object] | None = None,
    root: Path | None = None,
) -> Checked:
    """Return everything that is wrong with the files of single images, as :func:`check_dataset` does for a data set.

    What is said of all of them together is said of `root`, by default the folder that holds them all.
    """
    if not samples:
        return Checked([], [], {}, 0, [])
    root = root or Path(os.path.commonpath([sample.path.parent for sample in samples]))
    findings = _examine_all(
        samples, patch_size=patch_size, scale=scale, channels=channels, data_range=data_range, progress=progress
    )
    # One ignore mask for many images is suspicious once.
    problems = list(dict.fromkeys(problem for finding in findings for problem in finding.problems))
    coloured = sum(finding.coloured for finding in findings)
    notes = [_twelve_bits_note(findings)]
    ignoring = [finding.ignores for finding in findings if finding.ignores is not None]
    if ignoring and not any(ignoring):
        notes.append("no ignore mask marks anything, so whole images are inspected; white is what is not inspected")
    if data_range is None:
        notes.append(depth_note((f.path.name, f.depth) for f in findings if f.depth is not None))
    if channels == 1:
        notes.append(gray_note(coloured, len(findings)))
    problems += [Problem(root, note, "warning") for note in notes if note is not None]
    return Checked(
        problems,
        [finding.problems for finding in findings],
        Counter(kind for finding in findings for kind in finding.masks),
        coloured,
        [finding.flat for finding in findings],
    )


def flat_note(flat: Sequence[bool]) -> str | None:
    """Return a sentence that good images show nothing, each being flat; or None where one is not."""
    if not flat or not all(flat):
        return None
    subject = "the good image is" if len(flat) == 1 else f"all {len(flat)} good images are"
    return f"{subject} of one value throughout: there is nothing to learn from"


def gray_note(coloured: int, images: int) -> str | None:
    """Return a sentence that colour is made gray, or None where there is none."""
    if not coloured:
        return None
    return (
        f"{coloured} of {images} images are in colour and are inspected in gray: a defect of colour alone may not "
        "show; `channels` 3 would see it"
    )


def depth_note(images: Iterable[tuple[str, str]]) -> str | None:
    """Return a sentence that images, by name and depth, differ in depth; or None where they do not."""
    depths: dict[str, list[str]] = {}
    for name, depth in images:
        depths.setdefault(depth, []).append(name)
    if len(depths) < 2:
        return None
    shown = "; ".join(f"{len(names)} of {depth} ({_examples(names)})" for depth, names in depths.items())
    return f"images of different depth, each scaled by its own range: {shown}"


def _twelve_bits_note(findings: Sequence[_Finding]) -> str | None:
    """Return a sentence about 16-bit images that hold 12 bits, all of them or some; or None."""
    deep = [(finding, finding.largest_16_bit) for finding in findings if finding.largest_16_bit]
    low = [finding for finding, largest in deep if largest < _TWELVE_BITS]
    if not low:
        return None
    others = [finding for finding, largest in deep if largest >= _TWELVE_BITS]
    if not others:
        return (
            f"all {len(deep)} 16-bit images stay below 4096 (largest {max(largest for _, largest in deep)}), as 12-bit "
            "data does: `data_range` 4095 would use the whole range"
        )
    high = all(finding.at_high_end for finding in others)
    beyond = " in multiples of 16, as 12 bits at the high end do" if high else ""
    return (
        f"{len(low)} of {len(deep)} 16-bit images stay below 4096, as 12 bits at the low end do "
        f"({_examples([finding.path.name for finding in low])}), and the others go beyond{beyond} "
        f"({_examples([finding.path.name for finding in others])}): the ones may be 16 times too dark beside the others"
    )


def _examples(names: list[str]) -> str:
    return shortened(names, ", ", shown=_NAMED)


def _examine_all(
    samples: Sequence[Sample],
    *,
    patch_size: int,
    scale: float,
    channels: int | None,
    data_range: float | None,
    progress: Callable[[int], object] | None,
) -> list[_Finding]:
    if channels not in (1, 3, None):
        raise ValueError(f"`channels` must be 1 or 3, got {channels}")
    if patch_size < 1:
        raise ValueError(f"`patch_size` must be at least 1, got {patch_size}")
    if not scale > 0:
        raise ValueError(f"`scale` must be positive, got {scale}")
    masks_expected = any(sample.masks for sample in samples)
    look = partial(_examine, patch_size=patch_size, scale=scale, data_range=data_range, masks_expected=masks_expected)
    room = Room(AT_ONCE)

    def examine(sample: Sample) -> _Finding:
        with room.taken(_pixels(sample.path)):
            return look(sample)

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


def _pixels(path: Path) -> int:
    """Return how many pixels an image file announces; none where it cannot be read, which decoding it then says."""
    try:
        return math.prod(image_size(path))
    except (OSError, ValueError):
        return 0


def _examine(
    sample: Sample, *, patch_size: int, scale: float, data_range: float | None, masks_expected: bool
) -> _Finding:
    try:
        decoded = decode(sample.path, page=None, max_pixels=MAX_PIXELS)
        white = white_level(decoded, sample.path, data_range=data_range)
    except (OSError, ValueError) as error:
        of_masks, kinds = _examine_masks(sample, None, None)
        return _Finding(sample.path, (_problem(sample.path, error), *of_masks), masks=kinds)
    problems: list[Problem] = []
    shape = (decoded.samples.shape[0], decoded.samples.shape[1])
    ignored, ignores = None, None
    try:
        ignored = read_ignored(sample, shape)
        ignores = None if sample.ignore is None else ignored is not None
    except (OSError, ValueError) as error:
        problems.append(_problem(sample.ignore or sample.path, error))
    if sample.ignore is not None and ignored is not None and (note := ignored_note(ignored)) is not None:
        problems.append(Problem(sample.ignore, note, "warning"))
    inspected = decoded.samples[inspected_frame(ignored)]
    height, width = scaled_shape(inspected, scale)
    if min(height, width) < patch_size:
        size = f"{inspected.shape[0]} x {inspected.shape[1]} pixels"
        kept = f" left of {shape[0]} x {shape[1]} by the ignore mask" if inspected.shape[:2] != shape else ""
        scaled = f" ({height} x {width} at scale {scale:g})" if scale != 1 else ""
        message = f"{size}{kept}{scaled}, smaller than a patch of {patch_size} x {patch_size}"
        problems.append(Problem(sample.path, message, "error"))
    of_masks, kinds = _examine_masks(sample, shape, ignored)
    problems += of_masks
    if masks_expected and not sample.masks and sample.defect != GOOD:
        problems.append(Problem(sample.path, "no ground-truth mask, while other images have one", "error"))
    whole_type = data_range is None and decoded.white == _WHITE_16_BIT
    return _Finding(
        sample.path,
        tuple(problems),
        depth=decoded.depth,
        largest_16_bit=int(decoded.samples.max()) if whole_type else None,
        at_high_end=whole_type and not any((row % 16).any() for row in decoded.samples),
        coloured=has_colour(decoded.samples, white),
        flat=is_flat(inspected),
        ignores=ignores,
        masks=kinds,
    )


def _examine_masks(
    sample: Sample, shape: tuple[int, int] | None, ignored: NDArray[np.bool_] | None
) -> tuple[list[Problem], tuple[MaskKind, ...]]:
    if not sample.masks:
        return [], ()
    try:
        marks = load_marks(sample, shape)
        notes = [] if shape is None else mask_notes(sample, marks.marked, ignored)
    except (OSError, ValueError) as error:
        return [_problem(sample.masks[0], error)], ()
    return [Problem(sample.masks[0], note, "warning") for note in notes], marks.kinds


def _problem(path: Path, error: OSError | ValueError) -> Problem:
    """Return an error as a problem, its file's name taken off the front of the message."""
    return Problem(path, reason_of(error, path), "error")
