"""Train, set thresholds, inspect, evaluate and report; without --data on embedded woven textures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import OK, SAFEGUARD, complain
from ssimae.cli.flags import default_out, parse_flags, parse_known_flags, showing_chosen
from ssimae.cli.typos import refuse_typos
from ssimae.config.presets import Preset, preset
from ssimae.config.settings import Settings, setting_fields
from ssimae.config.systems import TITLES, System
from ssimae.evaluation.result import Evaluation
from ssimae.jobs import run as runs
from ssimae.jobs.job import Job
from ssimae.report.verdicts import told_by_verdicts
from ssimae.storage.records import read_results
from ssimae.storage.run_folder import RunFolder, read_settings
from ssimae.training.sharing.torchrun import this_process
from ssimae.tuning.recipe import CHOSEN

MINUTES, QUICK_MINUTES = 20.0, 5.0


@dataclass(frozen=True)
class _RunFlags:
    settings: tyro.conf.OmitArgPrefixes[Settings]
    data: Path | None = None
    """Folder of images: good ones alone, or a layout of docs/data.md. Default: embedded woven textures."""
    ignore: Path | None = None
    """Mask of what is not inspected (white), such as selvedge or clamp: one image for all, or a folder of one each."""
    preset: Preset = "auto"
    """Named settings; the flags below change single ones. `auto` chooses from the images what the flags do not say."""
    minutes: float | None = None
    """With the preset auto: time for choosing settings, training and thresholds. Default: 20, with --quick 5."""
    quick: bool = False
    """For a first look: 5 minutes; with another preset than auto 20 epochs, a tenth of the paper's patches, with small
    batches and a higher learning rate."""
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
    compare: Literal["none"] | System = "none"
    """A second system of the paper, trained with the same budget beside the first."""
    allow_collapsed: bool = False
    """Tell the verdicts of a network that learned nothing, too, and exit with 0."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    debug: bool = False
    """Show the traceback of errors."""


@dataclass(frozen=True)
class _GivenFlags:
    """The flags that were typed, None or False where they were not: some of them decide the defaults of all others."""

    data: Path | None = None
    ignore: Path | None = None
    preset: str | None = None
    minutes: float | None = None
    quick: bool = False
    config: Path | None = None
    out: Path | None = None
    resume: Path | None = None
    weights: Path | None = None
    force: bool = False
    compare: str | None = None

    @property
    def run_with_weights(self) -> Path | None:
        """The run whose networks are taken; None where --weights names a file of pretrained weights, or nothing."""
        return None if self.weights is None or self.weights.is_file() else self.weights


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    return run_or_train("run", arguments, train_only=False, description=str(__doc__))


def run_or_train(verb: str, arguments: list[str], *, train_only: bool, description: str) -> int:
    """Run a job, or go on with one, and say what was written where; return the exit code."""
    refuse_typos(_RunFlags, verb, arguments)
    given = parse_known_flags(_GivenFlags, verb, arguments)
    defaults = _defaults(given)
    if {"-h", "--help"} & set(arguments):
        defaults, description = _for_help(given, arguments, description)
    flags = parse_flags(_RunFlags, verb, arguments, default=defaults, description=description)
    process = this_process()
    device = flags.device if process is None else process.device(flags.device)
    begun = None if process is None else process.begun
    with progress_bars() as progress:
        if begun is None and flags.resume is not None:
            _refuse_changes(flags, given)
        if (resumed := begun or flags.resume) is not None:
            outcome = runs.resume(
                resumed,
                device=device,
                train_only=train_only,
                allow_collapsed=flags.allow_collapsed,
                process=process,
                progress=progress,
            )
        else:
            source = given.run_with_weights or flags.data
            minutes = _minutes(flags, given)
            job = Job(
                data=flags.data,
                ignore=flags.ignore,
                settings=flags.settings,
                weights=given.run_with_weights,
                pretrained=flags.weights if given.run_with_weights is None else None,
                compare=None if flags.compare == "none" else flags.compare,
                preset=flags.preset,
                quick=flags.quick,
                device=device,
                allow_collapsed=flags.allow_collapsed,
                train_only=train_only,
                minutes=minutes,
                given=_named_settings(arguments),
                process=process,
            )
            out = flags.out or default_out("woven" if source is None else source.resolve().name)
            outcome = runs.start(job, out, force=flags.force, progress=progress)
    _print_metrics(outcome.evaluations)
    _print_verdicts(outcome, allow_collapsed=flags.allow_collapsed)
    name, path = ("report", outcome.folder.report) if outcome.has_report else ("model", outcome.folder.model)
    print(f"{outcome.folder.root}: written; {name} in {path}")
    for alarm in outcome.alarms:
        complain(alarm)
    return SAFEGUARD if outcome.alarms and not flags.allow_collapsed else OK


