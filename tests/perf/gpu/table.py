"""What was measured, as JSON and as a Markdown table made from it."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from perf.gpu.timing import best_us
from ssimae.atomic import write_text

_ROOT = Path(__file__).resolve().parents[3]


def describe(device: torch.device) -> dict[str, Any]:
    """Return what the numbers depend on: card, driver, versions, commit, date."""
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {platform.machine()}"
    return {
        "card": card,
        "driver": _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").split("\n")[0] or None,
        "clocks": _said(
            "nvidia-smi", "--query-gpu=clocks.max.sm,clocks.max.mem,power.limit", "--format=csv,noheader"
        ).split("\n")[0]
        or None,
        "cuda": torch.version.cuda,
        "versions": {"python": platform.python_version()}
        | {name: _version(name) for name in ("torch", "triton", "numpy")},
        "commit": _said("git", "-C", str(_ROOT), "rev-parse", "HEAD") or None,
        "changed": bool(_said("git", "-C", str(_ROOT), "status", "--porcelain", "--untracked-files=no")),
        "date": date.today().isoformat(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def write(record: dict[str, Any], folder: Path) -> list[Path]:
    """Write a record as JSON and as a table, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    about = record["about"]
    name = re.sub(r"[^a-z0-9]+", "-", about["card"].lower()).strip("-") + "-" + about["date"]
    files = [folder / f"{name}.json", folder / f"{name}.md"]
    write_text(files[0], json.dumps(record, indent=1, allow_nan=False) + "\n")
    write_text(files[1], table(record))
    return files


def table(record: dict[str, Any]) -> str:
    """Return a record in Markdown."""
    about = record["about"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    commit = "unknown commit" if about["commit"] is None else f"commit {about['commit'][:12]}"
    rates, flops = record["rates"], record["rates"]["flops"]
    arithmetic = "unknown" if flops is None else f"{flops / 1e12:.1f} TFLOP/s in float32 at the highest clock"
    lines = [
        f"# SSIM on {about['card']}, {about['date']}",
        "",
        f"Driver {about['driver'] or 'unknown'}, CUDA {about['cuda'] or 'none'}, {versions}; {commit}"
        f"{', changed since' if about['changed'] else ''}. Written by `make bench-gpu`.",
        "",
        _checked(record["checks"]),
        f"Copies reach {rates['bytes'] / 1e12:.2f} TB/s; arithmetic {arithmetic}. Floors are the larger of the bytes "
        "that must move and the arithmetic that must be done, at these rates. Microseconds: median (fifth to four "
        "fifths) of calls with a cold cache; gradients come with the loss, from one call. Peak memory is that beyond "
        "the inputs, results included. Reflect border, float32.",
        "",
        "| images | case | floor | set by | eager | CUDA graph | of the floor | peak MiB |",
        "|---|---|---:|---|---:|---:|---:|---:|",
        *(_our_line(row, record["sizes"]) for row in record["ours"]),
        "",
        "## Beside other packages",
        "",
        "Each in a process of its own, with ours at its border before it; channels as images of one channel. A ratio "
        "compares the faster of eager and graph of either side. Convolutions in TF32 only where the answer holds.",
        "",
        "| package | images | case | border | eager | CUDA graph | ours | ratio | peak MiB | ours |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|",
        *(_their_line(row) for row in record["rivals"] if "ratio" in row),
        "",
        *(f"- {name}: {text}" for name, text in record["options"].items()),
    ]
    silent = _silent(record)
    return "\n".join([*lines, *(["", "Without numbers:", "", *silent] if silent else []), ""])


def _checked(checks: dict[str, Any]) -> str:
    text = f"{checks['held']} checks against float64 held in {checks['seconds']:.0f} s."
    undone = checks["undone"]
    return text + (f" NOT DONE for want of time: {len(undone)}, namely {'; '.join(undone)}." if undone else "")


def _times(row: dict[str, Any], way: str) -> str:
    found = row[way]
    if not found:
        return "-"
    return f"{_us(found['median_us'])} ({_us(found['low_us'])}-{_us(found['high_us'])})"


def _us(number: float) -> str:
    return f"{number:.1f}" if number < 100 else f"{number:.0f}"


def _mib(peak: int | None) -> str:
    return "-" if peak is None else f"{peak / 2**20:.1f}"


def _our_line(row: dict[str, Any], sizes: dict[str, list[int]]) -> str:
    shape = " x ".join(map(str, sizes[row["size"]]))
    cells = [f"{row['size']}, {shape}", row["case"], _us(row["floor_us"]), row["set_by"], _times(row, "eager")]
    cells += [_times(row, "graph"), f"{best_us(row) / row['floor_us']:.2f}", _mib(row["peak_bytes"])]
    return f"| {' | '.join(cells)} |"


def _their_line(row: dict[str, Any]) -> str:
    ours, theirs = row["ours"], row["theirs"]
    cells = [row["rival"] + (", TF32" if row["tf32"] else ""), row["size"], row["case"], row["border"]]
    cells += [_times(theirs, "eager"), _times(theirs, "graph"), _us(best_us(ours)), f"{row['ratio']:.2f}"]
    return f"| {' | '.join([*cells, _mib(theirs['peak_bytes']), _mib(ours['peak_bytes'])])} |"


def _silent(record: dict[str, Any]) -> list[str]:
    """Return a line for each reason why a package, a case or a graph has no number."""
    reasons: dict[str, list[str]] = {}
    for row in record["rivals"]:
        if "refused" in row:
            reasons.setdefault(f"{row['rival']}: {row['refused']}", []).append(f"{row['size']} {row['case']}")
        elif row["theirs"].get("no_graph"):
            reason = f"{row['rival']}, CUDA graph: {row['theirs']['no_graph']}"
            reasons.setdefault(reason, []).append(f"{row['size']} {row['case']}")
    lines = [f"- {reason} ({'; '.join(dict.fromkeys(where))})" for reason, where in reasons.items()]
    return lines + [f"- {name}: {reason}" for name, reason in record["absent"].items()]
