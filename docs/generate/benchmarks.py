"""Write docs/benchmarks.md from results/benchmarks.json.

``make bench`` names a record of pytest-benchmark, from which results/benchmarks.json is written first.
"""

from __future__ import annotations

import json
import statistics
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

from ssimae.atomic import write_text

ROOT = Path(__file__).parents[2]
STORED = ROOT / "results" / "benchmarks.json"

COMMON = ("processor", "cores", "threads", "rayon_threads")


def generated() -> dict[Path, str]:
    """Return the contents of the generated files by their paths."""
    return {ROOT / "docs" / "benchmarks.md": page(json.loads(STORED.read_text()))}


def distilled(record: dict[str, Any]) -> dict[str, Any]:
    """Return what the page needs of a record of pytest-benchmark."""
    rows = [_row(benchmark) for benchmark in record["benchmarks"]]
    if not rows:
        raise SystemExit("no benchmark was timed: nothing to write")
    infos = [benchmark["extra_info"] for benchmark in record["benchmarks"]]
    versions = {name: number for info in infos for name, number in info["versions"].items()}
    loads = [info["load"] for info in infos]
    return {
        "date": record["datetime"][:10],
        "commit": record["commit_info"].get("id"),
        "changed": bool(record["commit_info"].get("dirty")),
        "machine": {name: infos[0][name] for name in COMMON} | {"system": record["machine_info"]["system"]},
        "versions": {"Python": record["machine_info"]["python_version"]} | versions,
        "load": [min(loads), statistics.median(loads), max(loads)],
        "arguments": record["arguments"],
        "without_numbers": _counted(record["without_numbers"]),
        "rows": rows,
    }


def _counted(reasons: dict[str, str]) -> list[dict[str, Any]]:
    """Return how many benchmarks of a test have no numbers, for each reason."""
    counts = Counter((reason, name.split("[")[0]) for name, reason in reasons.items())
    return [{"reason": reason, "test": test, "count": count} for (reason, test), count in counts.items()]


def _row(benchmark: dict[str, Any]) -> dict[str, Any]:
    info = benchmark["extra_info"]
    kept = ("name", "labels", "pixels", "target", "ratio", "ratio_quartiles", "memory")
    return {
        "group": benchmark["group"],
        **{name: info[name] for name in kept if name in info},
        "rounds": benchmark["stats"]["rounds"],
        "calls": info["calls"],
        "ours_s": _quartiles(info["ours_s"]),
        "theirs_s": _quartiles(benchmark["stats"]["data"]),
    }


def _quartiles(seconds: list[float]) -> list[float]:
    return seconds * 3 if len(seconds) == 1 else statistics.quantiles(seconds, n=4, method="inclusive")


def page(stored: dict[str, Any]) -> str:
    """Return docs/benchmarks.md."""
    rows = stored["rows"]
    lines = [*_head(stored), ""]
    for group in dict.fromkeys(row["group"] for row in rows):
        members = [row for row in rows if row["group"] == group]
        lines += [f"## {group[:1].upper()}{group[1:]}", "", *_times(members), ""]
        if "memory" in members[0]:
            lines += [*_memory(members), ""]
    return "\n".join([*lines, *_without_numbers(stored), ""])


