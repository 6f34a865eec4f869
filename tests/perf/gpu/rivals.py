"""Other packages' SSIM on a device, each measured in a process of its own beside ours, within its answer."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ssimae
import torch
from perf.gpu import timing as gpu_timing
from perf.gpu.floors import CASES, Case
from perf.ssim.rivals import RIVALS, WINDOW_SIZE, Function, Rival, WindowKind
from torch import Tensor
from torch.nn import functional as F

# float32: of sums over a batch, and of gradients by packages that subtract squares.
LIMITS = (1e-5, 1e-4)
OUR_LIMITS = (1e-6, 2e-6)

LEAST_S = 15
"""Time that importing torch and one measurement take: with less left, a rival is not begun."""


def _frame_analytics_loss(_: WindowKind) -> Function:
    import frame_analytics

    def loss(x: Tensor, y: Tensor) -> Tensor:
        # By name on a GPU, since the package goes on without its kernels where they do not load.
        return 1 - frame_analytics.ssim(x, y, data_range=1.0, backend_hint="native" if x.is_cuda else "torch")

    frame_analytics.set_compile_enabled(torch.cuda.is_available())
    return loss


def _fused_ssim_loss(_: WindowKind) -> Function:
    from fused_ssim import fused_ssim

    return lambda x, y: 1 - fused_ssim(x, y, padding="same", train=x.requires_grad)


def _separable_loss(_: WindowKind) -> Function:
    taps = torch.exp(-((torch.arange(WINDOW_SIZE, dtype=torch.float32) - WINDOW_SIZE // 2) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()

    def loss(x: Tensor, y: Tensor) -> Tensor:
        planes = torch.cat([x, y, x * x, y * y, x * y])
        planes = F.conv2d(F.conv2d(planes, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
        mx, my, xx, yy, xy = planes.chunk(5)
        c1, c2 = 0.01**2, 0.03**2
        luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
        structure = (2 * (xy - mx * my) + c2) / (xx - mx * mx + yy - my * my + c2)
        return 1 - (luminance * structure).mean()

    return torch.compile(loss, fullgraph=True, backend="inductor" if torch.cuda.is_available() else "aot_eager")


GPU_RIVALS: dict[str, Rival] = {
    "frame-analytics": dataclasses.replace(
        RIVALS["frame-analytics"], fastest="its native CUDA kernels, asked for by name", loss=_frame_analytics_loss
    ),
    "fused-ssim": Rival(
        "fused_ssim", 'its CUDA kernels; `padding="same"`, which crops nothing, and `train=False` without a gradient',
        _fused_ssim_loss, windows=("gaussian",), loss_border="zero",
    ),
    "separable, torch.compile": Rival(
        "torch", "five planes stacked into two one-dimensional convolutions", _separable_loss, windows=("gaussian",)
    ),
    "pytorch-msssim": RIVALS["pytorch-msssim"],
    "kornia": dataclasses.replace(RIVALS["kornia"], fastest="its metric and a mean, without the clamp of its loss"),
    "torchmetrics": RIVALS["torchmetrics"],
    "piq": RIVALS["piq"],
}  # fmt: skip
"""The fastest first, so that they are measured if time is short."""


def missing(name: str) -> str | None:
    """Return why a rival cannot be imported, or None."""
    package = GPU_RIVALS[name].package
    return None if importlib.util.find_spec(package) else f"not installed ({GPU_RIVALS[name].distribution})"


def package_version(name: str) -> str:
    """Return the version of a rival's package."""
    try:
        return version(GPU_RIVALS[name].distribution)
    except PackageNotFoundError:
        return "of unknown version"


