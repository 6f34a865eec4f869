"""Read sizes as people write them: pixels, or millimetres where a pixel has a size."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(px|mm)?(2|\^2|²)?", re.IGNORECASE)


def in_pixels(flag: str, text: str, *, square: bool, pixel_size_mm: float | None) -> float:
    """Return a length, or an area where `square`, in pixels: of ``63``, ``63px``, ``2.5mm`` or ``2mm2``.

    Raises
    ------
    ValueError
        If it is no such size, or in millimetres where nobody said what a pixel stands for.
    """
    found = _SIZE.fullmatch(text.strip())
    example = "63 or 2mm2" if square else "40 or 3mm"
    if found is None or (found[3] is not None) != (square and found[2] is not None and found[2].lower() == "mm"):
        raise ValueError(f"`{flag}` must be {'an area' if square else 'a length'} such as {example}, got {text!r}")
    value = float(found[1])
    if found[2] is None or found[2].lower() == "px":
        return value
    if pixel_size_mm is None:
        raise ValueError(f"`{flag}` {text} needs `--pixel-size`: the run does not say what a pixel stands for")
    return value / pixel_size_mm ** (2 if square else 1)
