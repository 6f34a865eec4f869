"""Join the seeds of what is reached over time, and tabulate it: a row a training and time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Any

from ssimae.reproduce.plan import WAYS, Way
from ssimae.reproduce.stored.summary import devices
from ssimae.reproduce.targets import spread

TITLES: dict[Way, str] = {
    "plain": "plain script",
    "paper": "the paper's training",
    "auto": "`ssimae run --minutes`",
}

_Stored = Mapping[str, Any]

MEASURES: dict[str, Callable[[_Stored], float | None]] = {
    "image AUROC": lambda stored: stored["metrics"]["image_auroc"],
    "AU-PRO .3": lambda stored: stored["metrics"]["aupros"]["0.3"],
    "AU-PRO .05": lambda stored: stored["metrics"]["aupros"]["0.05"],
    "planted defects found": lambda stored: stored["found"] / stored["planted"] if stored["planted"] else None,
}
"""What is measured, from the stored numbers of a network; None where it was not."""


@dataclass(frozen=True)
class Reached:
    """What one way reaches on a data set in some minutes on one kind of machine, over all seeds."""

    data: str
    way: Way
    machine: str
    minutes: float
    """That were asked for."""
    ready_s: float | None
    """After which the model was ready: the median of the seeds whose time is known; None where all paused."""
    values: Mapping[str, tuple[float, ...]]
    """Of each measure, one a seed; empty where there is none."""
    masked: bool
    """Whether parts of the images were left out by an ignore mask."""

    @property
    def taken(self) -> float:
        """Minutes that it took; those that were asked for where it is not known."""
        return self.minutes if self.ready_s is None else self.ready_s / 60


def join_seeds(measured: Sequence[_Stored]) -> list[Reached]:
    """Return what was reached, by data set, way, machine and time."""
    groups: dict[tuple[str, int, str, float], list[_Stored]] = {}
    for stored in measured:
        key = stored["data"], WAYS.index(stored["way"]), devices([dict(stored)]), stored["minutes"]
        groups.setdefault(key, []).append(stored)
    reached = []
    for (data, way, machine, minutes), group in sorted(groups.items(), key=lambda item: item[0]):
        known = [stored["ready_s"] for stored in group if stored["ready_s"] is not None]
        found = {name: [value_of(stored) for stored in group] for name, value_of in MEASURES.items()}
        reached.append(
            Reached(
                data,
                WAYS[way],
                machine,
                minutes,
                ready_s=median(known) if known else None,
                values={name: tuple(value for value in values if value is not None) for name, values in found.items()},
                masked=any(stored["masked"] for stored in group),
            )
        )
    return reached


def time_table(reached: Sequence[Reached]) -> str:
    """Return a row for each data set, way, machine and time, as Markdown."""
    lines = [
        f"| data | training | minutes asked for | ready after | {' | '.join(MEASURES)} | on |",
        "|---|---|--:|--:|" + "---|" * len(MEASURES) + "---|",
    ]
    for row in reached:
        *shares, planted = (row.values[name] for name in MEASURES)
        columns = [
            row.data + (", with `--ignore`" if row.masked else ""),
            TITLES[row.way],
            f"{row.minutes:g}",
            "paused" if row.ready_s is None else f"{row.taken:.1f} min",
            *(spread(values) if values else "" for values in shares),
            _percent(planted),
            row.machine,
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def _percent(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{mean(values):.0%}" if len(values) == 1 else f"{mean(values):.0%} ± {stdev(values):.0%} ({len(values)})"
