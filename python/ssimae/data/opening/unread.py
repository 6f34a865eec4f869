"""Refuse folders of a data set that hold images by their name, none of which can be read."""

from __future__ import annotations

from pathlib import Path

from ssimae.data.files import describe_contents, image_files, walk_folders
from ssimae.data.ignore import is_ignore_mask
from ssimae.data.names import meaning_of
from ssimae.images.decoding import PICTURE_SUFFIXES


def refuse_unread(root: Path, ignore: Path | None) -> None:
    """Refuse a data set one of whose parts would be passed over as a whole, as if there were no defective images.

    A part is a folder whose name, or that of one above it, speaks of good or defective images, a test or masks.

    Parameters
    ----------
    root : Path
        Absolute.
    ignore : Path, optional
        Ignore mask, or folder of them.

    Raises
    ------
    ValueError
        If images of formats that are not read lie in such a folder, and none that is.
    """
    for folder in walk_folders(root):
        if (
            any(meaning_of(part) for part in folder.relative_to(root).parts)
            and not is_ignore_mask(folder, ignore)
            and not image_files(folder)
            and image_files(folder, suffixes=PICTURE_SUFFIXES)
        ):
            raise ValueError(
                f"{folder}: no image that is read; found {describe_contents(folder)} there: save them as PNG, or move "
                "the folder away"
            )
