"""CSV tables that are safe to open in a spreadsheet, and that come back as they were written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from ssimae.atomic import write_text
from ssimae.errors import in_short
from ssimae.reading import read_text

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""A spreadsheet takes a text that starts with one of the first for a formula; an apostrophe before it stops that
(OWASP, "CSV injection"). The apostrophe itself is among them, so that one is never taken off that was there."""


def csv_line(cells: Iterable[object]) -> str:
    r"""Return a row of a table, with its line end ``\n``.

    Texts and paths that a spreadsheet would compute have an apostrophe before them; those with a comma, a quote or a
    line break are quoted (RFC 4180).
    """
    buffer = io.StringIO()
    # The writer quotes what is part of its line end, and a lone carriage return must be quoted.
    csv.writer(buffer, lineterminator="\r\n").writerow(map(_safe, cells))
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table so that it appears whole or not at all; see :func:`csv_line` for its cells."""
    write_text(path, "".join(csv_line(cells) for cells in [columns, *rows]))


def read_csv(path: Path, *, unfinished: bool = False) -> list[dict[str, str]]:
    """Return the rows of a table by its columns.

    Parameters
    ----------
    path : Path
    unfinished : bool
        Whether rows were being added to it: a last one that a kill cut off is left out.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not UTF-8 or no table, or a row has more or fewer cells than the table has columns.
    """
    text = read_text(path)
    if unfinished:
        text = text[: text.rfind("\n") + 1]
    columns: list[str] | None = None
    rows = []
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), strict=True):
            if columns is None:
                columns = cells
            elif len(cells) != len(columns):
                raise ValueError(f"a row has {len(cells)} cells, the table {len(columns)} columns")
            else:
                rows.append(dict(zip(columns, map(_plain, cells), strict=True)))
    except csv.Error as error:
        if not unfinished:  # there, the end of the file may lie inside quotes
            raise ValueError(f"not a table ({in_short(error)})") from error
    return rows


def _safe(cell: object) -> object:
    text = str(cell) if isinstance(cell, Path) else cell
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) else text


def _plain(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
