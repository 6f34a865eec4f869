"""Write a table in LaTeX, by the booktabs package, no wider than the text of an article."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version

from ssimae.report.publish.table import MEAN, Cell, Table

_WIDE = 60
"""Letters that lie side by side in the text of an article."""

_MARKS = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"}, "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip
"""What stands for characters that mean something in LaTeX."""


def latex(table: Table) -> str:
    """Return a table in LaTeX; where its columns do not fit beside each other, metrics come below each other."""
    blocks = list(_blocks(table))
    squeezed = any(_letters(block) > _WIDE for block in blocks)
    packages = r"\usepackage{booktabs}" + (r" and \usepackage{graphicx}" if squeezed else "")
    lines = [
        f"% ssimae {version('ssimae')}; needs {packages}. The best of each comparison is bold.",
        *(f"% {' '.join(note.split())}." for note in table.notes),
        r"\begin{table}",
        r"  \centering",
        r"  \setlength{\belowcaptionskip}{1ex}",
        rf"  \caption{{{_text(table.caption)}}}",
        rf"  \label{{tab:{'detectors' if table.mean is None else 'data-sets'}}}",
    ]
    for number, block in enumerate(blocks):
        if number:
            lines.append(r"  \par\medskip")
        lines += _tabular(block)
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _blocks(table: Table) -> Iterator[Table]:
    """Yield tables of as many groups of columns each as fit beside each other, at least one."""
    width = len(table.columns) or 1
    start = 0
    while start < len(table.groups):
        ends = range(start + 1, len(table.groups) + 1)
        fitting = list(itertools.takewhile(lambda end: _letters(_part(table, start, end, width)) <= _WIDE, ends))  # noqa: B023
        end = fitting[-1] if fitting else start + 1
        yield _part(table, start, end, width)
        start = end


def _part(table: Table, start: int, end: int, width: int) -> Table:
    """Return some groups of columns of a table."""
    cells = slice(start * width, end * width)
    return replace(
        table,
        groups=table.groups[start:end],
        rows=tuple((name, row[cells]) for name, row in table.rows),
        mean=None if table.mean is None else table.mean[cells],
    )


def _letters(table: Table) -> int:
    """Return the width of a table in letters, with two between columns."""
    names = max(len(name) for name in (table.corner, *(name for name, _ in table.rows)))
    below = sum(max(len(name), 5) + 2 for name in table.columns)
    return names + sum(max(len(group) + 2, below) for group in table.groups)


def _tabular(table: Table) -> list[str]:
    width = len(table.columns) or 1
    if table.columns:
        spans = [(2 + index * width, 1 + (index + 1) * width) for index in range(len(table.groups))]
        heads = [
            _line(["", *(rf"\multicolumn{{{width}}}{{c}}{{{_text(group)}}}" for group in table.groups)]),
            " ".join(rf"\cmidrule(lr){{{first}-{last}}}" for first, last in spans),
            _line([table.corner, *map(_text, table.columns * len(table.groups))]),
        ]
    else:
        heads = [_line([table.corner, *map(_text, table.groups)])]
    body = [_line([_text(name), *map(_number, cells)]) for name, cells in table.rows]
    mean = [] if table.mean is None else [r"\midrule", _line([MEAN, *map(_number, table.mean)])]
    inner = [r"\toprule", *heads, r"\midrule", *body, *mean, r"\bottomrule"]
    wide = _letters(table) > _WIDE
    return [
        *([r"  \resizebox{\linewidth}{!}{%"] if wide else []),
        rf"  \begin{{tabular}}{{l{'c' * width * len(table.groups)}}}",
        *(f"    {line}" for line in inner),
        r"  \end{tabular}}" if wide else r"  \end{tabular}",
    ]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _text(text: str) -> str:
    return "".join(_MARKS.get(letter, letter) for letter in " ".join(text.split()))


def _number(cell: Cell) -> str:
    return rf"\textbf{{{cell.text}}}" if cell.best else cell.text or "--"
