"""Write a table as CSV, Markdown or LaTeX."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from ssimae.atomic import write_text
from ssimae.csv_files import csv_line
from ssimae.report.publish.latex import latex
from ssimae.report.publish.table import MEAN, Cell, Measured, Style, Table, table_of

Format = Literal["csv", "markdown", "latex"]

SUFFIXES: dict[Format, str] = {"csv": "csv", "markdown": "md", "latex": "tex"}
"""Suffix of the file of each format."""

_NONE = "–"

_MARKDOWN = re.compile(r"([\\|*_`<>\[\]])")


def formatted(measured: Measured, style: Style, kind: Format) -> str:
    """Return the table of some detectors' metrics as text that ends with a line feed.

    Parameters
    ----------
    measured : Measured
    style : Style
    kind : {"csv", "markdown", "latex"}
        CSV has a row for each data set and detector, in full precision.
    """
    if kind == "csv":
        return _csv(measured, style)
    table = table_of(measured, style)
    return _markdown(table) if kind == "markdown" else latex(table)


def write_tables(folder: Path, measured: Measured, style: Style) -> None:
    """Write the table in each format: ``table.csv``, ``table.md`` and ``table.tex``."""
    for kind, suffix in SUFFIXES.items():
        write_text(folder / f"table.{suffix}", formatted(measured, style, kind))


def _csv(measured: Measured, style: Style) -> str:
    columns = measured.columns(style)

    def number(value: float | None) -> str:
        return "" if value is None else repr(float(value))

    lines = [csv_line(["data_set", "detector", *(column.name for column in columns)])]
    for data_set, of_each in measured.metrics.items():
        lines += [
            csv_line([data_set, name, *(number(column.of(metrics)) for column in columns)])
            for name, metrics in zip(measured.names, of_each, strict=True)
        ]
    if len(measured.metrics) > 1:
        lines += [
            csv_line([MEAN, name, *(number(measured.mean(column, index)) for column in columns)])
            for index, name in enumerate(measured.names)
        ]
    return "".join(lines)


def _markdown(table: Table) -> str:
    lower = table.columns or ("",)
    headings = [_mark(f"{group}, {name}" if name else group) for group in table.groups for name in lower]
    rows = [[_mark(name), *map(_bold_in_markdown, cells)] for name, cells in table.rows]
    if table.mean is not None:
        rows.append([MEAN, *map(_bold_in_markdown, table.mean)])
    lines = [
        _bars([table.corner, *headings]),
        _bars(["---", *["--:"] * len(headings)]),
        *map(_bars, rows),
    ]
    return "\n".join([*lines, "", _mark(table.caption), *(_mark(note) + "." for note in table.notes)]) + "\n"


def _bars(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mark(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _bold_in_markdown(cell: Cell) -> str:
    return f"**{cell.text}**" if cell.best else cell.text or _NONE
