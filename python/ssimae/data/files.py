"""List image files and folders in natural order, and pair images with their masks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ssimae.data.dataset import GOOD
from ssimae.images.decoding import IMAGE_SUFFIXES

_MASK_ENDINGS = ("_mask", "_gt", "")
_LONGEST_NAME_BYTES = 255 - len(".tiff")
_SHOWN = 12


def list_images(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, in natural order; links that lead nowhere are among them.

    Raises
    ------
    ValueError
        If two differ in their suffix alone, or a name cannot be written beside a result.
    """
    images = image_files(folder)
    by_stem: dict[str, Path] = {}
    for path in images:
        _refuse_unwritable(path)
        if path.stem in by_stem:
            raise ValueError(f"{path}: doubly named, as {by_stem[path.stem].name} is; rename one")
        by_stem[path.stem] = path
    return images


def image_files(folder: Path) -> list[Path]:
    """Return what :func:`list_images` does, whatever the names are."""
    return [
        path
        for path in _visible(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES and (path.is_file() or (path.is_symlink() and not path.is_dir()))
    ]


def _refuse_unwritable(path: Path) -> None:
    try:
        size = len(path.stem.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"{str(path)!a}: the name is not valid UTF-8; rename the file") from error
    if size > _LONGEST_NAME_BYTES:
        raise ValueError(f"{path}: the name without suffix may have {_LONGEST_NAME_BYTES} bytes, got {size}")


def list_folders(folder: Path) -> list[Path]:
    """Return the folders directly in a folder, in natural order; nothing hidden."""
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=natural_key)


def natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts numbers in names by value, and is never equal for two names."""
    parts = re.split(r"(\d+)", path.name)
    # Every second part is a number, so that numbers meet numbers.
    return [(int(part), "") if index % 2 else (0, part.casefold()) for index, part in enumerate(parts)], path.name


def walk_folders(root: Path) -> Iterator[Path]:
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
        stack += reversed([inner for inner in list_folders(folder) if not _holds_results(inner)])


def _holds_results(folder: Path) -> bool:
    return (folder / "config.toml").is_file() and (folder / "residuals").is_dir()


def pair_masks(images: list[Path], folder: Path, defect: str, faults: list[str]) -> list[Path | None]:
    """Return the mask of each image; what does not pair up is added to `faults`. Good images need none."""
    by_stem = {mask.stem: mask for mask in (list_images(folder) if folder.is_dir() else [])}
    masks: list[Path | None] = []
    used = set()
    for image in images:
        stems = [stem for ending in _MASK_ENDINGS if (stem := image.stem + ending) in by_stem]
        used.update(stems)
        if len(stems) > 1:
            faults.append(f"image {image}: two masks, {by_stem[stems[0]]} and {by_stem[stems[1]]}")
        elif not stems and defect != GOOD:
            faults.append(f"image {image}: no mask in {folder}")
        masks.append(by_stem[stems[0]] if stems else None)
    faults += [f"mask {mask}: no image of that name" for stem, mask in by_stem.items() if stem not in used]
    return masks


def refuse_faults(root: Path, faults: list[str]) -> None:
    """Refuse a data set whose images and masks do not pair up, every fault in one message."""
    if faults:
        raise ValueError(f"{root}: images and masks do not pair up\n  " + shortened(faults, "\n  "))


def describe_contents(folder: Path) -> str:
    """Return what lies in a folder, in words."""
    names = [path.name + "/" if path.is_dir() else path.name for path in _visible(folder)]
    return shortened(names, ", ") or "nothing"


def shortened(items: list[str], separator: str) -> str:
    """Return the first items joined, and how many more there are."""
    rest = len(items) - _SHOWN
    return separator.join([*items[:_SHOWN], f"and {rest} more"] if rest > 0 else items)
