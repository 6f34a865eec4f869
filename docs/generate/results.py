"""Write the tables of stored results into pages of docs/ and into results/settings.md, and draw docs/time.svg.

The picture is drawn again only where its numbers have changed: other versions of matplotlib draw it in other bytes.
"""

from __future__ import annotations

import csv
import hashlib
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from ssimae.report.format import listed
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
    verdicts = ROOT / "docs" / "verdicts.md"
    joinings = joinings_table(json.loads((ROOT / "results" / "colour.json").read_text()))
    head = "Single settings, one changed at a time; written by `make generated` from the files beside it."
    return {
        page: text,
        verdicts: _filled(verdicts.read_text(), "colour", joinings),
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


def joinings_table(stored: dict[str, Any]) -> str:
    """Return what tests/perf/colour/bench.py stored of each way to join channels, and how it came about."""
    trainings = [training for training in stored["trainings"] if not training["collapsed"]]
    taken, before = stored["taken"], stored["before"]
    columns = list(trainings[0]["scores"])
    lines = [f"| how the channels are joined | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    means = {
        name: [_score(mean(training["scores"][column][name] for training in trainings)) for column in columns]
        for name in trainings[0]["scores"][columns[0]]
    }
    best = [max(column) for column in zip(*means.values(), strict=True)]
    for name, values in means.items():
        cells = [f"**{value}**" if value == most else value for value, most in zip(values, best, strict=True)]
        lines.append(f"| {' | '.join([name, *cells])} |")
    gains = [
        sum(training["scores"][column][taken] > training["scores"][column][before] for training in trainings)
        for column in columns
    ]
    surfaces, seeds = (list(dict.fromkeys(training[name] for training in trainings)) for name in ("surface", "seed"))
    planted = [sum(training["planted"][column] for training in trainings) for column in columns]
    seeds, planted, gains = ([str(number) for number in numbers] for numbers in (seeds, planted, gains))
    side, smoothing = (stored["settings"][name] for name in ("patch_size", "residual_smoothing"))
    count, height, width = stored["images"]
    told = (
        f"These are means of {len(trainings)} trainings ({', '.join(surfaces)}; seeds {listed(seeds)}), each of "
        f"{trainings[0]['patches']:,} patches of {side} x {side} from {count} images of {width} x {height}, with a "
        f"smoothing of {smoothing:g} and no head. {_collapsed(stored['trainings'])}"
        f"By column, {listed(planted)} defects were planted in all. What is taken, {taken}, scores higher than the "
        f"mean residual alone in {listed(gains)} of the {len(trainings)} trainings. "
        f"It was measured on {stored['machine']}, on {stored['date']}."
    )
    return "\n".join([*lines, "", textwrap.fill(told, 140, break_on_hyphens=False)])


def _collapsed(trainings: Sequence[dict[str, Any]]) -> str:
    """Return a sentence that names the trainings that learned nothing, where there are any."""
    names = [f"{training['surface']}, seed {training['seed']}" for training in trainings if training["collapsed"]]
    return f"What collapsed is left out ({'; '.join(names)}). " if names else ""


def _score(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _filled(text: str, name: str, table: str) -> str:
    """Return a page with a table between its marks."""
    start = f"<!-- {name}: make generated -->"
    before, rest = text.split(start)
    _, after = rest.split(END, 1)
    return f"{before}{start}\n{table}\n{END}{after}"


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content)
