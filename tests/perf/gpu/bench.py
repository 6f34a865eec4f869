"""The operator on a GPU, checked and timed beside its floors and other packages: `make bench-gpu`.

Needs torch, triton and numpy alone. Status 0: all held; 1: something is wrong, or was not checked for want of time;
2: there is no CUDA device.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Triton 3.9 warns unless this is set, and it is read at import.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

import ssimae
import torch
from perf.gpu import rivals as gpu_rivals
from perf.gpu import table as gpu_table
from perf.gpu import timing as gpu_timing
from perf.gpu.checks import checks, problems
from perf.gpu.floors import CASES, SIZES, floor_us, rates_of

TINY = {"tiny": (2, 3, 40, 50)}
"""What is enough to try the script on a CPU."""
CHECK_SHARE = 0.4
"""Part of all the time that checks may take."""
RIVAL_S = 45.0
"""Time of a rival, or its part of what is left if that is more."""


@dataclass(frozen=True)
class Plan:
    """What is measured, where, and in which time."""

    device: torch.device
    backend: str
    sizes: dict[str, tuple[int, ...]]
    quick: bool
    seconds: float
    jobs: int
    start: float

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.start + self.seconds - time.monotonic()


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(text, file=sys.stderr, flush=True)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(prog="bench-gpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two sizes, fewer repetitions")
    parser.add_argument("--check-only", action="store_true", help="check values and gradients, time nothing")
    parser.add_argument("--out", type=Path, default=Path("results/gpu"), help="folder of the table and its numbers")
    parser.add_argument("--seconds", type=float, default=450.0, help="time for everything (%(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=min(16, os.cpu_count() or 1), help="processes that compile and check (%(default)s)"
    )
    parser.add_argument("--rivals", nargs="*", choices=list(gpu_rivals.GPU_RIVALS), help="these packages alone")
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda", help="cpu: tiny images, to try this script without a GPU"
    )
    parser.add_argument("--worker", choices=list(gpu_rivals.GPU_RIVALS), help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def plan_of(arguments: argparse.Namespace) -> Plan:
    """Return what the arguments ask for."""
    device = torch.device(arguments.device)
    sizes = {name: shape for name, shape in SIZES.items() if not (arguments.quick and name == "N3")}
    if device.type == "cpu":
        from ssimae.similarity.operators import decline

        backend = "torch" if decline("rust", *[torch.zeros(1)] * 2) else "rust"
        sizes = TINY
    else:
        # By name, so that what was not served by the kernels cannot pass for them.
        backend = "triton"
    return Plan(
        device, backend, sizes, arguments.quick, arguments.seconds, arguments.jobs, time.monotonic()
    )  # fmt: skip


def check_all(plan: Plan) -> tuple[list[str], dict[str, Any]]:
    """Return what is wrong, and how many checks held, in which time, and which there was no time for."""
    listed = checks(plan.device)
    start = time.monotonic()
    say(f"{len(listed)} checks in {plan.jobs} processes")
    # Most of the time goes into compiling kernels, which processes do side by side.
    pool = ProcessPoolExecutor(plan.jobs, mp_context=multiprocessing.get_context("spawn"))
    futures = {pool.submit(problems, check, plan.device, plan.backend): check for check in listed}
    done, undone = wait(futures, timeout=CHECK_SHARE * plan.seconds)
    pool.shutdown(wait=not undone, cancel_futures=True)
    for late in multiprocessing.active_children() if undone else ():
        late.kill()  # or it would disturb what is timed
    wrong = []
    for future in done:
        try:
            wrong += future.result()
        except BrokenProcessPool as error:
            wrong.append(f"{futures[future]}: {gpu_timing.first_line(error)}")
    about = {
        "held": len(done),
        "seconds": time.monotonic() - start,
        "undone": sorted(str(futures[future]) for future in undone),
    }
    return wrong, about


def time_ours(plan: Plan, timer: gpu_timing.Timer) -> tuple[dict[str, float | None], list[dict[str, Any]]]:
    """Return the rates of the card, and rows of our own times beside their floors."""
    rates = rates_of(plan.device, lambda call: timer(call).median_us)
    rows = []
    for size, shape in plan.sizes.items():
        for case in CASES:
            options = {"window": case.window, "border": "reflect"}

            def loss(x: torch.Tensor, y: torch.Tensor, options: dict[str, Any] = options) -> torch.Tensor:
                return ssimae.ssim_loss(x, y, data_range=1.0, backend=plan.backend, **options)

            step = gpu_timing.stepper(loss, *gpu_timing.images(shape, plan.device), case.wanted)
            gpu_timing.hold(
                step(), gpu_timing.specified(shape, plan.device, case.wanted, **options), gpu_rivals.OUR_LIMITS
            )  # fmt: skip
            floor, set_by = floor_us(case, shape, rates)
            row = gpu_timing.measure(step, timer, plan.device)
            rows.append(row | {"size": size, "case": case.name, "floor_us": floor, "set_by": set_by})
            say(f"{size} {case.name}: {gpu_timing.best_us(row):.1f} us, floor {floor:.1f} by {set_by}")
        gpu_timing.images.cache_clear()
        gpu_timing.specified.cache_clear()
    return {"bytes": rates.bytes, "flops": rates.flops if math.isfinite(rates.flops) else None}, rows


def time_rivals(plan: Plan, names: list[str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return rows of rivals' times, and why packages have none or not all."""
    rows: list[dict[str, Any]] = []
    absent = {name: reason for name in names if (reason := gpu_rivals.missing(name))}
    waiting = len(names) - len(absent)
    for name in names:
        seconds = min(plan.left, max(RIVAL_S, plan.left / max(waiting, 1)))
        if name not in absent and seconds < gpu_rivals.LEAST_S:
            absent[name] = "no time was left"
        if name in absent:
            say(f"{name}: {absent[name]}")
            continue
        command = ["-m", "perf.gpu.bench", "--worker", name, "--device", plan.device.type]
        command += ["--quick"] if plan.quick else []
        found, reason = gpu_rivals.in_process(command, seconds, lambda text, name=name: say(f"{name}: {text}"))
        waiting -= 1
        rows += found
        if reason:
            absent[name] = f"{reason}; {len(found)} of {len(CASES) * len(plan.sizes)} cases done"
    return rows, absent


