"""Write a table as CSV, Markdown or LaTeX."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from ssimae.atomic import write_text
from ssimae.csv_files import csv_line
from ssimae.report.publish.table import MEAN, Cell, Measured, Style, Table, table_of

Format = Literal["csv", "markdown", "latex"]

SUFFIXES: dict[Format, str] = {"csv": "csv", "markdown": "md", "latex": "tex"}
"""Suffix of the file of each format."""

_NONE = "–"

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"}, "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip
"""What stands in LaTeX for characters that mean something there."""

_WIDE = 60
"""Letters side by side beyond which a table in LaTeX is fitted to the width of the text: as many as an article has."""

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
    return _markdown(table) if kind == "markdown" else _latex(table)


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


def _latex(table: Table) -> str:
    width = len(table.columns) or 1
    count = width * len(table.groups)
    if table.columns:
        spans = [(2 + index * width, 1 + (index + 1) * width) for index in range(len(table.groups))]
        heads = [
            _line(["", *(rf"\multicolumn{{{width}}}{{c}}{{{_tex(group)}}}" for group in table.groups)]),
            " ".join(rf"\cmidrule(lr){{{first}-{last}}}" for first, last in spans),
            _line([table.corner, *map(_tex, table.columns * len(table.groups))]),
        ]
    else:
        heads = [_line([table.corner, *map(_tex, table.groups)])]
    body = [_line([_tex(name), *map(_bold_in_latex, cells)]) for name, cells in table.rows]
    mean = [] if table.mean is None else [r"\midrule", _line([MEAN, *map(_bold_in_latex, table.mean)])]
    inner = [r"\toprule", *heads, r"\midrule", *body, *mean, r"\bottomrule"]
    wide = _letters(table) > _WIDE
    packages = r"\usepackage{booktabs}" + (r" and \usepackage{graphicx}" if wide else "")
    return (
        "\n".join(
            [
                f"% ssimae {version('ssimae')}; needs {packages}. The best of each comparison is bold.",
                *(f"% {' '.join(note.split())}." for note in table.notes),
                r"\begin{table}",
                r"  \centering",
                rf"  \caption{{{_tex(table.caption)}}}",
                rf"  \label{{tab:{_label(table)}}}",
                *([r"  \resizebox{\linewidth}{!}{%"] if wide else []),
                rf"  \begin{{tabular}}{{l{'c' * count}}}",
                *(f"    {line}" for line in inner),
                r"  \end{tabular}}" if wide else r"  \end{tabular}",
                r"\end{table}",
            ]
        )
        + "\n"
    )


def _letters(table: Table) -> int:
    """Return the width of a table in letters, with two between columns."""
    names = max(len(name) for name in (table.corner, *(name for name, _ in table.rows)))
    below = sum(max(len(name), 5) + 2 for name in table.columns)
    return names + sum(max(len(group) + 2, below) for group in table.groups)


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))


def _label(table: Table) -> str:
    return "data-sets" if table.mean is not None else "detectors"


def _bold_in_latex(cell: Cell) -> str:
    return rf"\textbf{{{cell.text}}}" if cell.best else cell.text or "--"
