"""Pair images with their masks by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ssimae.data.dataset import GOOD
from ssimae.data.files import list_images_below
from ssimae.data.names import split_mask_name


@dataclass
class MaskFolder:
    """Masks in a folder and below it, and which of them found their image."""

    root: Path | None
    """None where the data set has no masks."""
    faults: list[str] = field(default_factory=list)
    """Images and masks that do not pair up, in words."""
    _used: set[Path] = field(default_factory=set)

    def pair(self, images: Sequence[Path], base: Path, folder: Path | None, defect: str) -> list[tuple[Path, ...]]:
        """Return the masks of each image; what does not pair up is added to the faults. Good images need none.

        The mask of ``base/lot/07.png`` is ``folder/lot/07_mask.png``, or `_gt`, or `_label`, or ``07.png``. Several are
        united: all files of a folder ``folder/lot/07/``, or ``07_mask_1.png``, ``07_mask_2.png``.
        """
        if self.root is None:
            return [()] * len(images)
        by_image: dict[Path, list[Path]] = {}
        names = {image.relative_to(base).with_suffix("") for image in images}
        for mask in [] if folder is None else list_images_below(folder):
            assert folder is not None
            name = mask.relative_to(folder).with_suffix("")
            of = name if name in names else name.with_name(split_mask_name(name.name)[0])
            owner = of if of in names else name.parent
            if owner in names and mask in self._used:
                self.faults.append(f"mask {mask}: of two images of that name, one of them {base / owner}")
            elif owner in names:
                by_image.setdefault(owner, []).append(mask)
                self._used.add(mask)
        masks = []
        for image in images:
            found = by_image.get(image.relative_to(base).with_suffix(""), [])
            if not found and defect != GOOD:
                self.faults.append(f"image {image}: no mask in {folder or self.root}")
            kinds = {_kind(mask, image): mask for mask in found}
            if len(kinds) > 1:
                one, other, *_ = kinds.values()
                self.faults.append(f"image {image}: two masks, {one} and {other}")
            masks.append(tuple(found))
        return masks

    def finish(self) -> list[str]:
        """Return all faults, with the masks that found no image."""
        left = [] if self.root is None else [mask for mask in list_images_below(self.root) if mask not in self._used]
        return self.faults + [f"mask {mask}: no image of that name" for mask in left]


def _kind(mask: Path, image: Path) -> str:
    """Return the same for masks that are parts of one, and another for each that stands for the whole by itself."""
    if mask.parent.name == image.stem:
        return "folder"
    _, ending, numbered = split_mask_name(mask.stem)
    return f"{ending} in parts" if numbered else mask.stem
