"""Set texts in columns for the terminal."""

from __future__ import annotations

import math
import shutil
import sys
import textwrap
from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], *, right: bool = True) -> str:
    """Return rows of cells as lines, as wide as its widest cell; with `right`, all but the first so."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right and number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def folded(rows: Sequence[Sequence[str]], *, keys: int) -> str:
    """Return rows of cells as lines; in a terminal that is too narrow, the last columns go on in a table below.

    Each table begins with the first `keys` columns.
    """
    space = math.inf if sys.stdout is None or not sys.stdout.isatty() else shutil.get_terminal_size().columns
    widths = [max(map(len, cells)) + 2 for cells in zip(*rows, strict=True)]
    first = sum(widths[:keys]) - 2
    tables: list[list[int]] = [[]]
    for number in range(keys, len(widths)):
        if tables[-1] and first + sum(widths[each] for each in tables[-1]) + widths[number] > space:
            tables.append([])
        tables[-1].append(number)
    return "\n\n".join(columns([[*row[:keys], *(row[each] for each in table)] for row in rows]) for table in tables)


def described(rows: Sequence[tuple[str, str]]) -> str:
    """Return names and what is said of each, in two columns; in a terminal, a long text goes on below its beginning."""
    if sys.stdout is None or not sys.stdout.isatty():
        return columns(rows, right=False)
    indent = max(len(name) for name, _ in rows) + 2
    width = max(indent + 20, shutil.get_terminal_size().columns)
    return "\n".join(
        textwrap.fill(
            text,
            width,
            initial_indent=name.ljust(indent),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, text in rows
    )
