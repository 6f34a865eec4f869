"""Open data sets whose masks lie beside the images, or in a folder `Label` beside them: KolektorSDD 1 and 2, DAGM."""

from __future__ import annotations

from pathlib import Path

from ssimae.data.dataset import GOOD, Sample
from ssimae.data.files import describe_contents, list_images, list_images_below, named_folder
from ssimae.data.masks import marks_anything
from ssimae.data.names import split_mask_name
from ssimae.data.opening.contents import Contents, LayoutError, name_below, refuse_faults

DEFECT = "defect"
"""Kind of defect where a data set tells none apart."""


def has_masks_beside(folder: Path) -> bool:
    """Return whether a mask lies directly in a folder, beside its image."""
    stems = {path.stem for path in list_images(folder)}
    return any(ending and of in stems for of, ending, _ in map(split_mask_name, stems))


def open_kolektor(root: Path) -> Contents:
    """Open KolektorSDD: every image has a mask beside it, and is good where that marks nothing.

    Good images are those to learn from, the others those of the test: the data set has no parts.

    Raises
    ------
    ValueError
        If an image has no mask, or every mask marks something.
    """
    good, defective, empty = _sorted_by_masks(root, root)
    if not good:
        raise LayoutError(f"{root}: no defect-free image: every mask marks something")
    return Contents([sample.path for sample in good], defective, empty_masks=empty)


def open_kolektor2(root: Path) -> Contents:
    """Open KolektorSDD2, which is the same in two parts; defective images to learn from are left out.

    Raises
    ------
    ValueError
        As :func:`open_kolektor`.
    """
    train, tested = named_folder(root, "train"), named_folder(root, "test")
    assert train is not None
    good, defective, empty = _sorted_by_masks(root, train)
    if not good:
        raise LayoutError(f"{root}: no defect-free image in train: every mask there marks something")
    samples: list[Sample] = []
    if tested is not None:
        good_tested, defective_tested, _ = _sorted_by_masks(root, tested)
        samples = [*good_tested, *defective_tested]
    return Contents([sample.path for sample in good], samples, empty_masks=empty, aside=_aside(defective))


def open_dagm(root: Path) -> Contents:
    """Open a class of DAGM: images are defective where the folder Label beside them has a mask.

    Defective images to learn from are left out.

    Raises
    ------
    ValueError
        If there is no good image, or a mask has no image.
    """
    train, tested = named_folder(root, "Train"), named_folder(root, "Test")
    assert train is not None
    kept, learned = _sorted_by_labels(root, train)
    if not kept:
        raise LayoutError(f"{root}: no defect-free image in {train.name}; found {describe_contents(train)} there")
    samples: list[Sample] = []
    if tested is not None:
        good, defective = _sorted_by_labels(root, tested)
        samples = [*good, *defective]
    return Contents([sample.path for sample in kept], samples, aside=_aside(learned))


def _aside(defective: list[Sample]) -> dict[Path, str]:
    reason = "defective, among images to learn from"
    return {path: reason for sample in defective for path in (sample.path, *sample.masks)}


def _sorted_by_masks(root: Path, folder: Path) -> tuple[list[Sample], list[Sample], tuple[Path, ...]]:
    """Return the good and the defective images of a folder and below, and the masks of the good ones."""
    good, defective, faults = [], [], []
    paths = list_images_below(folder)
    places = {path.with_suffix("") for path in paths}
    masks: dict[Path, list[Path]] = {}
    for path in paths:
        of, ending, _ = split_mask_name(path.stem)
        if ending and path.with_name(of) in places:
            masks.setdefault(path.with_name(of), []).append(path)
    taken = {mask for found in masks.values() for mask in found}
    for path in paths:
        if path in taken:
            continue
        found = tuple(masks.get(path.with_suffix(""), ()))
        if not found:
            faults.append(f"image {path}: no mask beside it, while others have one")
            continue
        sample = Sample(path, name_below(path, folder), DEFECT, found)
        if marks_anything(found):
            defective.append(sample)
        else:
            good.append(Sample(path, sample.name, GOOD, found))
    refuse_faults(root, faults)
    return good, defective, tuple(mask for sample in good for mask in sample.masks)


def _sorted_by_labels(root: Path, folder: Path) -> tuple[list[Sample], list[Sample]]:
    """Return the images of a folder without and with a mask in its folder Label."""
    images = list_images(folder)
    labels = named_folder(folder, "Label")
    masks = {split_mask_name(mask.stem)[0]: mask for mask in (list_images(labels) if labels is not None else [])}
    stems = {image.stem for image in images}
    refuse_faults(root, [f"mask {mask}: no image of that name" for stem, mask in masks.items() if stem not in stems])
    good = [Sample(image, image.stem, GOOD) for image in images if image.stem not in masks]
    defective = [Sample(image, image.stem, DEFECT, (masks[image.stem],)) for image in images if image.stem in masks]
    return good, defective
