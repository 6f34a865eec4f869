"""Find the images of a folder that are to be inspected, whatever its layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ssimae.data.accounting import PassedOver, files_passed_over
from ssimae.data.files import image_files, refuse_results, walk_folders
from ssimae.data.ignore import is_ignore_mask
from ssimae.data.names import is_mask_folder, split_mask_name
from ssimae.images.decoding import IMAGE_SUFFIXES, PICTURE_SUFFIXES


def images_to_inspect(root: Path, *, ignore: Path | None) -> tuple[list[Path], list[PassedOver]]:
    """Return the images of a folder and all below it, in natural order, and every other file with the reason.

    Images of a format that is not read are among them: who inspects a folder must hear of each that is not inspected.
    Ignore masks are neither. A file is taken for a mask, and passed over, if it is called ``07_mask``, `_gt` or
    `_label` and ``07`` lies beside it or its folder is one of masks, or if it lies in a folder of masks and an image
    elsewhere has its name.

    Parameters
    ----------
    root : Path
        Absolute.
    ignore : Path, optional
        Ignore mask, or folder of them.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    ValueError
        If the folder holds results of ours.
    """
    refuse_results(root)
    suffixes = IMAGE_SUFFIXES + PICTURE_SUFFIXES
    found = (file for folder in walk_folders(root) for file in image_files(folder, suffixes=suffixes))
    files = [file for file in found if not is_ignore_mask(file, ignore)]
    masks = dict.fromkeys(masks_among(files, root), "a mask, by its name")
    images = [file for file in files if file not in masks]
    left = files_passed_over(root, set(images), aside=masks)
    return images, [file for file in left if not is_ignore_mask(file.path, ignore)]


def masks_among(files: Sequence[Path], root: Path) -> set[Path]:
    """Return those image files below a folder that are masks, by their names: :func:`images_to_inspect` says which."""
    among_masks = {file for file in files if any(map(is_mask_folder, (root.name, *file.relative_to(root).parts[:-1])))}
    stems = {file.stem for file in files if file not in among_masks}
    places = {file.with_suffix("") for file in files}
    masks = set()
    for file in files:
        of, ending, _ = split_mask_name(file.stem)
        beside = bool(ending) and file.with_name(of) in places
        elsewhere = file in among_masks and (bool(ending) or of in stems or file.parent.name in stems)
        if beside or elsewhere:
            masks.add(file)
    return masks
