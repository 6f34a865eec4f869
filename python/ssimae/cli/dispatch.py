"""Command line: ``ssimae VERB`` and ``python -m ssimae VERB``. The only room that prints."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.flags import parse_flags
from ssimae.cli.verbs.evaluate import evaluate
from ssimae.cli.verbs.reproduce import reproduce
from ssimae.config.presets import PRESETS, preset
from ssimae.config.settings import Settings
from ssimae.config.systems import TITLES
from ssimae.data.dataset import check_dataset, open_dataset
from ssimae.errors import InterruptedRunError, SafeguardError
from ssimae.evaluation.result import Evaluation
from ssimae.jobs import run as runs
from ssimae.jobs.predict import predict
from ssimae.report.page import write_report
from ssimae.storage.run_folder import RunFolder, read_config

OK, BUG, BAD_INPUT, SKIPPED, SAFEGUARD = 0, 1, 2, 3, 4
"""Exit codes; 128 + signal when interrupted."""

_HELP = """\
ssimae: surface defects found without defect examples

  ssimae run       train, set thresholds, inspect, evaluate, report; without --data on embedded woven textures
  ssimae train     the first two of these
  ssimae predict   inspect images with a trained model
  ssimae evaluate  score stored maps of any detector, compare several, or score a run again
  ssimae report    write the report of a run again
  ssimae reproduce the comparison on the embedded textures, over several seeds
  ssimae check     read every file of a data folder and list what is wrong with it

