"""Define a data set: its images, the defect and masks of each, and a fingerprint of all their files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ssimae.data.ignore import pair_ignore_masks
from ssimae.reading import file_sha256

GOOD = "good"
"""Name of the folder of good test images, which stands where others have their defect."""
UNLABELLED = "unlabelled"
"""Defect name of test images of which nothing says whether they are defective."""


@dataclass(frozen=True)
class Sample:
    """One test image.

    Examples
    --------
    >>> from pathlib import Path
    >>> import ssimae
    >>> sample = ssimae.Sample(Path("test/scratch/7.png"), name="7", defect="scratch")
    >>> sample.defect, sample.masks
    ('scratch', ())
    """

    path: Path
    name: str
    """File name without suffix; unique within its defect."""
    defect: str
    """`good`, the name of the folder, or `unlabelled` where nothing says."""
    masks: tuple[Path, ...] = ()
    """Ground truth, all of it united; none where there is none."""
    ignore: Path | None = None
    """Mask of the pixels that are not inspected, or None."""


@dataclass(frozen=True)
class Dataset:
    """The images of a data set by name; nothing is read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import ssimae
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "2.png").touch(), (root / "10.png").touch()
    (None, None)
    >>> dataset = ssimae.open_dataset(root)
    >>> [path.name for path in dataset.train]
    ['2.png', '10.png']
    """

    name: str
    layout: str
    """Name of its row in :data:`ssimae.data.layouts.LAYOUTS`."""
    root: Path
    """Absolute."""
    train: tuple[Path, ...]
    """Defect-free images, in natural order."""
    test: tuple[Sample, ...]
    ignore: Mapping[Path, Path] = field(default_factory=dict)
    """Mask of the pixels that are not inspected, by image; images without one are inspected whole."""
    empty_masks: tuple[Path, ...] = ()
    """Masks of good images, known to mark nothing."""
    aside: Mapping[Path, str] = field(default_factory=dict)
    """Files and folders that the layout knows and leaves out, with the reason."""
    taught: tuple[Path, ...] = ()
    """The last ones of `train`: good images that joined those of the folder later, from anywhere; absolute."""

    def __repr__(self) -> str:
        """Count the images: to name each would fill the screen."""
        return (
            f"<Dataset {self.name!r} in {str(self.root)!r}, {self.layout} layout: "
            f"{len(self.train)} good images to learn from, {len(self.test)} test images>"
        )

    def name_of(self, image: Path) -> str:
        """Return what a good image is called: its path below the data folder, or its number among those taught."""
        if image in self.taught:
            return f"taught/{self.taught.index(image) + 1}-{image.name}"
        return image.relative_to(self.root).as_posix()


def with_taught(dataset: Dataset, taught: Sequence[Path], *, ignore: Path | None) -> Dataset:
    """Return a data set with more good images, from anywhere; `ignore` holds their masks, too.

    Raises
    ------
    OSError, ValueError
        If one is missing or among the good images already, or the ignore masks cannot be paired.
    """
    if not taught:
        return dataset
    for path in taught:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such image; it was taught as a good one, and is needed again")
        if path in dataset.train:
            raise ValueError(f"{path}: is among the good images already")
    masks = {} if ignore is None else pair_ignore_masks(ignore, taught, all_used=False)
    return replace(dataset, train=(*dataset.train, *taught), taught=tuple(taught), ignore={**dataset.ignore, **masks})


def good_samples(dataset: Dataset, *, defect: str = "training") -> tuple[Sample, ...]:
    """Return the defect-free images as samples, for data without test images.

    Names are paths below the data folder without suffix, so that images of the same name in different folders stay
    apart.
    """
    names = [Path(dataset.name_of(path)).with_suffix("").as_posix() for path in dataset.train]
    return tuple(
        Sample(path, name, defect, ignore=dataset.ignore.get(path))
        for path, name in zip(dataset.train, names, strict=True)
    )


def inspected_samples(dataset: Dataset) -> tuple[Sample, ...]:
    """Return the images that a run inspects: the test images, or the good images themselves where there are none."""
    return dataset.test or good_samples(dataset)


def has_masks(samples: Sequence[Sample]) -> bool:
    """Return whether every defective sample has a ground-truth mask, and there is one."""
    masked = [bool(sample.masks) for sample in samples if sample.defect != GOOD]
    return bool(masked) and all(masked)


def dataset_fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256 of a data set: names below its folder and contents of all images and masks.

    The same wherever the folder lies and however it is called; another as soon as a byte, a name or a file changes.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    masks = [mask for sample in dataset.test for mask in sample.masks]
    files = {*dataset.train, *(sample.path for sample in dataset.test), *masks, *dataset.empty_masks}
    digest = hashlib.sha256()
    named = [(dataset.name_of(path), path) for path in files]
    # Ignore masks lie anywhere; what counts is which image each belongs to.
    named += [(f"/ignore/{dataset.name_of(image)}", mask) for image, mask in dataset.ignore.items()]
    for name, path in sorted(named):
        # Of fixed length after the name, which cannot hold a zero byte: no two data sets give the same stream.
        digest.update(name.encode() + b"\0" + bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()
