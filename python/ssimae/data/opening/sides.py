"""Open data sets whose images are sorted by what they show: good ones in one folder, defective ones in another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ssimae.data.dataset import Sample
from ssimae.data.files import describe_contents, folder_at, list_folders, list_images, list_images_below
from ssimae.data.ignore import is_ignore_mask
from ssimae.data.names import is_mask_folder, meaning_of
from ssimae.data.opening.contents import (
    Contents,
    LayoutError,
    images_of_lots,
    name_below,
    refuse_faults,
    refuse_masks_among,
)
from ssimae.data.opening.pairs import MaskFolder
from ssimae.data.opening.parts import images_of_kind


def good_folders(root: Path) -> list[Path]:
    """Return the folders directly in a folder whose names say that their images are good."""
    return [folder for folder in list_folders(root) if meaning_of(folder.name) == "good"]


def open_good_and_bad(root: Path, ignore: Path | None) -> Contents:
    """Open a folder that has `good` or `ok` in it, and `bad` or `ng`, in words and case of any kind.

    A folder of ignore masks beside them is not taken for ground truth.

    Raises
    ------
    ValueError
        If there is no good image, a folder says neither, or images and masks do not pair up.
    """
    good = good_folders(root)
    folders = [folder for folder in list_folders(root) if not is_ignore_mask(folder, ignore)]
    masks = [folder for folder in folders if is_mask_folder(folder.name) and list_images_below(folder)]
    bad = [folder for folder in folders if folder not in masks and meaning_of(folder.name) == "defective"]
    for folder in folders:
        if folder not in (*good, *bad, *masks) and list_images_below(folder):
            raise ValueError(
                f"{folder}: neither good nor bad by its name, beside {good[0].name}; defective images lie in "
                f"bad/{folder.name}, or all good ones in train/good and all others in test/<defect>"
            )
    if len(masks) > 1:
        raise ValueError(f"{masks[1]}: a second folder of masks, beside {masks[0].name}")
    return _open_sides(root, good, bad, masks[0] if masks else None)


def open_visa(root: Path) -> Contents:
    """Open an object of VisA as it is shipped, or the folder Data in it; raises as :func:`open_good_and_bad`."""
    base = visa_base(root)
    assert base is not None
    images = folder_at(base, "Images")
    assert images is not None
    bad = [folder for folder in list_folders(images) if meaning_of(folder.name) == "defective"]
    return _open_sides(root, good_folders(images), bad, folder_at(base, "Masks"))


def visa_base(root: Path) -> Path | None:
    """Return the folder Data of an object of VisA, which may be the folder itself; None for any other."""
    bases = (folder_at(root, "Data"), root)
    return next((base for base in bases if base is not None and folder_at(base, "Images", "Normal") is not None), None)


def _open_sides(root: Path, good: Sequence[Path], bad: Sequence[Path], truth: Path | None) -> Contents:
    images = [image for folder in good for image in images_of_lots(folder)]
    if not images:
        raise LayoutError(
            f"{root}: no defect-free image in {good[0].relative_to(root)}; found {describe_contents(good[0])} there"
        )
    masks = MaskFolder(truth)
    samples: list[Sample] = []
    kinds: dict[str, Path] = {}
    for folder, paths in _by_kind(bad):
        if (other := kinds.setdefault(folder.name, folder)) != folder:
            raise ValueError(f"{folder}: a second folder of {folder.name} images, beside {other}")
        refuse_masks_among(paths)
        # As deep as the images, or less so: masks/bad/scratch/, masks/scratch/, masks/bad/ or masks/.
        ways = (folder.relative_to(root).parts[start:] for start in range(len(folder.relative_to(root).parts) + 1))
        beside = None if truth is None else next(found for way in ways if (found := folder_at(truth, *way)) is not None)
        pairs = masks.pair(paths, folder, beside, folder.name)
        samples += [
            Sample(path, name_below(path, folder), folder.name, pair) for path, pair in zip(paths, pairs, strict=True)
        ]
    refuse_faults(root, masks.finish())
    return Contents(images, samples)


def _by_kind(bad: Sequence[Path]) -> Iterator[tuple[Path, list[Path]]]:
    """Yield each kind of defect, which is a folder in the one of all defective images, or one of several such."""
    for folder in bad:
        if len(bad) > 1:
            yield folder, images_of_kind(folder)
            continue
        yield folder, list_images(folder)
        for kind in list_folders(folder):
            yield kind, images_of_kind(kind)
