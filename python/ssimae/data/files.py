"""List image files and folders in natural order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ssimae.images.decoding import IMAGE_SUFFIXES

_LONGEST_NAME_BYTES = 255 - len(".tiff")
_SHOWN = 12


def image_files(folder: Path, *, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """Return the image files directly in a folder, in natural order; links that lead nowhere are among them."""
    with os.scandir(folder) as entries:
        images = [
            Path(entry.path)
            for entry in entries
            if not entry.name.startswith(".")
            and entry.name.lower().endswith(suffixes)
            and (leads_to_file(entry) or (entry.is_symlink() and not os.path.exists(entry.path)))
        ]
    return sorted(images, key=natural_key)


def list_images(folder: Path) -> list[Path]:
    """Return :func:`image_files`, each of which can be told by its stem.

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


def list_images_below(folder: Path) -> list[Path]:
    """Return the image files in a folder and in all folders below it, as :func:`list_images` does for one."""
    return [path for inner in walk_folders(folder) for path in list_images(inner)]


def _refuse_unwritable(path: Path) -> None:
    try:
        size = len(path.stem.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"{str(path)!a}: the name is not valid UTF-8; rename the file") from error
    if size > _LONGEST_NAME_BYTES:
        raise ValueError(f"{path}: the name without suffix may have {_LONGEST_NAME_BYTES} bytes, got {size}")


def leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one; False for a link that leads nowhere or to itself."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def leads_to_file(entry: os.DirEntry[str]) -> bool:
    """Return the same of a file."""
    return os.path.isfile(entry.path) if entry.is_symlink() else entry.is_file()


def list_folders(folder: Path) -> list[Path]:
    """Return the folders directly in a folder, in natural order; nothing hidden."""
    with os.scandir(folder) as entries:
        folders = [Path(entry.path) for entry in entries if not entry.name.startswith(".") and leads_to_folder(entry)]
    return sorted(folders, key=natural_key)


def named_folder(folder: Path, name: str) -> Path | None:
    """Return the folder of a name, in any case, directly in a folder that may be missing; or None.

    Raises
    ------
    ValueError
        If two names differ in case alone.
    """
    if not folder.is_dir():
        return None
    found = [inner for inner in list_folders(folder) if inner.name.casefold() == name.casefold()]
    if len(found) > 1:
        raise ValueError(f"{found[1]}: doubly named, as {found[0].name} is but for case; rename one")
    return found[0] if found else None


def folder_at(root: Path, *names: str) -> Path | None:
    """Return the folder that names lead to from a folder, each in any case; or None."""
    folder: Path | None = root
    for name in names:
        folder = None if folder is None else named_folder(folder, name)
    return folder


def natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts numbers in names by value, and is never equal for two names."""
    parts = re.split(r"(\d+)", path.name)
    # Every second part is a number, so that numbers meet numbers.
    return [(int(part), "") if index % 2 else (0, part.casefold()) for index, part in enumerate(parts)], path.name


def walk_folders(root: Path) -> Iterator[Path]:
    """Yield a folder and all below it, in natural order; each real folder once, so that links in a loop end.

    Links to a folder above are not followed either: what lies there is not below. Results of earlier runs are passed
    over: their reconstructions are no photographs.
    """
    seen = {(status.st_dev, status.st_ino) for status in map(Path.stat, root.absolute().parents)}
    stack = [root]
    while stack:
        folder = stack.pop()
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        yield folder
        stack += reversed([inner for inner in list_folders(folder) if not holds_results(inner)])


def holds_results(folder: Path) -> bool:
    """Return whether a folder holds what a command of ours wrote."""
    pairs = (
        ("config.toml", ".lock"),
        ("config.toml", "residuals"),
        ("config.toml", "model.safetensors"),
        ("metrics.json", "curves.npz"),
    )
    return any((folder / one).exists() and (folder / other).exists() for one, other in pairs)


def refuse_results(folder: Path) -> None:
    """Refuse a folder that holds what a command of ours wrote: its pictures are no photographs.

    Raises
    ------
    ValueError
        If it does.
    """
    if holds_results(folder):
        raise ValueError(f"{folder}: results of an earlier command, not images to work on")


def describe_contents(folder: Path) -> str:
    """Return what lies in a folder, in words."""
    visible = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=natural_key)
    names = [path.name + "/" if path.is_dir() else path.name for path in visible]
    return shortened(names, ", ") or "nothing"


def shortened(items: list[str], separator: str, *, shown: int = _SHOWN) -> str:
    """Return the first items joined, and how many more there are."""
    rest = len(items) - shown
    return separator.join([*items[:shown], f"and {rest} more"] if rest > 0 else items)