def _head(stored: dict[str, Any]) -> list[str]:
    machine, (low, middle, high) = stored["machine"], stored["load"]
    rows, missing = len(stored["rows"]), sum(row["count"] for row in stored["without_numbers"])
    versions = ", ".join(f"{name} {number}" for name, number in sorted(stored["versions"].items()))
    commit = f"commit {stored['commit'][:12]}" if stored["commit"] else "an unknown commit"
    changed = ", with changes since" if stored["changed"] else ""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`, which times this tool beside other packages; no number here was typed.",
        "",
        f"- Measured on {stored['date']} at {commit}{changed}.",
        f"- Machine: {machine['processor']}, {machine['system']}. Cores that could be used: {machine['cores']}. "
        f"Threads of torch: {machine['threads']}, of Rust: {machine['rayon_threads']}.",
        f"- Load: {low:.1f} to {high:.1f} processes wanted to run, this one included; the median was {middle:.1f}.",
    ]
    if high > machine["threads"] + 0.5:
        lines.append(
            "- **The machine was disturbed.** Times are too long on either side. Ratios are of pairs that were timed "
            "in turns and suffer less, but packages on OpenMP suffer more than ours: no ratio here meets a target."
        )
    lines += [
        f"- Versions: {versions}.",
        f"- {rows} of {rows + missing} benchmarks were timed; called with `{' '.join(stored['arguments'])}`.",
        "",
        "Two functions take turns in 5 to 20 rounds of calls on end. Each time is that of one call: the median, and in "
        "brackets the quartiles. The ratio is the median over the rounds of the second's time by the pixel to the "
        "first's: above 1 the first is faster. Each answer was compared with a specification in float64 or with the "
        "rival's; a wrong one ends the run without this page.",
    ]
    wrapped = (
        textwrap.wrap(line, 140, subsequent_indent="  " if line.startswith("-") else "") or [""] for line in lines
    )
    return [part for parts in wrapped for part in parts]


def _times(rows: list[dict[str, Any]]) -> list[str]:
    first, second = rows[0]["labels"]
    return [
        f"| | {first} | {second} | ns a pixel: {first} | {second} | ratio | quartiles | rounds | target |",
        "|---|---:|---:|---:|---:|---:|---|---:|---|",
        *(_time_line(row) for row in rows),
    ]


def _time_line(row: dict[str, Any]) -> str:
    sides = list(zip((row["ours_s"], row["theirs_s"]), row["pixels"], strict=True))
    cells = [row["name"]]
    cells += [f"{duration(middle)} ({duration(low)} to {duration(high)})" for (low, middle, high), _ in sides]
    cells += [_short(1e9 * seconds[1] / pixels) for seconds, pixels in sides]
    cells += [f"{row['ratio']:.2f}", "{:.2f} to {:.2f}".format(*row["ratio_quartiles"])]
    return f"| {' | '.join([*cells, str(row['rounds']), row['target'] or ''])} |"


def duration(seconds: float) -> str:
    """Return a time as one reads it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{_short(seconds / size)} {unit}"
    return f"{_short(1e9 * seconds)} ns"


def _short(number: float) -> str:
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"


def _memory(rows: list[dict[str, Any]]) -> list[str]:
    first, second = rows[0]["labels"]
    unit = "images" if "images" in rows[0]["memory"] else "bytes"
    shown = "in images" if unit == "images" else "bytes a pixel"
    lines = [f"| peak memory, {shown} | {first} | {second} | ratio | target |", "|---|---:|---:|---:|---|"]
    for row in rows:
        memory = row["memory"]
        cells = [row["name"], *(f"{number:.2f}" for number in memory[unit]), f"{memory['ratio']:.2f}"]
        lines.append(f"| {' | '.join([*cells, memory['target'] or ''])} |")
    return lines


def _without_numbers(stored: dict[str, Any]) -> list[str]:
    """Return what was not timed, by the reason."""
    missing = stored["without_numbers"]
    lines = ["## Without numbers"] if missing else []
    for reason in dict.fromkeys(row["reason"] for row in missing):
        tests = [f"- `{row['test']}`: {row['count']}" for row in missing if row["reason"] == reason]
        lines += ["", f"{reason[:1].upper()}{reason[1:]}:", "", *tests]
    return lines


def stored_text(stored: dict[str, Any]) -> str:
    """Return results/benchmarks.json, with a line for each row."""
    rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False, allow_nan=False)}" for row in stored["rows"])
    head = json.dumps({**stored, "rows": []}, indent=1, ensure_ascii=False, allow_nan=False)
    return head.replace('"rows": []', f'"rows": [\n{rows}\n ]') + "\n"


if __name__ == "__main__":
    if sys.argv[1:]:
        write_text(STORED, stored_text(distilled(json.loads(Path(sys.argv[1]).read_text()))))
    for path, content in generated().items():
        write_text(path, content)
