"""The table that a run of the benchmarks prints: the ratio is of the second to the first."""

from __future__ import annotations

from typing import Any

from perf.machine import describe


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines below the heading of one group, in ns or bytes a pixel or in images."""
    first, second = rows[0]["labels"]
    spread = "beyond the output" if "images" in rows[0] else "" if "bytes" in rows[0] else "quartiles"
    return [f"{'':26}{first:>10}{second:>10}{'ratio':>9}  {spread:19}target", *(_line(row) for row in rows)]


def _line(row: dict[str, Any]) -> str:
    if "bytes" in row:
        unit, numbers, spread = "B", row["bytes"], ""
    elif "images" in row:
        unit, numbers, spread = "img", row["images"], "{:.2f}, {:.2f}".format(*row["images_beyond_output"])
    else:
        unit, numbers = "ns", (row["ours_ns_per_pixel"], row["theirs_ns_per_pixel"])
        spread = "{:.2f}-{:.2f}".format(*row["ratio_quartiles"])
    shown = "".join(f"{number:>6.2f} {unit:3}" for number in numbers)
    return f"{row['name']:26}{shown}{row['ratio']:9.2f}  {spread:19}{row['target'] or ''}".rstrip()


def foot(rows: list[dict[str, Any]]) -> list[str]:
    """Return the machine, and a warning where others kept it busy."""
    about = describe()
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    machine = f"\n{about['processor']}, {about['threads']} threads; {versions}"
    load = max(row["load"] for row in rows)
    if load <= about["threads"] + 0.5:
        return [machine]
    return [
        machine,
        f"DISTURBED: load {load:.1f} for {about['threads']} threads. Packages on OpenMP suffer more than ours, "
        "also in pairs: these ratios flatter ours, and meet no target.",
    ]