`ssimae VERB --help` shows the options of a verb with their defaults."""


@dataclass(frozen=True)
class _RunFlags:
    """Train on good images, set thresholds, inspect the test images, evaluate, and write a report."""

    settings: tyro.conf.OmitArgPrefixes[Settings]
    data: Path | None = None
    """Folder of images: MVTec AD layout, NanoTWICE layout, or simply good images. Default: embedded woven textures."""
    ignore: Path | None = None
    """Mask of what is not inspected (white), such as selvedge or clamp: one image for all, or a folder of one each."""
    preset: Literal["default", "woven", "nanofibre", "texture", "best", "best-texture", "paper", "paper-texture"] = (
        "default"
    )
    """Named settings; the flags below change single ones."""
    quick: bool = False
    """20 epochs, a tenth of the paper's patches, with small batches and a higher learning rate: for a first look."""
    config: Path | None = None
    """TOML file with a table [settings], such as the config.toml of a run; flags change single ones."""
    out: Path | None = None
    """New folder for the results. Default: runs/<data>-<time>."""
    resume: Path | None = None
    """Run folder to go on with, instead of a new run."""
    weights: Path | None = None
    """Finished run whose trained networks are taken: to inspect its images again with other residual settings. Or a
    file of torchvision's pretrained weights for FM-AE or the dictionary, where its cache does not hold them."""
    force: bool = False
    """Overwrite an earlier run in --out."""
    compare: Literal["none", "ssim", "l2", "vae", "fm", "dictionary"] = "none"
    """A second system of the paper, trained with the same budget beside the first."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code (INPUTS: 0 done, 1 our bug, 2 input, 3 skipped inputs, 4 safeguard)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="ssimae: %(levelname)s: %(message)s")
    verbs: dict[str, Callable[[list[str]], int]] = {
        "run": lambda rest: _run(rest, train_only=False),
        "train": lambda rest: _run(rest, train_only=True),
        "predict": _predict,
        "evaluate": evaluate,
        "report": _report,
        "check": _check,
        "reproduce": reproduce,
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_HELP)
        return OK if arguments else BAD_INPUT
    if arguments[0] not in verbs:
        return _complain(f"unknown verb {arguments[0]!r}; known are {', '.join(verbs)}")
    try:
        return verbs[arguments[0]](arguments[1:])
    except InterruptedRunError as error:
        _complain(f"{error}; go on with --resume")
        return 128 + error.signal
    except KeyboardInterrupt:
        _complain("interrupted; go on with --resume")
        return 130
    except SafeguardError as error:
        _complain(str(error))
        return SAFEGUARD
    except (ValueError, OSError) as error:
        if "--debug" in arguments:
            traceback.print_exc()
        return _complain(str(error))


def _complain(message: str) -> int:
    print(f"ssimae: {message}", file=sys.stderr)
    return BAD_INPUT


def _run(arguments: list[str], *, train_only: bool) -> int:
    verb = "train" if train_only else "run"
    flags = _parse_run(verb, arguments)
    with progress_bars() as progress:
        if flags.resume is not None:
            stored, _ = RunFolder(flags.resume).read_config()
            if flags.settings != stored:
                raise ValueError(f"`--{_differing(flags.settings, stored)}` cannot change in a resumed run")
            fixed = ("data", "ignore", "preset", "quick", "out", "force", "compare")
            given = [name for name in fixed if any(text.split("=")[0] == f"--{name}" for text in arguments)]
            if given:
                raise ValueError(f"`--{given[0]}` cannot be given with --resume: the run knows it")
            outcome = runs.resume(flags.resume, device=flags.device, progress=progress)
        else:
            pretrained = flags.weights is not None and flags.weights.is_file()
            job = runs.Job(
                data=flags.data,
                ignore=flags.ignore,
                settings=flags.settings,
                weights=None if pretrained else flags.weights,
                pretrained=flags.weights if pretrained else None,
                compare=None if flags.compare == "none" else flags.compare,
                preset=flags.preset,
                quick=flags.quick,
                device=flags.device,
                train_only=train_only,
            )
            source = flags.data if pretrained else flags.weights or flags.data
            outcome = runs.start(job, flags.out or _default_out(source), force=flags.force, progress=progress)
    _print_metrics(outcome.evaluations)
    written = outcome.folder.model if train_only else outcome.folder.report
    print(f"{outcome.folder.root}: written; {'model' if train_only else 'report'} in {written}")
    return OK


def _print_metrics(evaluations: Mapping[str, Evaluation | None]) -> None:
    for system, evaluation in evaluations.items():
        if evaluation is not None:
            print(f"{TITLES[system]}: pixel AUROC {evaluation.auroc:.3f}, AU-PRO {evaluation.aupro:.3f}")


def _parse_run(verb: str, arguments: list[str]) -> _RunFlags:
    """Return the flags of a run; preset, config file or resumed run give the defaults of the single settings."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--preset", choices=PRESETS)
    first.add_argument("--quick", action="store_true")
    first.add_argument("--config", type=Path)
    first.add_argument("--resume", type=Path)
    first.add_argument("--data", type=Path)
    first.add_argument("--weights", type=Path)
    try:
        known, _ = first.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ValueError(str(error)) from error
    if known.weights is not None and known.weights.is_file():  # pretrained weights, which set nothing
        known.weights = None
    given = [name for name in ("resume", "weights", "config") if getattr(known, name) is not None]
    if len(given) > 1:
        raise ValueError(f"`--{given[0]}` and `--{given[1]}` exclude each other: both set everything")
    if given and given[0] != "resume" and (known.preset is not None or known.quick):
        raise ValueError(f"`--{given[0]}` and `--preset` or `--quick` exclude each other: both set everything")
    if known.weights is not None:
        base, facts = runs.read_facts(RunFolder(known.weights))
        default = _RunFlags(
            settings=base,
            data=Path(facts["data"]),
            ignore=runs.ignore_of(facts),
            preset=facts["preset"],
            quick=facts["quick"],
            compare=facts.get("compare", "none"),
        )
        return parse_flags(_RunFlags, verb, arguments, default=default)
    if known.resume is not None:
        base, _ = runs.read_facts(RunFolder(known.resume))
    elif known.config is not None:
        base, _ = read_config(known.config)
    else:
        # Without data the embedded textures are meant, and their preset is sized to finish in minutes.
        name = known.preset or ("woven" if known.data is None else "default")
        base = preset(name, quick=known.quick)
    default = _RunFlags(
        settings=base,
        preset=known.preset or ("woven" if known.data is None else "default"),
        compare="l2" if known.data is None and known.resume is None else "none",
    )
    return parse_flags(_RunFlags, verb, arguments, default=default)


