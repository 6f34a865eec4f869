"""Inspect images with a trained model: verdicts, regions, maps; from files, standard input or a watched folder."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import FLAGGED, OK, SKIPPED_INPUTS, complain, visible
from ssimae.cli.flags import default_out, parse_flags
from ssimae.engines.engine import EngineName
from ssimae.export.folder import exported_description
from ssimae.inspection.verdict import Verdict
from ssimae.jobs.predict import Listener, PredictOutcome, predict, resume_prediction
from ssimae.jobs.predicting.given import STANDARD_INPUT
from ssimae.jobs.predicting.one_by_one import Writing
from ssimae.jobs.predicting.record import Found
from ssimae.report.format import listed
from ssimae.storage.facts import Kept
from ssimae.storage.predictions import SKIPPED
from ssimae.storage.run_folder import RunFolder

_VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

_FAILING: dict[str, tuple[Verdict, ...]] = {"review": ("review", "defective"), "defective": ("defective",)}
"""Verdicts that end in exit code 5, by what --fail-on says."""

_LISTENING = "resume", "json", "fail_on", "device", "ray", "debug"
"""Flags that change no result, so that they may be given with --resume."""


@dataclass(frozen=True)
class _PredictFlags:
    model: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="MODEL")] = None
    """A run or its model.safetensors, or what `ssimae export` wrote: the folder or a graph."""
    images: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="IMAGES...")] = ()
    """Image files, folders, patterns such as "new/*.png" in quotes; or - for names on standard input, one a line or
    each before a zero byte."""
    watch: Path | None = None
    """Folder to watch for images instead, until Ctrl-C."""
    settle: float = 1.0
    """With --watch: seconds for which size and time of a file rest before it counts. 0 where files are renamed into
    place."""
    continuous: bool = False
    """Images are the frames of one surface, as of a line-scan camera, in natural order of their names or as they come:
    each is inspected with the rows of its neighbours, so that no seam is a border."""
    json: bool = False
    """Print a line of JSON for each image as it is done, and nothing else on standard output."""
    fail_on: Literal["review", "defective"] | None = None
    """Exit with code 5 if an image is defective, or at least to be reviewed."""
    maps: Kept | None = None
    """Images whose maps are written, as float32 TIFF. Default: all; flagged with --watch and -."""
    masks: Kept = "none"
    """Images whose masks are written, as PNG: white where a region lies."""
    overlays: Kept = "none"
    """Images that are written as PNG with their regions outlined."""
    pixel_size: float | None = None
    """Millimetres that a pixel stands for, such as 0.1, 0.1mm or 100um: sizes are told in mm too. Default: what the
    model was trained with."""
    stride: int | Literal["fastest"] | None = None
    """Step between patches in pixels, with the thresholds that `ssimae speed` stored for it, or `fastest` for the one
    that it chose. Default: that of the training."""
    engine: EngineName = "torch"
    """What runs the network of a run: torch, what torch.compile makes of it (a C++ compiler is needed), or OpenVINO, on
    processors sooner by what `ssimae speed` shows."""
    ignore: Path | None = None
    """Mask of what is not inspected (white): one image for all, or a folder of one each."""
    out: Path | None = None
    """New folder for the results. Default: runs/predict-<time>. With --watch and -, an earlier one goes on."""
    skip_bad: bool = False
    """Go on past images that cannot be read, or whose ignore mask cannot; exit code 3. Always so for more than 64."""
    force: bool = False
    """Overwrite an earlier result in --out."""
    resume: Path | None = None
    """Folder of an interrupted inspection to go on with, instead of MODEL and IMAGES."""
    allow_collapsed: bool = False
    """Inspect with a network that learned nothing, too."""
    review: float | None = None
    """Threshold for this time, above which an image is at least to be reviewed; `threshold` sets it for good."""
    defective: float | None = None
    """The same for what is defective. Default with --review: as far above it as that lies above good images."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    ray: str | None = None
    """Spread the images over a Ray cluster: its address, auto for one that runs here, or local for a new one (pip
    install 'ssimae[ray]'). A worker takes a processor, with --device cuda a GPU."""
    debug: bool = False
    """Show the traceback of errors."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    flags = parse_flags(_PredictFlags, "predict", arguments, description=__doc__)
    if flags.resume is None and (flags.model is None or not (flags.images or flags.watch)):
        raise ValueError(
            "a model and images must be named: ssimae predict RUN IMAGES, or ssimae predict RUN --watch DIR"
        )
    if flags.images and flags.watch is not None:
        raise ValueError("`--watch` takes no IMAGES besides: it inspects all that its folder holds")
    if not 0 <= flags.settle <= 3600:
        raise ValueError(f"`--settle` must be in 0..3600 seconds, got {flags.settle:g}")
    if flags.pixel_size is not None and not 0 < flags.pixel_size < 1e6:
        raise ValueError(f"`--pixel-size` must be positive, got {flags.pixel_size:g}")
    streamed = _comes_one_by_one(flags)
    # Nothing is known of how many will come; and no bar is drawn over lines of JSON in the same terminal.
    with progress_bars(drawn=not streamed and not (flags.json and _is_terminal())) as progress:
        listener = Listener(
            progress,
            _printer(json_lines=flags.json, every=streamed),
            None if sys.stdin is None else sys.stdin.buffer,
        )
        if flags.resume is not None:
            _refuse_changes(flags)
            outcome = resume_prediction(flags.resume, device=flags.device, ray=flags.ray, listener=listener)
        else:
            outcome = predict(
                _model_file(flags),
                flags.images,
                flags.out or default_out("predict"),
                watch=flags.watch,
                settle=flags.settle,
                ignore=flags.ignore,
                writing=Writing(
                    flags.pixel_size, flags.maps or ("flagged" if streamed else "all"), flags.masks, flags.overlays
                ),
                continuous=flags.continuous,
                skip_bad=flags.skip_bad,
                force=flags.force,
                allow_collapsed=flags.allow_collapsed,
                review=flags.review,
                defective=flags.defective,
                engine=flags.engine,
                device=flags.device,
                ray=flags.ray,
                listener=listener,
            )
    if outcome.facts.alarm is not None:
        complain(outcome.facts.alarm)
    closing = _closing_line(outcome)
    if flags.json:
        complain(closing)
    else:
        print(closing)
    return _exit_code(outcome, flags.fail_on)


def _comes_one_by_one(flags: _PredictFlags) -> bool:
    """Return whether nobody knows beforehand how many images come."""
    if flags.resume is None:
        return flags.watch is not None or flags.images == (STANDARD_INPUT,)
    facts = RunFolder(flags.resume).read_prediction()
    return facts.watch is not None or facts.images == (STANDARD_INPUT,)


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _printer(*, json_lines: bool, every: bool) -> Callable[[Found], None]:
    """Return what prints an image on standard output: as JSON, or in words if it is flagged or each is to be shown."""
    output, terminal = sys.stdout, _is_terminal()

    def show(found: Found) -> None:
        if found.verdict == SKIPPED:
            complain(f"{found.shown}: skipped ({found.reason})")
        if json_lines:
            line = json.dumps(found.line, allow_nan=False)
        elif found.flagged or (every and found.verdict != SKIPPED):
            score = "" if found.score is None else f" {found.score:.4g}"
            line = visible(f"{found.shown}: {found.verdict}{score}{f' ({found.reason})' if found.reason else ''}")
        else:
            return
        # While bars are drawn, what stands for standard output leads to standard error: right in a terminal alone.
        print(line, file=None if terminal else output, flush=True)

    return show


def _closing_line(outcome: PredictOutcome) -> str:
    facts, session, root = outcome.facts, outcome.session, outcome.folder.root
    counts = [f"{outcome.verdicts[verdict]:,} {verdict}" for verdict in _VERDICTS if outcome.verdicts.get(verdict)]
    if session.skipped:
        counts.append(f"{session.skipped:,} {SKIPPED}")
    parts = [", ".join(counts) or "no image inspected"]
    if session.inspected:
        parts.append(f"{session.inspected / session.busy_s:.3g} images/s")
    written = ["predictions.csv", "regions.csv"]
    for kept in ("all", "flagged"):
        if kinds := [kind for kind in ("maps", "masks", "overlays") if getattr(facts, kind) == kept]:
            written.append(f"{listed(kinds)} of {kept} images")
    parts.append(f"{listed(written)} written")
    following = outcome.folder.command("report")
    if facts.watch is not None:
        following += f", or watch on: {outcome.folder.command('predict', '--resume')}"
    # An exported model inspects where torch is missing, which `report` reads the tables with.
    following = f"next{'' if find_spec('torch') else ', where torch is installed'}: {following}"
    return f"{root}: {'; '.join(parts)}; {following}"


def _exit_code(outcome: PredictOutcome, fail_on: str | None) -> int:
    if fail_on is not None and any(outcome.verdicts.get(verdict) for verdict in _FAILING[fail_on]):
        return FLAGGED
    return SKIPPED_INPUTS if outcome.session.skipped else OK


def _refuse_changes(flags: _PredictFlags) -> None:
    """Refuse what an inspection that goes on knows already."""
    for field in dataclasses.fields(flags):
        if field.name not in _LISTENING and getattr(flags, field.name) != field.default:
            name = field.name.upper() if field.name in ("model", "images") else f"--{field.name.replace('_', '-')}"
            raise ValueError(f"`{name}` cannot be given with --resume: the folder knows it")


def _model_file(flags: _PredictFlags) -> Path:
    """Return the file that stands for a model: a run's, at a stride if one is named, or that of an exported one."""
    assert flags.model is not None
    described = exported_description(flags.model)
    if described is not None:
        if flags.stride is not None:
            raise ValueError(
                "`--stride` is for runs: an exported model has one stride; export what `ssimae speed` stored for "
                "another: ssimae export RUN/strides/S.safetensors"
            )
        return described if described.exists() else flags.model
    model = flags.model / "model.safetensors" if flags.model.is_dir() else flags.model
    if flags.stride is None:
        return model
    from ssimae.jobs.speed.measured import model_of_stride  # noqa: PLC0415 - of a run, with safetensors

    return model_of_stride(model, flags.stride, complain)
