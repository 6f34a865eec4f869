"""Write the tables of stored results into docs/results.md and results/settings.md."""

from __future__ import annotations

from pathlib import Path

from ssimae.reproduce.summary import read_cell_results, summary_table

ROOT = Path(__file__).parents[2]

START, END = "<!-- table: make generated -->", "<!-- end of table -->"


def generated() -> dict[Path, str]:
    """Return the contents of the generated files by their paths."""
    stored = read_cell_results(ROOT / "results")
    page = ROOT / "docs" / "results.md"
    before, rest = page.read_text().split(START)
    _, after = rest.split(END)
    head = "Single settings, one changed at a time; written by `make generated` from the files beside it."
    return {
        page: f"{before}{START}\n{summary_table(stored)}\n{END}{after}",
        ROOT / "results" / "settings.md": f"{head}\n\n{summary_table(stored, settings=True)}\n",
    }


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content)