def _differing(chosen: Settings, stored: Settings) -> str:
    names = (field.name for field in dataclasses.fields(Settings))
    return next(name for name in names if getattr(chosen, name) != getattr(stored, name)).replace("_", "-")


def _default_out(data: Path | None) -> Path:
    name = "woven" if data is None else data.resolve().name
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"


@dataclass(frozen=True)
class _PredictFlags:
    """Inspect images with a trained model; write residuals, reconstructions, predictions.csv and regions.csv."""

    model: tyro.conf.Positional[Path]
    """model.safetensors of a run, or the run's folder."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, or folders of them."""
    ignore: Path | None = None
    """Mask of what is not inspected (white): one image for all, or a folder of one each."""
    out: Path | None = None
    """New folder for the results. Default: runs/predict-<time>."""
    skip_bad: bool = False
    """Go on past images that cannot be read; exit code 3."""
    force: bool = False
    """Overwrite an earlier result in --out."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    debug: bool = False
    """Show the traceback of errors."""


def _predict(arguments: list[str]) -> int:
    flags = parse_flags(_PredictFlags, "predict", arguments)
    model = flags.model / "model.safetensors" if flags.model.is_dir() else flags.model
    out = flags.out or Path("runs") / f"predict-{datetime.now():%Y%m%d-%H%M%S}"
    with progress_bars() as progress:
        outcome = predict(
            model,
            flags.images,
            out,
            ignore=flags.ignore,
            skip_bad=flags.skip_bad,
            force=flags.force,
            device=flags.device,
            progress=progress,
        )
    for path, reason in outcome.skipped:
        _complain(f"{path}: skipped ({reason})")
    counts = ", ".join(f"{number} {verdict}" for verdict, number in outcome.verdicts.items())
    print(f"{out}: {counts or 'no image inspected'}; predictions.csv, regions.csv and maps written")
    return SKIPPED if outcome.skipped else OK


@dataclass(frozen=True)
class _ReportFlags:
    """Write the report of a run again from its folder; the model is not needed."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    debug: bool = False
    """Show the traceback of errors."""


def _report(arguments: list[str]) -> int:
    flags = parse_flags(_ReportFlags, "report", arguments)
    RunFolder(flags.run).read_config()
    print(f"{write_report(flags.run)}: written")
    return OK


@dataclass(frozen=True)
class _CheckFlags:
    """Read every file of a data folder and list what is wrong with it, before any work."""

    data: tyro.conf.Positional[Path]
    """Folder of images."""
    ignore: Path | None = None
    """Mask of what is not inspected (white): one image for all, or a folder of one each."""
    patch_size: int = 128
    """Side of a training patch in pixels: smaller images are errors."""
    scale: float = 1.0
    """Factor images are resized by before that."""
    channels: int = 1
    """1 for gray, 3 for colour."""
    data_range: float | None = None
    """Value that counts as white; needed for float images."""
    debug: bool = False
    """Show the traceback of errors."""


def _check(arguments: list[str]) -> int:
    flags = parse_flags(_CheckFlags, "check", arguments)
    dataset = open_dataset(flags.data, ignore=flags.ignore)
    with progress_bars() as progress, progress.task("checking", len(dataset.train) + len(dataset.test)) as task:
        problems = check_dataset(
            dataset,
            patch_size=flags.patch_size,
            scale=flags.scale,
            channels=flags.channels,
            data_range=flags.data_range,
            progress=task.update,
        )
    for problem in problems:
        print(f"{problem.severity}: {problem.path}: {problem.message}", file=sys.stderr)
    errors = sum(problem.severity == "error" for problem in problems)
    print(
        f"{flags.data}: {dataset.layout} layout, {len(dataset.train)} good images, {len(dataset.test)} test images; "
        f"{errors} errors, {len(problems) - errors} warnings"
    )
    return BAD_INPUT if errors else OK
