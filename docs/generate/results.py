"""Write the tables of stored results into docs/results.md and results/settings.md, and draw docs/time.svg.

The picture is drawn again only where its numbers have changed: other versions of matplotlib draw it in other bytes.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

from ssimae.reproduce.over_time.figure import time_svg
from ssimae.reproduce.over_time.measured import read_measured
from ssimae.reproduce.over_time.table import Reached, join_seeds, time_table
from ssimae.reproduce.stored.summary import read_cell_results, summary_table
from ssimae.reproduce.surfaces.planted import planted_tables, read_planted
from ssimae.reproduce.surfaces.table import surface_table

ROOT = Path(__file__).parents[2]

END = "<!-- end of table -->"


def generated() -> dict[Path, str]:
    """Return the contents of the generated files by their paths."""
    stored = read_cell_results(ROOT / "results")
    page = ROOT / "docs" / "results.md"
    text = _filled(page.read_text(), "surfaces", surface_table(stored))
    text = _filled(text, "planted", "\n\n".join(planted_tables(read_planted(ROOT / "results"))))
    reached = join_seeds(read_measured(ROOT / "results"))
    text = _filled(text, "time", time_table(reached))
    text = _filled(text, "table", summary_table(stored))
    text = _filled(text, "pretrained", _rivals_table(ROOT / "results" / "pretrained"))
    head = "Single settings, one changed at a time; written by `make generated` from the files beside it."
    return {
        page: text,
        **_pictures(reached),
        ROOT / "results" / "settings.md": f"{head}\n\n{summary_table(stored, settings=True)}\n",
    }


def _pictures(reached: Sequence[Reached]) -> dict[Path, str]:
    """Return the picture of what is reached over time; none before anything is stored."""
    if not reached:
        return {}
    path = ROOT / "docs" / "time.svg"
    told = hashlib.sha256(repr(reached).encode()).hexdigest()
    drawn = path.read_text() if path.exists() else ""
    return {path: drawn if told in drawn else time_svg(reached, told=told)}


def _rivals_table(folder: Path) -> str:
    """Return the table of what tests/perf/pretrained/bench.py stored of each data set."""
    lines = ["| data | detector | pixel AUROC | AU-PRO 0.3 | image AUROC |", "|---|---|--:|--:|--:|"]
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                numbers = (row[name] for name in ("auroc", "au_pro_0.3", "image_auroc"))
                cells = [f"{float(number):.3f}" if number else "" for number in numbers]
                lines.append(f"| {' | '.join([row['data_set'], row['detector'], *cells])} |")
    return "\n".join(lines)


def _filled(text: str, name: str, table: str) -> str:
    """Return a page with a table between its marks."""
    start = f"<!-- {name}: make generated -->"
    before, rest = text.split(start)
    _, after = rest.split(END, 1)
    return f"{before}{start}\n{table}\n{END}{after}"


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content)
