"""Data folders and how they are laid out: MVTec AD, NanoTWICE, or a plain folder of good images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ssimae.data.ignore import is_ignore_mask, pair_ignore_masks
from ssimae.images.decoding import IMAGE_SUFFIXES

Layout = Literal["mvtec", "nanotwice", "folder"]

GOOD = "good"
UNLABELLED = "unlabelled"

LAYOUTS = """layouts understood:
  MVTec AD:   train/good/*.png, test/<defect>/*.png, ground_truth/<defect>/<name>_mask.png (or <name>.png; optional)
  NanoTWICE:  Normal/*.tif, Anomalous/images/*.tif, Anomalous/gt/<name>_gt.png (optional)
  folder:     *.png, in folders or not, all of them good"""
"""The layouts as error messages show them."""

_RESERVED = ("train", "test", "ground_truth", "Normal", "Anomalous")
_MASK_ENDINGS = ("_mask", "_gt", "")
_LONGEST_NAME_BYTES = 255 - len(".tiff")
_SHOWN = 12


@dataclass(frozen=True)
class Sample:
    """One test image."""

    path: Path
    name: str
    """File name without suffix; unique within its defect."""
    defect: str
    """`good`, the name of the folder, or `unlabelled` where nothing says."""
    mask: Path | None
    """Ground truth, or None where there is none."""
    ignore: Path | None = None
    """Mask of the pixels that are not inspected, or None."""


@dataclass(frozen=True)
class Dataset:
    """Names of the images of a data set; nothing is read."""

    name: str
    layout: Layout
    root: Path
    """Absolute."""
    train: tuple[Path, ...]
    """Defect-free images, in natural order."""
    test: tuple[Sample, ...]
    ignore: Mapping[Path, Path] = field(default_factory=dict)
    """Mask of the pixels that are not inspected, by image; images without one are inspected whole."""


def open_dataset(root: Path | str, *, ignore: Path | None = None) -> Dataset:
    """Return the images of a data folder by its layout, from their names alone.

    Hidden files and files that are not images by their suffix are left out; images come in natural order (`2` before
    `10`). :func:`ssimae.data.dataset.check_dataset` reads them.

    Parameters
    ----------
    root : path
    ignore : Path, optional
        Mask of the pixels of every image that are not inspected, or a folder of one each (see
        :func:`ssimae.data.ignore.pair_ignore_masks`).

    Raises
    ------
    OSError
        If the folder is missing or cannot be listed.
    ValueError
        If the layout is unknown, there is no defect-free image, or images and masks do not pair up; the message names
        every such pair.
    """
    root = Path(os.path.abspath(root))
    if not root.exists():
        raise FileNotFoundError(f"{root}: no such data folder\n{LAYOUTS}")
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: not a folder\n{LAYOUTS}")
    if (root / "Normal").is_dir() and (root / "Anomalous").is_dir():
        dataset = _open_nanotwice(root)
    elif (root / "train").is_dir():
        dataset = _open_mvtec(root)
    else:
        dataset = _open_folder(root)
    if ignore is None:
        return dataset
    # Masks kept beside the images are not images.
    train = tuple(path for path in dataset.train if not is_ignore_mask(path, ignore))
    test = tuple(sample for sample in dataset.test if not is_ignore_mask(sample.path, ignore))
    if not train:
        raise ValueError(f"{root}: no defect-free image is left beside the ignore masks {ignore}")
    pairs = pair_ignore_masks(ignore, [*train, *(sample.path for sample in test)], all_used=True)
    samples = tuple(replace(sample, ignore=pairs.get(sample.path)) for sample in test)
    return replace(dataset, train=train, test=samples, ignore=pairs)


def _open_mvtec(root: Path) -> Dataset:
    train = _images(root / "train" / GOOD) if (root / "train" / GOOD).is_dir() else []
    if not train:
        raise ValueError(f"{root}: no defect-free image in train/{GOOD}; found {_found(root)}\n{LAYOUTS}")
    _refuse_images_outside(root / "train", allowed=(GOOD,))
    truth = root / "ground_truth"
    samples: list[Sample] = []
    faults: list[str] = []
    if (root / "test").is_dir():
        samples = [Sample(path, path.stem, UNLABELLED, None) for path in _images(root / "test")]
        for folder in _folders(root / "test"):
            _refuse_images_outside(folder, allowed=())
            images = _images(folder)
            masks = _pair(images, truth / folder.name, folder.name, faults) if truth.is_dir() else [None] * len(images)
            samples += [Sample(path, path.stem, folder.name, mask) for path, mask in zip(images, masks, strict=True)]
    if truth.is_dir():
        known = {folder.name for folder in _folders(root / "test")} if (root / "test").is_dir() else set()
        for folder in _folders(truth):
            if folder.name not in known:
                faults += [f"mask {mask}: there is no folder test/{folder.name}" for mask in _images(folder)]
    _refuse_faults(root, faults)
    return Dataset(root.name, "mvtec", root, tuple(train), tuple(samples))


def _open_nanotwice(root: Path) -> Dataset:
    train = _images(root / "Normal")
    if not train:
        raise ValueError(f"{root}: no defect-free image in Normal; found {_found(root)}\n{LAYOUTS}")
    folder, truth = root / "Anomalous" / "images", root / "Anomalous" / "gt"
    if not folder.is_dir():
        raise ValueError(f"{root}: no folder Anomalous/images; found {_found(root / 'Anomalous')} there\n{LAYOUTS}")
    images = _images(folder)
    faults: list[str] = []
    masks = _pair(images, truth, "Anomalous", faults) if truth.is_dir() else [None] * len(images)
    _refuse_faults(root, faults)
    samples = [Sample(path, path.stem, "Anomalous", mask) for path, mask in zip(images, masks, strict=True)]
    return Dataset(root.name, "nanotwice", root, tuple(train), tuple(samples))


def _open_folder(root: Path) -> Dataset:
    folders = list(_walk(root))
    inner = [folder for folder in folders if any((folder / name).is_dir() for name in _RESERVED)]
    if root in inner:
        raise ValueError(f"{root}: the layout is incomplete; found {_found(root)}\n{LAYOUTS}")
    if inner:
        shown = shortened([str(folder.relative_to(root)) for folder in inner], ", ")
        raise ValueError(f"{root}: a folder of data sets; name one of them: {shown}\n{LAYOUTS}")
    train = [path for folder in folders for path in _images(folder)]
    if not train:
        raise ValueError(f"{root}: no image; found {_found(root)}\n{LAYOUTS}")
    return Dataset(root.name, "folder", root, tuple(train), ())


def good_samples(dataset: Dataset, *, defect: str = "training") -> tuple[Sample, ...]:
    """Return the defect-free images as samples, for data without test images.

    Names are paths below the data folder without suffix, so that images of the same name in different folders stay
    apart.
    """
    names = [path.relative_to(dataset.root).with_suffix("").as_posix() for path in dataset.train]
    return tuple(
        Sample(path, name, defect, None, dataset.ignore.get(path))
        for path, name in zip(dataset.train, names, strict=True)
    )


def inspected_samples(dataset: Dataset) -> tuple[Sample, ...]:
    """Return the images that a run inspects: the test images, or the good images themselves where there are none."""
    return dataset.test or good_samples(dataset)


def _pair(images: list[Path], folder: Path, defect: str, faults: list[str]) -> list[Path | None]:
    """Return the mask of each image; what does not pair up is added to `faults`. Good images need none."""
    by_stem = {mask.stem: mask for mask in (_images(folder) if folder.is_dir() else [])}
    masks: list[Path | None] = []
    used = set()
    for image in images:
        found = [stem for ending in _MASK_ENDINGS if (stem := image.stem + ending) in by_stem]
        used.update(found)
        if len(found) > 1:
            faults.append(f"image {image}: two masks, {by_stem[found[0]]} and {by_stem[found[1]]}")
        elif not found and defect != GOOD:
            faults.append(f"image {image}: no mask in {folder}")
        masks.append(by_stem[found[0]] if found else None)
    faults += [f"mask {mask}: no image of that name" for stem, mask in by_stem.items() if stem not in used]
    return masks


def _images(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, in natural order; links that lead nowhere are among them.

    Raises
    ------
    ValueError
        If two differ in their suffix alone, or a name cannot be written beside a result.
    """
    images = [
        path
        for path in _visible(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES and (path.is_file() or (path.is_symlink() and not path.is_dir()))
    ]
    by_stem: dict[str, Path] = {}
    for path in images:
        _refuse_unwritable(path)
        if path.stem in by_stem:
            raise ValueError(f"{path}: doubly named, as {by_stem[path.stem].name} is; rename one")
        by_stem[path.stem] = path
    return images


def _refuse_unwritable(path: Path) -> None:
    try:
        size = len(path.stem.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"{str(path)!a}: the name is not valid UTF-8; rename the file") from error
    if size > _LONGEST_NAME_BYTES:
        raise ValueError(f"{path}: the name without suffix may have {_LONGEST_NAME_BYTES} bytes, got {size}")


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts numbers in names by value, and is never equal for two names."""
    parts = re.split(r"(\d+)", path.name)
    # Every second part is a number, so that numbers meet numbers.
    return [(int(part), "") if index % 2 else (0, part.casefold()) for index, part in enumerate(parts)], path.name


def _walk(root: Path) -> Iterator[Path]:
    """Yield a folder and all below it, in natural order; each real folder once, so that links in a loop end.

    Results of earlier runs are passed over: their reconstructions are no photographs.
    """
    seen = set()
    stack = [root]
    while stack:
        folder = stack.pop()
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        yield folder
        stack += reversed([inner for inner in _folders(folder) if not _holds_results(inner)])


def _holds_results(folder: Path) -> bool:
    return (folder / "config.toml").is_file() and (folder / "residuals").is_dir()


def _refuse_images_outside(folder: Path, *, allowed: tuple[str, ...]) -> None:
    """Refuse images in folders that the layout has no place for."""
    for inner in _folders(folder):
        if inner.name in allowed:
            continue
        for deep in _walk(inner):
            if _images(deep):
                raise ValueError(f"{deep}: images where the layout has no place for them\n{LAYOUTS}")


def _refuse_faults(root: Path, faults: list[str]) -> None:
    if faults:
        raise ValueError(f"{root}: images and masks do not pair up\n  " + shortened(faults, "\n  "))


def _found(folder: Path) -> str:
    """Return what lies in a folder, in words."""
    names = [path.name + "/" if path.is_dir() else path.name for path in _visible(folder)]
    return shortened(names, ", ") or "nothing"


def shortened(items: list[str], separator: str) -> str:
    """Return the first items joined, and how many more there are."""
    rest = len(items) - _SHOWN
    return separator.join([*items[:_SHOWN], f"and {rest} more"] if rest > 0 else items)
