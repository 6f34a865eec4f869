"""Draw docs/architecture.svg: the packages from top to bottom, what lies in each, and an arc for every import.

The order is that of the import contract in pyproject.toml, which the linter keeps.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "ssimae"

WIDTH, ARCS, LINE, GAP = 1120, 190, 17, 14
"""Width of the picture, of the strip that holds the arcs, height of a line of text, and space between boxes."""

FILES_WIDTH = 118
"""Letters of a line of file names."""


def generated() -> dict[Path, str]:
    """Return the contents of the generated files by their paths."""
    return {ROOT / "docs" / "architecture.svg": picture()}


def layers() -> list[str]:
    """Return the rooms of the import contract, from the top down; several of one layer stand side by side."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (order,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return list(order)


def files(room: str) -> list[Path]:
    """Return the source files of a package, or the file of a module."""
    folder = PACKAGE / room
    if not folder.is_dir():
        return [folder.with_suffix(".py")]
    return sorted(path for path in folder.rglob("*.py"))


def imported(room: str, rooms: list[str]) -> set[str]:
    """Return the rooms that the files of a room import."""
    found = set()
    for path in files(room):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {other for name in names for other in rooms if f"{name}.".startswith(f"ssimae.{other}.")}
    return found - {room}


def picture() -> str:
    """Return the picture as SVG; the same source gives the same text."""
    boxes = [(layer, [room.strip() for room in layer.split("|")]) for layer in layers()]
    rooms = [room for _, members in boxes for room in members]
    home = {room: layer for layer, members in boxes for room in members}
    texts = {layer: _lines(members) for layer, members in boxes}
    tops, y = {}, GAP
    for layer, _ in boxes:
        tops[layer] = y
        y += LINE * (len(texts[layer]) + 1) + 6 + GAP
    heights = {layer: LINE * (len(texts[layer]) + 1) + 6 for layer, _ in boxes}
    parts = []
    for upper, members in boxes:
        targets = {home[other] for room in members for other in imported(room, rooms)} - {upper}
        for lower in sorted(targets, key=lambda layer: tops[layer]):
            start, end = tops[upper] + heights[upper] / 2, tops[lower] + heights[lower] / 2
            reach = min(ARCS - 12, 14 + 0.19 * (end - start))
            parts.append(
                f'<path d="M{ARCS} {start:.0f} C{ARCS - 1.33 * reach:.0f} {start:.0f} '
                f'{ARCS - 1.33 * reach:.0f} {end:.0f} {ARCS - 5} {end:.0f}" class="arc" marker-end="url(#head)"/>'
            )
    for layer, members in boxes:
        top = tops[layer]
        parts.append(f'<rect x="{ARCS}" y="{top}" width="{WIDTH - ARCS - GAP}" height="{heights[layer]}" rx="5"/>')
        title = ", ".join(room if (PACKAGE / room).is_dir() else f"{room}.py" for room in members)
        parts.append(f'<text x="{ARCS + 12}" y="{top + LINE}" class="room">{escape(title)}</text>')
        for number, (kind, text) in enumerate(texts[layer], 2):
            parts.append(f'<text x="{ARCS + 12}" y="{top + number * LINE}" class="{kind}">{escape(text)}</text>')
    style = (
        "text{font-family:sans-serif;font-size:12px;fill:#333}.room{font-weight:bold;font-size:14px;fill:#111}"
        ".files{font-family:monospace;font-size:11px;fill:#666}rect{fill:#f6f7f9;stroke:#b8c0cc}"
        ".arc{fill:none;stroke:#0072b2;stroke-opacity:.45}"
    )
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#0072b2"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}">\n'
        f"<style>{style}</style>\n<defs>{head}</defs>\n"
        f'<rect width="{WIDTH}" height="{y}" style="fill:#fff;stroke:none"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _lines(members: list[str]) -> list[tuple[str, str]]:
    """Return what stands in a box below its title: a sentence for each room, then the names of its files."""
    lines = []
    for room in members:
        init = PACKAGE / room / "__init__.py"
        source = init if init.exists() else (PACKAGE / room).with_suffix(".py")
        sentence = (ast.get_docstring(ast.parse(source.read_text())) or "").splitlines()[0].replace("`", "")
        lines.append(("about", sentence if len(members) == 1 else f"{room}: {sentence}"))
        if init.exists():
            names = [path.relative_to(init.parent).with_suffix("").as_posix() for path in files(room)]
            shown = ", ".join(name for name in names if not name.endswith("__init__"))
            lines += [("files", line) for line in textwrap.wrap(shown, FILES_WIDTH)]
    return lines


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content)
