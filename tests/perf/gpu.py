"""The SSIM loss on this machine's GPU: is it right, how fast is it, and how fast are others? `make bench-gpu`.

Needs torch with CUDA, Triton and numpy; nothing else. Rivals that are installed are timed beside it.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from gpu_card import (
    SHAPES,
    WINDOW_SIZE,
    WORKS,
    Card,
    Timer,
    Work,
    floor_seconds,
    measure_card,
    time_back_to_back,
    time_on_card,
)
from gpu_checks import check_kernels, check_loss
from gpu_rivals import CONTENDERS, Contender, answer_is_right, step_of, version
from gpu_table import Row, write_results
from gpu_traffic import gradient_traffic, map_traffic
from ssimae.kernels.launching import card_of, launch_size
from torch import Tensor

RESULTS = Path(__file__).resolve().parents[2] / "results" / "gpu"
CHECKED = ((2, 3, 37, 67), (1, 1, 128, 128), (1, 1, 301, 257))
"""Shapes of which values are compared: odd ones and the training patch."""
CHECKED_LOSS = (2, 3, 70, 131)

NO_DEVICE, WRONG = 2, 1


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu.py", description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), help="which to time: %(default)s")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="contenders to time, such as ssimae; default: all")
    parser.add_argument("--check", action="store_true", help="compare values and stop")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results: %(default)s")
    found = parser.parse_args(given)
    unknown = set(found.only or ()) - {contender.name for contender in CONTENDERS}
    if unknown:
        parser.error(f"--only: no such contender: {', '.join(sorted(unknown))}")
    return found


def main(given: Sequence[str] | None = None) -> int:
    chosen = arguments(given)
    if not torch.cuda.is_available():
        print("No CUDA device: nothing was checked or timed.", file=sys.stderr)
        return NO_DEVICE
    device = torch.device("cuda", torch.cuda.current_device())
    mistakes = [*check_kernels(device, CHECKED), *check_loss(device, CHECKED_LOSS, "triton")]
    if mistakes:
        print("The kernels are wrong on this card:", *mistakes, sep="\n  ", file=sys.stderr)
        return WRONG
    print("Values and gradients agree with the specification in float64.")
    if chosen.check:
        return 0
    card = measure_card(time_on_card)
    rows = []
    for row in time_all(chosen.shapes, chosen.only, card, device, time_on_card):
        rows.append(row)
        print(row.shape, row.work, row.contender, row.note or row.graph or row.eager, sep=" | ", flush=True)
        # After each row, so that a run that is cut off leaves what it has.
        paths = write_results(chosen.out, facts(card), rows)
    print(f"Wrote {paths[0]} and {paths[1]}.")
    return 0


def facts(card: Card) -> dict[str, Any]:
    """Return what the numbers belong to."""
    return {
        "card": torch.cuda.get_device_name(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "driver": _driver(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "memory, GB/s": round(card.bytes_per_second / 1e9),
        "float32, TFLOP/s": round(2 * card.float_slots_per_second / 1e12, 1),
        "map kernels, bytes a pixel": traffic(torch.device("cuda", torch.cuda.current_device())),
        "versions": ", ".join(f"{name} {found}" for name, found in _versions().items()),
    }


def traffic(device: torch.device) -> str:
    """Return the bytes a pixel that the map kernels move on a device, by their launch sizes."""
    parts = []
    for name, (images, channels, height, width) in SHAPES.items():
        planes = images * channels
        form: dict[str, Any] = {
            "window_size": WINDOW_SIZE,
            "border": "reflect",
            "size": launch_size(planes, height, width, card_of(device)),
        }
        pixels = planes * height * width
        for title, moved in (
            ("map", map_traffic(planes, height, width, **form)),
            ("its gradient", gradient_traffic(planes, height, width, both=False, **form)),
        ):
            distinct, scratch, requested = (part / pixels for part in moved)
            parts.append(f"{name} {title} {distinct:.0f} (scratch {scratch:.0f}), requested {requested:.0f}")
    return "; ".join(parts)


def _versions() -> dict[str, str]:
    import triton

    return {
        "torch": torch.__version__,
        "triton": triton.__version__,
        **{one.distribution: version(one) for one in CONTENDERS if one.distribution != "torch"},
    }


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def time_all(
    shapes: Sequence[str], only: Sequence[str] | None, card: Card, device: torch.device, time: Timer
) -> Iterator[Row]:
    """Yield the rows of every shape and work, contenders one after another."""
    for name in shapes:
        for work in WORKS:
            for contender in CONTENDERS:
                if only is None or contender.name in only:
                    yield time_one(contender, name, SHAPES[name], work, card, device, time)


def time_one(
    contender: Contender,
    name: str,
    shape: tuple[int, ...],
    work: Work,
    card: Card,
    device: torch.device,
    time: Timer,
) -> Row:
    """Return one row: the answer is compared first; what fails is named with its reason."""
    row = Row(f"{name} {shape}", work.title, contender.name, floor_seconds(work, shape, card))
    if work.window not in contender.windows:
        return row._replace(note=f"no {work.window} window")
    if work.gradients > contender.gradients:
        return row._replace(note=f"gradients of {contender.gradients} input alone")
    try:
        answer_is_right(contender, work.window, shape[1], work.gradients, device)
        x = torch.rand(shape, device=device)
        y = (x + 0.1 * torch.randn_like(x)).clamp_(0, 1)
        step = step_of(contender.make(work.window, shape[1], device), x, y, work.gradients)
        if not all(bool(torch.isfinite(part).all()) for part in step()):
            return row._replace(note="failed: its answer is not finite")
        row = row._replace(eager=time(step), peak_bytes=_peak(step, device))
    except Exception as error:  # noqa: BLE001 (a rival may fail in any way; the table says how)
        return row._replace(note=f"failed: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}")
    if device.type != "cuda":
        return row
    row = row._replace(back_to_back_s=time_back_to_back(step))
    replay = captured(step)
    return row if replay is None else row._replace(graph=time(replay))


def _peak(step: Callable[[], tuple[Tensor, ...]], device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    result = step()
    del result
    return torch.cuda.max_memory_allocated(device) - before


def captured(step: Callable[[], tuple[Tensor, ...]]) -> Callable[[], object] | None:
    """Return the replay of a step captured as a CUDA graph, or None if it cannot be captured."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(stream):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
    except RuntimeError:
        torch.cuda.synchronize()
        return None
    return graph.replay


if __name__ == "__main__":
    sys.exit(main())