def _minutes(flags: _RunFlags, given: _GivenFlags) -> float | None:
    """Return the time that a run may take to choose its settings and train; None where nothing is chosen."""
    fixed = given.config or given.run_with_weights
    if flags.preset != "auto" or fixed is not None:
        if flags.minutes is not None:
            raise ValueError("`--minutes` is for the preset auto; elsewhere `--epochs` says how long it takes")
        return None
    if flags.minutes is None:
        return QUICK_MINUTES if flags.quick else MINUTES
    if not 0 < flags.minutes < float("inf"):
        raise ValueError(f"`--minutes` must be positive and finite, got {flags.minutes}")
    return flags.minutes


def _named_settings(arguments: list[str]) -> tuple[str, ...]:
    """Return the settings that flags name."""
    flags = {argument.split("=")[0].removeprefix("--").removeprefix("no-").replace("-", "_") for argument in arguments}
    return tuple(name for name in setting_fields() if name in flags)


def _print_metrics(evaluations: Mapping[str, Evaluation | None]) -> None:
    for system, evaluation in evaluations.items():
        if evaluation is not None:
            print(f"{TITLES[system]}: pixel AUROC {evaluation.auroc:.3f}, AU-PRO {evaluation.aupro:.3f}")


def _print_verdicts(outcome: runs.Outcome, *, allow_collapsed: bool) -> None:
    for number, system in enumerate(outcome.evaluations):
        part = outcome.folder if number == 0 else outcome.folder.comparison(system)
        told = told_by_verdicts(read_results(part), allow_collapsed=allow_collapsed)
        if told is not None:
            print(f"{TITLES[system]}: {told}" if len(outcome.evaluations) > 1 else told)


def _defaults(given: _GivenFlags) -> _RunFlags:
    """Return the defaults of all flags: those of a run, of a config file, or of a preset."""
    sources = {"resume": given.resume, "weights": given.run_with_weights, "config": given.config}
    named = [name for name, path in sources.items() if path is not None]
    if len(named) > 1:
        raise ValueError(f"`--{named[0]}` and `--{named[1]}` exclude each other: both set everything")
    if named and named[0] != "resume" and (given.preset is not None or given.quick):
        raise ValueError(f"`--{named[0]}` and `--preset` or `--quick` exclude each other: both set everything")
    if given.run_with_weights is not None:
        base, facts = RunFolder(given.run_with_weights).read_training()
        return _RunFlags(
            settings=base,
            data=facts.data,
            ignore=facts.ignore,
            preset=facts.preset,
            quick=facts.quick,
            compare=facts.compare or "none",
        )
    # Without data the embedded textures are meant, and their preset is sized to finish in minutes.
    name: Preset = "woven" if given.data is None else "auto"
    if given.resume is not None:
        base, _ = RunFolder(given.resume).read_training()
    elif given.config is not None:
        base = read_settings(given.config)
    else:
        chosen = given.preset or name
        base = preset(chosen, quick=given.quick and chosen != "auto")
    return _RunFlags(
        settings=base, preset=name, compare="l2" if given.data is None and given.resume is None else "none"
    )


def _for_help(given: _GivenFlags, arguments: list[str], description: str) -> tuple[_RunFlags, str]:
    """Return the defaults as the help shows them, for images of one's own, and what it says of them."""
    sources = given.resume or given.run_with_weights or given.config
    if given.data is None and sources is None:
        description += " Defaults are those with --data; without it, they are --preset woven --compare l2."
        given = dataclasses.replace(given, data=Path())
    defaults = _defaults(given)
    if sources is None and (given.preset or defaults.preset) == "auto":
        named = _named_settings(arguments)
        settings = showing_chosen(defaults.settings, [name for name in CHOSEN if name not in named])
        return dataclasses.replace(defaults, settings=settings), description
    return defaults, description


def _refuse_changes(flags: _RunFlags, given: _GivenFlags) -> None:
    """Refuse what a resumed run cannot change: its settings, and what it works on."""
    assert flags.resume is not None
    stored = RunFolder(flags.resume).read_settings()
    for field in dataclasses.fields(Settings):
        if getattr(flags.settings, field.name) != getattr(stored, field.name):
            raise ValueError(f"`--{field.name.replace('_', '-')}` cannot change in a resumed run")
    for name in ("data", "ignore", "preset", "minutes", "quick", "out", "force", "compare"):
        if getattr(given, name):
            raise ValueError(f"`--{name}` cannot be given with --resume: the run knows it")
