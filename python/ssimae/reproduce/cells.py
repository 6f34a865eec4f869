"""Train one cell of a sweep in a run folder of its own, once, and resume it after an interruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssimae.config.presets import Preset
from ssimae.config.settings import Settings
from ssimae.data.dataset import dataset_fingerprint
from ssimae.data.layouts import open_dataset
from ssimae.errors import InterruptedRunError, SafeguardError
from ssimae.jobs.job import Job
from ssimae.jobs.run import resume, start
from ssimae.jobs.spread.cluster import connected
from ssimae.progress import Progress, SilentProgress
from ssimae.storage.run_folder import RunFolder

SURFACES = "surfaces"
"""Second part of the names of cells that compare the command without flags with presets."""

_CHOSEN = ("calibration", "auto"), ("residual_smoothing", None)
"""Settings that a run replaces by what it chose."""


@dataclass(frozen=True)
class Cell:
    """What one run of a sweep trains, on what, and where below the sweep's folder its results lie."""

    name: str
    """Folder below the sweep's: data set, what sets the cell apart, and seed."""
    data: Path
    settings: Settings
    preset: Preset
    quick: bool = False
    ignore: Path | None = None
    """Mask of what is not inspected, or a folder of them."""
    pretrained: Path | None = None
    """File of the pretrained weights of its system, where torchvision's cache does not hold them."""
    minutes: float | None = None
    """Time for choosing the settings, training and thresholds, where all but the seed is chosen; else None."""
    source: str | None = None
    """Cell whose network is taken instead of training, where only the inspection differs."""

    @property
    def data_name(self) -> str:
        """Name of the data set: the first part of the cell's."""
        return self.name.split("/", 1)[0]

    def folder(self, out: Path) -> RunFolder:
        """Return where the results of the cell lie below the folder of the sweep."""
        return RunFolder(out / self.name)

    def is_done(self, out: Path) -> bool:
        """Return whether its run is finished: the report is written last."""
        return self.folder(out).report.exists()

    def check(self, out: Path, fingerprint: str) -> None:
        """Refuse, with a ValueError, a folder that holds a run with other settings, or on other images than now."""
        folder = self.folder(out)
        if not folder.config.exists():
            return
        stored, facts = folder.read_training()
        fixed = vars(self.settings) if self.minutes is None else {"seed": self.settings.seed}
        for name, value in fixed.items():
            if (name, value) in _CHOSEN:
                continue
            if getattr(stored, name) != value:
                raise ValueError(
                    f"{folder.root}: holds a run whose `{name}` is {getattr(stored, name)}, not {value}; "
                    "choose another --out"
                )
        if facts.minutes != self.minutes:
            raise ValueError(
                f"{folder.root}: holds a run of {facts.minutes} minutes, not {self.minutes}; choose another --out"
            )
        if facts.fingerprint != fingerprint:
            raise ValueError(
                f"{folder.root}: holds a run on other images than {self.data} has now; choose another --out"
            )


def run_cell(cell: Cell, out: Path, *, device: str, progress: Progress) -> None:
    """Run a cell to its end, from wherever an earlier attempt stopped.

    Raises
    ------
    OSError, ValueError
        If the cell cannot be run.
    InterruptedRunError
        If Ctrl-C or SIGTERM ended the training; the next call goes on.
    """
    folder = cell.folder(out)
    if folder.config.exists():
        resume(folder.root, device=device, train_only=False, progress=progress)
        return
    job = Job(
        data=cell.data,
        ignore=cell.ignore,
        settings=cell.settings,
        weights=None if cell.source is None else out / cell.source,
        pretrained=cell.pretrained,
        preset=cell.preset,
        quick=cell.quick,
        device=device,
        minutes=cell.minutes,
        given=() if cell.minutes is None else ("seed",),
    )
    start(job, folder.root, force=False, progress=progress)


def run_cells(
    cells: Sequence[Cell], out: Path, *, device: str, ray: str | None = None, progress: Progress
) -> dict[str, str]:
    """Run all cells and return, by name, why some could not be.

    Finished ones are left as they are, once their settings and images are found to be those of now. Those that take
    another cell's network come after it. With `ray`, the address of a Ray cluster (``auto``, or
    ``local`` for one on this machine), each cell is a task of its own; all machines must see the same folders.

    Raises
    ------
    InterruptedRunError
        If Ctrl-C or SIGTERM ended a training here; the next call goes on.
    """
    cells = list({cell.name: cell for cell in cells}.values())
    failures: dict[str, str] = {}
    fingerprints = {
        source: dataset_fingerprint(open_dataset(source[0], ignore=source[1]))
        for source in {(cell.data, cell.ignore) for cell in cells}
    }
    for wave in ([cell for cell in cells if cell.source is None], [cell for cell in cells if cell.source is not None]):
        for cell in wave:
            try:
                cell.check(out, fingerprints[cell.data, cell.ignore])
            except (OSError, ValueError) as error:
                failures[cell.name] = str(error)
            if cell.source in failures:
                failures[cell.name] = f"{cell.source} failed"
        waiting = [cell for cell in wave if not cell.is_done(out) and cell.name not in failures]
        failures |= _spread(waiting, out, device, ray) if ray is not None else _in_turn(waiting, out, device, progress)
    return failures


def _in_turn(cells: Sequence[Cell], out: Path, device: str, progress: Progress) -> dict[str, str]:
    failures = {}
    for number, cell in enumerate(cells, 1):
        with progress.task(f"{cell.name} ({number} of {len(cells)})", 1) as task:
            try:
                run_cell(cell, out, device=device, progress=progress)
            except (OSError, ValueError, SafeguardError) as error:
                failures[cell.name] = str(error)
            task.update(1)
    return failures


def _spread(cells: Sequence[Cell], out: Path, device: str, address: str) -> dict[str, str]:
    """Run cells as tasks of a Ray cluster."""
    with connected(address) as ray:
        # A training keeps about two cores busy, where there are two; Ray places by what a task asks for.
        cores = min(2, int(ray.cluster_resources().get("CPU", 1)))
        needs = {"num_cpus": cores, "num_gpus": 1 if device.startswith("cuda") else 0}
        task = ray.remote(**needs, max_retries=3)(_run_quietly)
        pending = {task.remote(cell, out.absolute(), device): cell for cell in cells}
        failures: dict[str, str] = {}
        while pending:
            (done,), _ = ray.wait(list(pending), num_returns=1)
            cell = pending.pop(done)
            if (reason := ray.get(done)) is not None:
                failures[cell.name] = reason
        return failures


def _run_quietly(cell: Cell, out: Path, device: str) -> str | None:
    """Run a cell without showing progress; return why it failed, or None."""
    try:
        run_cell(cell, out, device=device, progress=SilentProgress())
    except (OSError, ValueError, SafeguardError, InterruptedRunError) as error:
        return str(error)
    return None
