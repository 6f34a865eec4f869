"""Open data folders in the layouts understood: those of public data sets, sorted folders, and plain ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ssimae.config.presets import Preset
from ssimae.data.dataset import Dataset
from ssimae.data.files import (
    describe_contents,
    folder_at,
    list_folders,
    list_images_below,
    named_folder,
    refuse_results,
    shortened,
    walk_folders,
)
from ssimae.data.ignore import is_ignore_mask, pair_ignore_masks
from ssimae.data.opening.beside import has_masks_beside, open_dagm, open_kolektor, open_kolektor2
from ssimae.data.opening.contents import Contents, LayoutError, refuse_names_against_good
from ssimae.data.opening.parts import open_nanotwice, open_parts
from ssimae.data.opening.sides import good_folders, open_good_and_bad, open_visa, visa_base
from ssimae.data.opening.unread import refuse_unread


@dataclass(frozen=True)
class Layout:
    """One way in which the files of a data set may lie; everything that depends on the layout asks its row."""

    name: str
    """As the facts of a run and ``ssimae check`` have it."""
    title: str
    """As the report has it."""
    pattern: str
    """Where its files lie, as error messages show it."""
    matches: Callable[[Path], bool]
    """Return whether a folder is laid out so, told by the folders in it; the first row that matches is taken."""
    open: Callable[[Path, Path | None], Contents]
    """Return the images and masks of a folder, which is an absolute path, where ignore masks may lie beside them.

    Raises ValueError if there is no defect-free image, names contradict the layout, or images and masks do not pair up.
    """
    paper_preset: Preset
    """Preset with the paper's settings for such images."""
    has_paper_values: bool = False
    """Whether the paper gives numbers for the data set that comes in this layout."""


def open_dataset(root: Path | str, *, ignore: Path | None = None) -> Dataset:
    """Return the images of a data folder by its layout, from their names alone.

    Hidden files and files that are not images by their suffix are left out; images come in natural order (`2` before
    `10`). :func:`ssimae.data.accounting.passed_over` says what was left out, and
    :func:`ssimae.data.check.check_dataset` reads what was not. Masks are looked at here only in the layouts of
    KolektorSDD, which say in no other way whether an image is good.

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
        If the layout is unknown, there is no defect-free image, a name says that an image taken as good is not, or
        images and masks do not pair up; the message names every such pair.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import ssimae
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("good/1.png", "good/2.png", "bad/1.png"):
    ...     (root / name).parent.mkdir(exist_ok=True)
    ...     (root / name).touch()
    >>> dataset = ssimae.open_dataset(root)
    >>> len(dataset.train), [sample.defect for sample in dataset.test]
    (2, ['bad'])
    """
    root = Path(os.path.abspath(root))
    if not root.exists():
        raise FileNotFoundError(f"{root}: no such data folder\n{UNDERSTOOD}")
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: not a folder\n{UNDERSTOOD}")
    refuse_results(root)
    layout = next(layout for layout in LAYOUTS.values() if layout.matches(root))
    try:
        refuse_unread(root, ignore)
        contents = layout.open(root, ignore)
    except LayoutError as error:
        raise ValueError(f"{error}\n{UNDERSTOOD}") from error
    dataset = Dataset(
        root.name,
        layout.name,
        root,
        tuple(contents.good),
        tuple(contents.test),
        empty_masks=contents.empty_masks,
        aside=contents.aside,
    )
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


def categories_of(root: Path | str) -> list[Path]:
    """Return the data sets that lie side by side in a folder, as the categories of a benchmark do, in natural order.

    None for a folder that is a data set itself, or no folder.
    """
    root = Path(os.path.abspath(root))
    if not root.is_dir() or any(row.matches(root) for row in _KNOWN):
        return []
    return [folder for folder in list_folders(root) if any(row.matches(folder) for row in _KNOWN)]


_OF_TEST = "test", "testing", "val", "valid", "validation"
"""Names of folders that are a part of a data set, beside `train`."""


def _open_folder(root: Path, ignore: Path | None) -> Contents:
    inner: list[Path] = []
    for folder in walk_folders(root):
        in_another = any(folder.is_relative_to(other) for other in inner)
        if folder != root and not in_another and any(row.matches(folder) for row in _KNOWN):
            inner.append(folder)
    if of_test := [folder.name for folder in inner if folder.parent == root and folder.name.casefold() in _OF_TEST]:
        raise LayoutError(f"{root}: {', '.join(of_test)} but no train: the good images to learn from lie in train/good")
    if inner:
        shown = shortened([str(folder.relative_to(root)) for folder in inner], ", ")
        raise ValueError(f"{root}: a folder of data sets; name one of them: {shown}")
    images = list_images_below(root)
    if not images:
        raise LayoutError(f"{root}: no image; found {describe_contents(root)}")
    refuse_names_against_good(root, [image for image in images if not is_ignore_mask(image, ignore)])
    return Contents(images, [])


