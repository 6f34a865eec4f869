"""Open data sets in parts: good images to learn from, and test images in a folder for each kind of defect."""

from __future__ import annotations

from pathlib import Path

from ssimae.data.dataset import GOOD, UNLABELLED, Sample
from ssimae.data.files import describe_contents, folder_at, list_folders, list_images, list_images_below, named_folder
from ssimae.data.ignore import is_ignore_mask
from ssimae.data.names import is_mask_folder, meaning_of
from ssimae.data.opening.contents import (
    Contents,
    LayoutError,
    defect_of,
    images_of_lots,
    name_below,
    refuse_faults,
    refuse_images_outside,
    refuse_masks_among,
)
from ssimae.data.opening.pairs import MaskFolder

_TRAINING = "training"
"""Defect name of good images that are inspected themselves, which no folder may have."""


def open_parts(
    root: Path,
    ignore: Path | None,
    *,
    good: tuple[str, ...] = ("train",),
    test: str = "test",
    truth: tuple[str, ...] = ("ground_truth",),
    aside: dict[str, str] | None = None,
) -> Contents:
    """Open a data set whose parts are folders.

    Parameters
    ----------
    root : Path
        Absolute.
    ignore : Path or None
        Ignore mask, or folder of them, which is not ground truth whatever it is called.
    good : tuple of str
        Parts with defect-free images, in a folder `good` or `ok`; the first must be there.
    test : str
        Part with test images, in a folder for each kind of defect, or `good` or `ok`.
    truth : tuple of str
        Way to the masks, in folders called as those of the test images.
    aside : dict, optional
        Parts that are left out, with the reason.

    Raises
    ------
    ValueError
        If there is no defect-free image, names contradict each other, or images and masks do not pair up.
    """
    images: list[Path] = []
    for name in good:
        if (part := named_folder(root, name)) is not None:
            allowed = tuple(folder for folder in list_folders(part) if meaning_of(folder.name) == "good")
            images += [image for folder in allowed for image in images_of_lots(folder)]
            refuse_images_outside(part, allowed=allowed)
    if not images:
        raise LayoutError(f"{root}: no defect-free image in {good[0]}/good; {_found(root, good[0])}")
    masks = MaskFolder(folder_at(root, *truth) or _only_mask_folder(root, ignore))
    samples: list[Sample] = []
    if (tested := named_folder(root, test)) is not None:
        samples += open_test(tested, masks)
    refuse_faults(root, masks.finish())
    left_out = {folder: why for name, why in (aside or {}).items() if (folder := named_folder(root, name)) is not None}
    return Contents(images, samples, aside=left_out)


def _only_mask_folder(root: Path, ignore: Path | None) -> Path | None:
    """Return the one folder that is called `masks` or the like and holds some, or None."""
    called_so = [folder for folder in list_folders(root) if is_mask_folder(folder.name)]
    found = [folder for folder in called_so if not is_ignore_mask(folder, ignore) and list_images_below(folder)]
    return found[0] if len(found) == 1 else None


def _found(root: Path, part: str) -> str:
    folder = named_folder(root, part)
    loose = [] if folder is None else list_images(folder)
    if folder is None or not loose:
        return f"found {describe_contents(root)}"
    return f"{len(loose)} images lie in {folder.name} itself: put the good ones into {folder.name}/good"


def open_test(folder: Path, masks: MaskFolder) -> list[Sample]:
    """Return the images of a test folder: those directly in it are unlabelled, the others of their folder's kind.

    Raises
    ------
    ValueError
        If two folders are of one kind, or masks lie where images belong.
    """
    loose = list_images(folder)
    refuse_masks_among(loose)
    samples = [Sample(path, path.stem, UNLABELLED) for path in loose]
    kinds: dict[str, Path] = {}
    for inner in list_folders(folder):
        if inner == masks.root:
            continue
        defect = defect_of(inner)
        images = images_of_lots(inner) if defect == GOOD else images_of_kind(inner)
        if not images:
            continue
        if (other := kinds.setdefault(defect, inner)) != inner:
            raise ValueError(f"{inner}: a second folder of {defect} images, beside {other.name}")
        pairs = masks.pair(images, inner, None if masks.root is None else named_folder(masks.root, inner.name), defect)
        samples += [
            Sample(path, name_below(path, inner), defect, found) for path, found in zip(images, pairs, strict=True)
        ]
    return samples


def images_of_kind(folder: Path) -> list[Path]:
    """Return the images of a folder whose name is their kind of defect, and of the folders below it.

    Raises
    ------
    ValueError
        If names contradict each other, or masks lie among the images.
    """
    images = list_images_below(folder)
    if images and is_mask_folder(folder.name):
        raise ValueError(f"{folder}: masks where test images belong; they lie in ground_truth/<defect>")
    if images and folder.name == _TRAINING:
        raise ValueError(f"{folder}: no kind of defect may be called {_TRAINING}")
    for image in images:
        for inner in image.relative_to(folder).parent.parts:
            if meaning_of(inner) == "good" or is_mask_folder(inner):
                raise ValueError(f"{image}: lies in a folder {inner}, but below {folder.name}")
    refuse_masks_among(images)
    return images


def open_nanotwice(root: Path) -> Contents:
    """Open NanoTWICE: good images in Normal, all others in Anomalous/images; raises as :func:`open_parts`."""
    normal, anomalous = named_folder(root, "Normal"), named_folder(root, "Anomalous")
    assert normal is not None
    assert anomalous is not None
    good = images_of_lots(normal)
    if not good:
        raise LayoutError(f"{root}: no defect-free image in {normal.name}; found {describe_contents(root)}")
    folder, masks = folder_at(anomalous, "images"), MaskFolder(named_folder(anomalous, "gt"))
    assert folder is not None
    images = list_images(folder)
    pairs = masks.pair(images, folder, masks.root, "Anomalous")
    refuse_faults(root, masks.finish())
    samples = [Sample(path, path.stem, "Anomalous", found) for path, found in zip(images, pairs, strict=True)]
    return Contents(good, samples)
