"""Read names of images from standard input, each as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ssimae.jobs.predicting.arrivals import Arrival
from ssimae.jobs.predicting.given import absolute, named_images


class NamedOnInput:
    """Images whose names come on a stream, one a line, or each before a zero byte; in folders all images.

    What ends the first name that comes ends all: ``find -print0`` and ``find`` are both understood.

    Parameters
    ----------
    stream : BinaryIO
    ignore : Path, optional
        Ignore mask, or folder of them.
    say : callable
        Told what is passed over in folders.
    """

    def __init__(self, stream: BinaryIO, *, ignore: Path | None, say: Callable[[str], object]) -> None:
        self._stream, self._ignore, self._say = stream, ignore, say

    def __iter__(self) -> Iterator[Arrival]:
        """Yield the images; a name that leads nowhere is one of them, which cannot be read."""
        for name in names_from(self._stream):
            shown = os.fsdecode(name)
            path = Path(absolute(shown))
            if not path.is_dir():
                yield Arrival(path, shown)
                continue
            try:
                inside = named_images([str(path)], [shown], ignore=self._ignore, say=self._say)
            except (OSError, ValueError):
                yield Arrival(path, shown)  # reading it tells why
                continue
            yield from (Arrival(image.path, image.shown) for image in inside)

    def comes_again(self, arrival: Arrival, error: Exception) -> bool:
        """Return False: a name that stands there stands for a file that is complete."""
        return False


def names_from(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the names of a stream as soon as each is complete; empty ones are passed over."""
    rest, separator = b"", b""
    while chunk := os.read(stream.fileno(), 2**16):
        rest += chunk
        # With names that hold line breaks, the first of these may come before the first zero byte.
        separator = separator or next((mark for mark in (b"\0", b"\n") if mark in rest), b"")
        if separator:
            *names, rest = rest.split(separator)
            yield from filter(None, (_stripped(name, separator) for name in names))
    if last := _stripped(rest, separator):
        yield last


def _stripped(name: bytes, separator: bytes) -> bytes:
    """Return a name without what Windows writes before the end of a line."""
    return name if separator == b"\0" else name.removesuffix(b"\r")
