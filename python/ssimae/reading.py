"""Read files that a disk, a kill or an editor may have damaged: whatever is wrong with one, the error names it."""

from __future__ import annotations

import hashlib
import os
import stat
import tomllib
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from ssimae.errors import in_short
from ssimae.host import system

_T = TypeVar("_T")

Finite = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
"""A number that is neither infinite nor NaN, which TOML can hold."""

NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e300)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e300)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Precision = Annotated[str, msgspec.Meta(pattern="^(float32|bfloat16)$")]
"""Name of an arithmetic of networks."""


def open_regular(path: Path) -> BufferedReader:
    """Return a file, opened to read.

    Raises
    ------
    OSError
        If it cannot be opened, or is a pipe or a device: who opens these may wait for ever.
    """
    file = open(path, "rb", opener=system.open_without_waiting)  # noqa: SIM115 - returned
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode):
        return file
    file.close()
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path}: a folder, not a file")
    raise OSError(f"{path}: {'a pipe' if stat.S_ISFIFO(mode) else 'a device'}, not a file")


def read_bytes(path: Path) -> bytes:
    """Return the content of a file; raises as :func:`open_regular`."""
    with open_regular(path) as file:
        return file.read()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits; raises as :func:`open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    OSError
        As :func:`open_regular`.
    ValueError
        If it is not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")  # editors of Windows may put a mark before the first character
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({in_short(error)})") from error


def read_json(path: Path, kind: type[_T]) -> _T:
    """Return what a JSON file holds, of a type that :func:`as_kind` knows.

    Raises
    ------
    OSError
        As :func:`open_regular`.
    ValueError
        If it is not JSON, or holds something else.
    """
    try:
        return from_json(read_text(path), kind)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises
    ------
    OSError
        As :func:`open_regular`.
    ValueError
        If it is not TOML.
    """
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not TOML ({in_short(error)})") from error


def from_json(text: str | bytes, kind: type[_T]) -> _T:
    """Return what JSON text holds, of a type that :func:`as_kind` knows; raises a ValueError where it does not."""
    try:
        content = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({in_short(error)})") from error
    return as_kind(content, kind)


def as_kind(content: object, kind: type[_T]) -> _T:
    """Return plain values, as JSON and TOML carry them, as an object of a type: a dataclass, or of plain values.

    Raises
    ------
    ValueError
        If one is missing, of another type or outside its range, or if the dataclass refuses it.
    """
    try:
        return msgspec.convert(content, kind, dec_hook=_path)
    except (ValueError, RecursionError) as error:
        raise ValueError(in_short(error)) from error


def as_row(cells: Mapping[str, Any], kind: type[_T]) -> _T:
    """Return the cells of a table's row, all of them text, as a dataclass; raises as :func:`as_kind`."""
    try:
        return msgspec.convert(dict(cells), kind, strict=False, dec_hook=_path)
    except ValueError as error:
        raise ValueError(in_short(error)) from error


def _path(kind: type, value: object) -> Path:
    if kind is not Path:
        raise NotImplementedError(f"no type that a file can hold: {kind}")
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"not a path: {value!r:.80}")
    return Path(value)
