"""Open data folders in the layouts understood: MVTec AD, NanoTWICE, and plain folders of good images."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ssimae.config.presets import Preset
from ssimae.data.dataset import GOOD, UNLABELLED, Dataset, Sample
from ssimae.data.files import (
    describe_contents,
    list_folders,
    list_images,
    pair_masks,
    refuse_faults,
    shortened,
    walk_folders,
)
from ssimae.data.ignore import is_ignore_mask, pair_ignore_masks


@dataclass(frozen=True)
class Layout:
    """One way in which the files of a data set may lie; everything that depends on the layout asks its row."""

    name: str
    """As the facts of a run and ``ssimae check`` have it."""
    title: str
    """As the report has it."""
    pattern: str
    """Where its files lie, as error messages show it."""
    reserved: tuple[str, ...]
    """Its folders: a data set that has some of them and matches no layout is incomplete, not a plain folder."""
    matches: Callable[[Path], bool]
    """Return whether a folder is laid out so, told by the folders in it; the first row that matches is taken."""
    open: Callable[[Path], tuple[list[Path], list[Sample]]]
    """Return the defect-free images and the test images of a folder, which is an absolute path.

    Raises ValueError if there is no defect-free image, or images and masks do not pair up.
    """
    paper_preset: Preset
    """Preset with the paper's settings for such images."""
    has_paper_values: bool = False
    """Whether the paper gives numbers for the data set that comes in this layout."""


def open_dataset(root: Path | str, *, ignore: Path | None = None) -> Dataset:
    """Return the images of a data folder by its layout, from their names alone.

    Hidden files and files that are not images by their suffix are left out; images come in natural order (`2` before
    `10`). :func:`ssimae.data.check.check_dataset` reads them.

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
        raise FileNotFoundError(f"{root}: no such data folder\n{UNDERSTOOD}")
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: not a folder\n{UNDERSTOOD}")
    layout = next(layout for layout in LAYOUTS.values() if layout.matches(root))
    good, samples = layout.open(root)
    dataset = Dataset(root.name, layout.name, root, tuple(good), tuple(samples))
    if ignore is None:
        return dataset
    # Masks kept beside the images are not images.
    train = tuple(path for path in dataset.train if not is_ignore_mask(path, ignore))
    test = tuple(sample for sample in dataset.test if not is_ignore_mask(sample.path, ignore))
    if not train:
        raise ValueError(f"{root}: no defect-free image is left beside the ignore masks {ignore}")
    pairs = pair_ignore_masks(ignore, [*train, *(sample.path for sample in test)], all_used=True)
    test = tuple(replace(sample, ignore=pairs.get(sample.path)) for sample in test)
    return replace(dataset, train=train, test=test, ignore=pairs)


def _open_mvtec(root: Path) -> tuple[list[Path], list[Sample]]:
    train = list_images(root / "train" / GOOD) if (root / "train" / GOOD).is_dir() else []
    if not train:
        raise ValueError(f"{root}: no defect-free image in train/{GOOD}; found {describe_contents(root)}\n{UNDERSTOOD}")
    _refuse_images_outside(root / "train", allowed=(GOOD,))
    truth = root / "ground_truth"
    samples: list[Sample] = []
    faults: list[str] = []
    if (root / "test").is_dir():
        samples = [Sample(path, path.stem, UNLABELLED, None) for path in list_images(root / "test")]
        for folder in list_folders(root / "test"):
            _refuse_images_outside(folder, allowed=())
            images = list_images(folder)
            masks = (
                pair_masks(images, truth / folder.name, folder.name, faults) if truth.is_dir() else [None] * len(images)
            )
            samples += [Sample(path, path.stem, folder.name, mask) for path, mask in zip(images, masks, strict=True)]
    if truth.is_dir():
        tested = {folder.name for folder in list_folders(root / "test")} if (root / "test").is_dir() else set()
        for folder in list_folders(truth):
            if folder.name not in tested:
                faults += [f"mask {mask}: there is no folder test/{folder.name}" for mask in list_images(folder)]
    refuse_faults(root, faults)
    return train, samples


def _open_nanotwice(root: Path) -> tuple[list[Path], list[Sample]]:
    train = list_images(root / "Normal")
    if not train:
        raise ValueError(f"{root}: no defect-free image in Normal; found {describe_contents(root)}\n{UNDERSTOOD}")
    folder, truth = root / "Anomalous" / "images", root / "Anomalous" / "gt"
    if not folder.is_dir():
        raise ValueError(
            f"{root}: no folder Anomalous/images; found {describe_contents(root / 'Anomalous')} there\n{UNDERSTOOD}"
        )
    images = list_images(folder)
    faults: list[str] = []
    masks = pair_masks(images, truth, "Anomalous", faults) if truth.is_dir() else [None] * len(images)
    refuse_faults(root, faults)
    return train, [Sample(path, path.stem, "Anomalous", mask) for path, mask in zip(images, masks, strict=True)]


def _open_folder(root: Path) -> tuple[list[Path], list[Sample]]:
    folders = list(walk_folders(root))
    reserved = [name for layout in LAYOUTS.values() for name in layout.reserved]
    inner = [folder for folder in folders if any((folder / name).is_dir() for name in reserved)]
    if root in inner:
        raise ValueError(f"{root}: the layout is incomplete; found {describe_contents(root)}\n{UNDERSTOOD}")
    if inner:
        shown = shortened([str(folder.relative_to(root)) for folder in inner], ", ")
        raise ValueError(f"{root}: a folder of data sets; name one of them: {shown}\n{UNDERSTOOD}")
    train = [path for folder in folders for path in list_images(folder)]
    if not train:
        raise ValueError(f"{root}: no image; found {describe_contents(root)}\n{UNDERSTOOD}")
    return train, []


def _refuse_images_outside(folder: Path, *, allowed: tuple[str, ...]) -> None:
    """Refuse images in folders that the layout has no place for."""
    for inner in list_folders(folder):
        if inner.name in allowed:
            continue
        for deep in walk_folders(inner):
            if list_images(deep):
                raise ValueError(f"{deep}: images where the layout has no place for them\n{UNDERSTOOD}")


def _is_nanotwice(root: Path) -> bool:
    return (root / "Normal").is_dir() and (root / "Anomalous").is_dir()


_ROWS = (
    Layout(
        "mvtec",
        "MVTec AD",
        "MVTec AD:   train/good/*.png, test/<defect>/*.png, ground_truth/<defect>/<name>_mask.png "
        "(or <name>.png; optional)",
        reserved=("train", "test", "ground_truth"),
        matches=lambda root: (root / "train").is_dir() and not _is_nanotwice(root),
        open=_open_mvtec,
        paper_preset="paper-texture",
    ),
    Layout(
        "nanotwice",
        "NanoTWICE",
        "NanoTWICE:  Normal/*.tif, Anomalous/images/*.tif, Anomalous/gt/<name>_gt.png (optional)",
        reserved=("Normal", "Anomalous"),
        matches=_is_nanotwice,
        open=_open_nanotwice,
        paper_preset="paper",
        has_paper_values=True,
    ),
    Layout(
        "folder",
        "plain folder of good images",
        "folder:     *.png, in folders or not, all of them good",
        reserved=(),
        matches=lambda _: True,
        open=_open_folder,
        paper_preset="paper-texture",
    ),
)

LAYOUTS = {layout.name: layout for layout in _ROWS}
"""Every layout, by its name."""

UNDERSTOOD = "\n  ".join(["layouts understood:", *(layout.pattern for layout in _ROWS)])
"""The layouts as error messages show them."""