def work(arguments: argparse.Namespace, plan: Plan) -> None:
    """Measure one rival, and write its rows as they come."""
    torch.backends.cudnn.benchmark = True  # fixed shapes: the fastest way that torch documents for convolutions
    timer = gpu_timing.timer_for(plan.device, quick=plan.quick)
    rows = gpu_rivals.measured(arguments.worker, plan.device, plan.backend, plan.sizes, timer)
    gpu_rivals.write_rows(rows, arguments.rows)


def main(words: list[str] | None = None) -> int:
    """Check, time, write the table, and return the exit status."""
    arguments = parse(words)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        say("bench-gpu: torch sees no CUDA device here")
        return 2
    plan = plan_of(arguments)
    if arguments.worker:
        work(arguments, plan)
        return 0
    wrong, checked = check_all(plan)
    if wrong:
        say("\n".join([f"bench-gpu: {len(wrong)} things are wrong, nothing is timed:", *wrong]))
        return 1
    say(f"{checked['held']} checks held in {checked['seconds']:.0f} s")
    unchecked = 1 if checked["undone"] else 0
    for check in checked["undone"]:
        say(f"NOT CHECKED for want of time: {check}")
    if arguments.check_only:
        return unchecked
    try:
        rates, ours = time_ours(plan, gpu_timing.timer_for(plan.device, quick=plan.quick))
    except ValueError as error:
        say(f"bench-gpu: {error}")
        return 1
    names = list(gpu_rivals.GPU_RIVALS) if arguments.rivals is None else arguments.rivals
    rows, absent = time_rivals(plan, names)
    shown = {row["rival"] for row in rows}
    record = {
        "about": gpu_table.describe(plan.device),
        "sizes": {name: list(shape) for name, shape in plan.sizes.items()},
        "quick": plan.quick,
        "cases": [case._asdict() for case in CASES],
        "checks": checked,
        "rates": rates,
        "ours": ours,
        "rivals": rows,
        "absent": absent,
        "options": {
            f"{name} {gpu_rivals.package_version(name)}": gpu_rivals.GPU_RIVALS[name].fastest
            for name in names
            if name in shown
        },
        "seconds": time.monotonic() - plan.start,
    }
    files = gpu_table.write(record, arguments.out)
    print(gpu_table.table(record))
    say(f"wrote {' and '.join(map(str, files))}")
    return unchecked


if __name__ == "__main__":
    sys.exit(main())
