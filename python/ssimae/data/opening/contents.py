"""Define what opening a data folder gives, and refuse names that speak against what a folder is taken for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ssimae.data.dataset import GOOD, Sample
from ssimae.data.files import list_folders, list_images_below, named_folder, shortened, walk_folders
from ssimae.data.names import Meaning, is_defective_folder, is_mask_folder, is_truth_folder, meaning_of, split_mask_name


class LayoutError(ValueError):
    """A folder that is not laid out as any layout says; the layouts are to be shown below the message."""


@dataclass(frozen=True)
class Contents:
    """The files of a data folder that a layout knows."""

    good: list[Path]
    """Defect-free images to learn from."""
    test: list[Sample]
    empty_masks: tuple[Path, ...] = ()
    """Masks of good images, known to mark nothing."""
    aside: Mapping[Path, str] = field(default_factory=dict)
    """Files and folders that the layout knows and leaves out, with the reason."""


def defect_of(folder: Path) -> str:
    """Return the defect that the name of a folder of test images says; `good` for any word that means it."""
    return GOOD if meaning_of(folder.name) == "good" else folder.name


def name_below(image: Path, folder: Path) -> str:
    """Return the name of an image in a folder of lots: its path below the folder, without suffix."""
    return image.relative_to(folder).with_suffix("").as_posix()


def images_of_lots(folder: Path) -> list[Path]:
    """Return the images of a folder whose name says that they are good, and of the folders of lots below it.

    Raises
    ------
    ValueError
        If the name of a folder below, or of an image, speaks against that, or a mask lies beside its image.
    """
    for inner in walk_folders(folder):
        name = inner.name if inner != folder else ""
        if (meaning_of(name) in ("defective", "test") or is_mask_folder(name)) and list_images_below(inner):
            raise ValueError(f"{inner}: the name says that its images are not good ones, but it lies in {folder.name}")
    images = list_images_below(folder)
    for image in images:
        if meaning_of(image.stem) == "defective":
            raise ValueError(f"{image}: the name says that the image is defective, but it lies in {folder.name}")
    refuse_masks_among(images)
    return images


def refuse_masks_among(images: list[Path]) -> None:
    """Refuse a mask that lies among images and would be taken for one.

    Raises
    ------
    ValueError
        If some names end in `_mask`, `_gt`, `_label` or `_seg` and others do not, or an image lies beside its mask.
        Where all end so, the product is called so.
    """
    called_masks = [path for path in images if split_mask_name(path.stem)[1]]
    places = {path.with_suffix("") for path in images}
    beside = (path for path in called_masks if path.with_name(split_mask_name(path.stem)[0]) in places)
    among = called_masks if len(called_masks) < len(images) else []
    for path in (*beside, *among):
        raise ValueError(
            f"{path}: a mask by its name, among images; masks lie in a folder of their own, such as "
            "ground_truth/<defect>"
        )


def refuse_names_against_good(root: Path, images: list[Path]) -> None:
    """Refuse a plain folder of good images where a name says that some are not, its own name included.

    Raises
    ------
    ValueError
        If a word such as `bad`, `NG`, `defect`, `test` or `mask` is in the name of an image or of a folder; the message
        says which layout was probably meant.
    """
    if is_defective_folder(root.name):
        raise ValueError(f"{root}: by its name its images may be defective; a detector learns from good ones")
    _refuse_part(root)
    found: dict[Meaning, Path] = {}
    for image in images:
        for part in image.relative_to(root).with_suffix("").parts:
            meaning = meaning_of(part)
            if meaning in ("defective", "test", "mask"):
                found.setdefault(meaning, image)
    if not found:
        return
    says = {"defective": "may be defective", "mask": "is a mask or label", "test": "is for a test"}
    against = [f"{path.relative_to(root)} {says[meaning]}" for meaning, path in sorted(found.items())]
    raise ValueError(
        f"{root}: taken as a plain folder every image is good, but by its name {'; '.join(against)}\n"
        f"probably meant: {_meant(found)}"
    )


def _refuse_part(root: Path) -> None:
    """Refuse a folder that is a part of a data set, and not the one of good images."""
    if is_truth_folder(root.name):
        raise ValueError(f"{root}: by its name its images are masks; name the folder above")
    if meaning_of(root.name) == "test" and named_folder(root.parent, "train") is not None:
        raise ValueError(f"{root}: by its name its images are for a test, beside train; name the folder above")
    if meaning_of(root.parent.name) != "test":
        return
    good = [folder for folder in list_folders(root.parent) if defect_of(folder) == GOOD]
    if good and root not in good:
        raise ValueError(f"{root}: a kind of defect, beside {good[0].name}; name the folder above {root.parent.name}")


def _meant(found: Mapping[Meaning, Path]) -> str:
    kind = "<defect>" if "test" in found else "bad"
    masks = f", ground_truth/{kind}/<name>_mask.png for the masks" if "mask" in found else ""
    if "test" in found:
        parts = "train/good/ for the good images to learn from, test/good/ and test/<defect>/ for the others"
    else:
        parts = "good/ for the good images, bad/ for the defective ones"
    return f"{parts}{masks}; where all images are good, put all into good/"


def refuse_images_outside(folder: Path, *, allowed: tuple[Path, ...]) -> None:
    """Refuse images in folders that the layout has no place for."""
    for inner in list_folders(folder):
        if inner in allowed:
            continue
        for deep in walk_folders(inner):
            if list_images_below(deep):
                raise LayoutError(f"{deep}: images where the layout has no place for them")


def refuse_faults(root: Path, faults: list[str]) -> None:
    """Refuse a data set whose images and masks do not pair up, every fault in one message."""
    if faults:
        raise ValueError(f"{root}: images and masks do not pair up\n  " + shortened(faults, "\n  "))