def _whole(opener: Callable[[Path], Contents]) -> Callable[[Path, Path | None], Contents]:
    """Return how a layout is opened that has no room for ignore masks among its own files."""
    return lambda root, ignore: opener(root)


def _has(*names: str) -> Callable[[Path], bool]:
    """Return whether a folder holds folders of these names, in any case; `/` leads into one."""
    return lambda root: all(folder_at(root, *name.split("/")) is not None for name in names)


def _is_dagm(root: Path) -> bool:
    return any(_has(f"{part}/Label")(root) for part in ("Train", "Test")) and _has("Train")(root)


def _is_kolektor2(root: Path) -> bool:
    train = named_folder(root, "train")
    return train is not None and has_masks_beside(train)


def _is_btad(root: Path) -> bool:
    return folder_at(root, "train", "ok") is not None and folder_at(root, "train", "good") is None


def _is_kolektor(root: Path) -> bool:
    return any(has_masks_beside(folder) for folder in (root, *list_folders(root)))


_ROWS = (
    Layout(
        "nanotwice",
        "NanoTWICE",
        "NanoTWICE:    Normal/*.tif, Anomalous/images/*.tif, Anomalous/gt/<name>_gt.png (optional)",
        matches=_has("Normal", "Anomalous/images"),
        open=_whole(open_nanotwice),
        paper_preset="paper",
        has_paper_values=True,
    ),
    Layout(
        "visa",
        "VisA",
        "VisA:         Data/Images/{Normal,Anomaly}/*.JPG, Data/Masks/Anomaly/<name>.png (optional)",
        matches=lambda root: visa_base(root) is not None,
        open=_whole(open_visa),
        paper_preset="paper-texture",
    ),
    Layout(
        "mvtec-ad-2",
        "MVTec AD 2",
        "MVTec AD 2:   train/good, validation/good, test_public/{good,bad}, test_public/ground_truth/bad",
        matches=_has("train", "test_public"),
        open=partial(
            open_parts,
            good=("train", "validation"),
            test="test_public",
            truth=("test_public", "ground_truth"),
            aside=dict.fromkeys(("test_private", "test_private_mixed"), "without published ground truth"),
        ),
        paper_preset="paper-texture",
    ),
    Layout(
        "dagm",
        "DAGM",
        "DAGM:         Train/*.PNG, Test/*.PNG, and {Train,Test}/Label/<name>_label.PNG of the defective ones",
        matches=_is_dagm,
        open=_whole(open_dagm),
        paper_preset="paper-texture",
    ),
    Layout(
        "kolektor2",
        "KolektorSDD2",
        "KolektorSDD2: train/<name>.png and test/<name>.png, each with <name>_GT.png beside it",
        matches=_is_kolektor2,
        open=_whole(open_kolektor2),
        paper_preset="paper-texture",
    ),
    Layout(
        "mvtec-loco",
        "MVTec LOCO AD",
        "MVTec LOCO:   train/good, validation/good, test/<defect>, ground_truth/<defect>/<name>/*.png",
        matches=_has("train", "validation"),
        open=partial(open_parts, good=("train", "validation")),
        paper_preset="paper-texture",
    ),
    Layout(
        "btad",
        "BTAD",
        "BTAD:         train/ok, test/{ok,ko}, ground_truth/ko",
        matches=_is_btad,
        open=open_parts,
        paper_preset="paper-texture",
    ),
    Layout(
        "mvtec",
        "MVTec AD",
        "MVTec AD:     train/good/*.png, test/<defect>/*.png, ground_truth/<defect>/<name>_mask.png "
        "(or <name>.png, or <name>_mask_1.png and so on; optional)",
        matches=_has("train"),
        open=open_parts,
        paper_preset="paper-texture",
    ),
    Layout(
        "good-bad",
        "folders of good and bad images",
        "good and bad: good/ (or OK/), bad/ (or NG/; bad/<defect>/), ground_truth/<name>_mask.png (optional)",
        matches=lambda root: bool(good_folders(root)),
        open=open_good_and_bad,
        paper_preset="paper-texture",
    ),
    Layout(
        "kolektor",
        "KolektorSDD",
        "KolektorSDD:  <folder>/<name>.jpg, each with <name>_label.bmp beside it, black where the image is good",
        matches=_is_kolektor,
        open=_whole(open_kolektor),
        paper_preset="paper-texture",
    ),
    Layout(
        "folder",
        "plain folder of good images",
        "folder:       *.png, in folders or not, all of them good",
        matches=lambda _: True,
        open=_open_folder,
        paper_preset="paper-texture",
    ),
)

_KNOWN = tuple(row for row in _ROWS if row.name != "folder")
"""Those that a folder is told by what lies in it."""

LAYOUTS = {layout.name: layout for layout in _ROWS}
"""Every layout, by its name."""

UNDERSTOOD = "\n  ".join(["layouts understood:", *(layout.pattern for layout in _ROWS)])
"""The layouts as error messages show them."""