def measured(
    name: str, device: torch.device, backend: str, sizes: dict[str, tuple[int, ...]], timer: gpu_timing.Timer
) -> Iterator[dict[str, Any]]:
    """Yield a row for each size and case: times of the rival and of ours, or why there are none.

    Channels are taken for images of one channel, which changes no mean and suits every package.
    """
    rival = GPU_RIVALS[name]
    for size, shape in sizes.items():
        torch.compiler.reset()  # or sizes after the first would get kernels for any size, which are slower
        losses: dict[str, Function] = {}
        planes = (shape[0] * shape[1], 1, *shape[2:])
        for case in CASES:
            row: dict[str, Any] = {"rival": name, "size": size, "case": case.name}
            try:
                if case.window not in rival.windows:
                    raise NotImplementedError("has no uniform window")
                if case.window not in losses:
                    rival.loss(case.window)  # imports the package
                    with device:  # windows that it makes ready now lie there
                        losses[case.window] = rival.loss(case.window)
                row |= _beside(rival, losses[case.window], case, planes, device, backend, timer)
            except Exception as error:  # noqa: BLE001 - packages raise what they like, and must not stop the others
                row["refused"] = gpu_timing.first_line(error)
            yield row
        gpu_timing.images.cache_clear()
        gpu_timing.specified.cache_clear()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _beside(
    rival: Rival, loss: Function, case: Case, shape: tuple[int, ...], device: torch.device, backend: str,
    timer: gpu_timing.Timer,
) -> dict[str, Any]:  # fmt: skip
    x, y = gpu_timing.images(shape, device)
    options = {"window": case.window, "border": rival.loss_border}

    def ours(x: Tensor, y: Tensor) -> Tensor:
        return ssimae.ssim_loss(x, y, data_range=1.0, backend=backend, **options)

    want = gpu_timing.specified(shape, device, case.wanted, **options)
    steps = [gpu_timing.stepper(one, x, y, case.wanted) for one in (ours, loss)]
    gpu_timing.hold(steps[0](), want, OUR_LIMITS)
    tf32 = _settle(steps[1], want)
    rows = [gpu_timing.measure(step, timer, device) for step in steps]
    ratio = gpu_timing.best_us(rows[1]) / gpu_timing.best_us(rows[0])
    return {"ours": rows[0], "theirs": rows[1], "ratio": ratio, "tf32": tf32, "border": rival.loss_border}


def _settle(step: gpu_timing.Call, want: tuple[Tensor, ...]) -> bool:
    """Leave convolutions in TF32, torch's default, if the answer holds so; otherwise in float32, or raise.

    Returns whether they are in TF32, which makes no difference to packages without convolutions.
    """
    torch.backends.cudnn.allow_tf32 = want[0].is_cuda
    if want[0].is_cuda and all(
        off <= LIMITS[min(place, 1)] for place, off in enumerate(gpu_timing.departures(step(), want))
    ):
        return True
    torch.backends.cudnn.allow_tf32 = False
    gpu_timing.hold(step(), want, LIMITS)
    return False


def write_rows(rows: Iterable[dict[str, Any]], file: Path) -> None:
    """Append rows to a file as they come, so that those before an end by force are kept."""
    with file.open("a") as out:
        for row in rows:
            out.write(json.dumps(row) + "\n")
            out.flush()


def in_process(command: list[str], seconds: float, report: Callable[[str], None]) -> tuple[list[dict[str, Any]], str]:
    """Return the rows that a worker writes to the file that `--rows` names, and why it ended early, if it did."""
    with tempfile.TemporaryDirectory() as folder:
        rows, log = Path(folder) / "rows", Path(folder) / "log"
        rows.touch()
        with log.open("w") as out:
            worker = subprocess.Popen(
                [sys.executable, *command, "--rows", str(rows)], stdout=out, stderr=out, start_new_session=True
            )
            reason = ""
            try:
                if worker.wait(seconds):
                    lines = [line for line in log.read_text().splitlines() if line.strip()]
                    reason = f"ended with status {worker.returncode}: {(lines or ['without a word'])[-1][:160]}"
            except subprocess.TimeoutExpired:
                reason = f"stopped after its {seconds:.0f} s"
            finally:
                if worker.poll() is None:
                    os.killpg(worker.pid, signal.SIGKILL)  # its compilers, too
                    worker.wait()
        found = [json.loads(line) for line in rows.read_text().splitlines() if line.endswith("}")]
    report(f"{len(found)} rows{', ' + reason if reason else ''}")
    return found, reason
