"""Inspect images with a trained model, outside any run, and go on after an interruption."""

from __future__ import annotations

import dataclasses
import datetime
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ssimae.data.dataset import UNLABELLED, Sample
from ssimae.data.ignore import IgnoreMasks, pair_ignore_masks
from ssimae.engines.engine import EngineName
from ssimae.export.folder import ExportedModel
from ssimae.inspection.inspector import Inspector
from ssimae.inspection.verdict import Verdict
from ssimae.jobs.inspect import thresholds_text, write_thresholds
from ssimae.jobs.listing import check_for, fingerprint, unwritable_names
from ssimae.jobs.predicting.arrivals import AllAtOnce, Arrival
from ssimae.jobs.predicting.frames import Surface
from ssimae.jobs.predicting.given import STANDARD_INPUT, absolute, named_images
from ssimae.jobs.predicting.model import at_levels, check_folder, open_model, start_inspector
from ssimae.jobs.predicting.one_by_one import OneByOne, Session, Writing
from ssimae.jobs.predicting.record import Found
from ssimae.jobs.predicting.standard_input import NamedOnInput
from ssimae.jobs.predicting.watch import Watched
from ssimae.jobs.spread.predict import inspect_on_cluster
from ssimae.progress import Progress
from ssimae.reading import file_sha256
from ssimae.storage.facts import PredictFacts
from ssimae.storage.inspected import GrowingTables
from ssimae.storage.run_folder import RunFolder, settings_sha256
from ssimae.training.interrupt import noted_signals, resumable

if TYPE_CHECKING:  # exported models are inspected without torch
    from ssimae.storage.model_file import SavedModel

logger = logging.getLogger(__name__)

READ_FIRST = 64
"""So many images are read and checked before the first is inspected; of more, none would be inspected for long."""


@dataclass(frozen=True)
class PredictOutcome:
    """The outcome of inspecting images."""

    folder: RunFolder
    verdicts: Mapping[Verdict, int]
    """Number of images by verdict, also of those that were inspected before an interruption."""
    session: Session
    """What was done since the command began."""
    facts: PredictFacts


@dataclass(frozen=True)
class Listener:
    """What comes in while images are inspected, and who is told."""

    progress: Progress
    on_image: Callable[[Found], None]
    """Called once all that is written of an image is there."""
    names: BinaryIO | None = None
    """Names of images, where these come on standard input."""


def predict(
    model: Path,
    images: Sequence[str],
    out: Path,
    *,
    watch: Path | None = None,
    settle: float = 1.0,
    ignore: Path | None = None,
    writing: Writing,
    continuous: bool = False,
    skip_bad: bool,
    force: bool,
    allow_collapsed: bool = False,
    review: float | None = None,
    defective: float | None = None,
    engine: EngineName = "torch",
    device: str,
    ray: str | None = None,
    listener: Listener,
) -> PredictOutcome:
    """Inspect images with a trained model; write maps, ``predictions.csv`` and ``regions.csv``, row by row.

    Parameters
    ----------
    model : Path
        ``model.safetensors`` of a finished run.
    images : sequence of str
        Image files, folders whose image files are taken, and patterns such as ``new/*.png``; or ``-`` alone: names
        come on standard input.
    out : Path
        Folder for the results.
    watch : Path, optional
        Folder to watch for images instead, until Ctrl-C or SIGTERM.
    settle : float
        Seconds for which a file rests there before it counts.
    ignore : Path, optional
        Mask of the pixels of every image that are not inspected, or a folder of one each.
    writing : Writing
        What is written besides the tables; its pixel size is that of the model unless it is given.
    continuous : bool
        Inspect images as the frames of one surface, in their order: :class:`ssimae.inspection.web.Web`.
    skip_bad : bool
        Go on past images that cannot be inspected, or whose ignore mask cannot be read; each is recorded with the
        verdict `skipped`. Without it, one among up to :data:`READ_FIRST` images stops the work before it begins; of
        more images, and of those that come one by one, such are skipped in any case.
    force : bool
        Overwrite earlier results in `out`. Without it, an inspection of images that come one by one goes on there if it
        is the same.
    allow_collapsed : bool
        Inspect with a network that learned nothing, too; the report then says so.
    review, defective : float, optional
        Thresholds for this time, in place of the model's.
    engine : {"torch", "compile", "openvino"}
        What runs the network of a model of torch.
    device : str
    ray : str, optional
        Address of a Ray cluster whose workers inspect: ``auto`` for the one of this machine, ``local`` for a new one.
        Each has a processor, or with the device ``cuda`` a GPU. Only for images that are all known, and no frames.
    listener : Listener

    Raises
    ------
    OSError, ValueError
        If the model, an image or the output folder cannot be worked with, before any work.
    CollapsedError
        If the network learned nothing, without `allow_collapsed`.
    InterruptedRunError
        If Ctrl-C or SIGTERM came once the folder was begun; :func:`resume_prediction` goes on.
    """
    if ray is not None and (continuous or watch is not None or STANDARD_INPUT in images):
        raise ValueError("`--ray` inspects images that are all known, not with --continuous, --watch or -")
    device = "cpu" if ray is not None and device == "auto" else device
    saved = at_levels(open_model(model, allow_collapsed=allow_collapsed), review, defective)
    assert saved.thresholds is not None
    _announce(engine, listener.progress)
    inspector, described = start_inspector(saved, device, engine)
    if watch is not None and not watch.is_dir():
        raise NotADirectoryError(f"{watch}: no folder that could be watched")
    writing = replace(writing, pixel_size=writing.pixel_size or saved.settings.pixel_size)
    facts = PredictFacts(
        model=model.resolve(),
        device=described,
        ignore=None if ignore is None else ignore.absolute(),
        images=tuple(map(absolute, images)),
        named=tuple(images) if watch is None else (str(watch),),
        watch=None if watch is None else watch.absolute(),
        settle=None if watch is None else settle,
        continuous=continuous,
        engine=engine,
        skip_bad=skip_bad,
        ssimae=version("ssimae"),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        model_sha256=file_sha256(model) if model.is_file() else None,
        alarm=saved.alarm,
        review=review,
        defective=defective,
        calibrated=saved.reference is not None,
        **dataclasses.asdict(writing),
    )
    passed_over: list[str] = []

    def pass_over(line: str) -> None:
        passed_over.append(line)
        listener.progress.say(line)

    listed = _listed(facts, pass_over)
    facts = replace(
        facts,
        fingerprint=_fingerprint(facts, listed),
        passed_over=tuple(passed_over),
        settings_sha256=settings_sha256(saved.settings),
        thresholds_sha256=sha256(thresholds_text(saved.thresholds).encode()).hexdigest(),
    )
    folder = RunFolder(out)
    if listed is None and not force and folder.config.exists():
        _refuse_another(folder, facts)
        return resume_prediction(out, settle=facts.settle, device=device, listener=listener)
    if listed is not None:
        _check(folder, listed, facts, saved, progress=listener.progress)
    folder.prepare(force=force, reads=[model, *_places(facts), *([] if ignore is None else [ignore])])
    with folder.locked():
        folder.clear()
        with resumable(out):
            folder.write_config(saved.settings, facts)
            return _inspect(
                folder, facts, listed, saved, inspector=inspector, device=device, ray=ray, listener=listener
            )


def resume_prediction(
    out: Path, *, settle: float | None = None, device: str, ray: str | None = None, listener: Listener
) -> PredictOutcome:
    """Go on with an interrupted :func:`predict`: images whose rows are there are not inspected again.

    With `settle`, a file rests for as long from now on.

    Raises
    ------
    OSError, ValueError
        If the folder is none of `predict`, another process writes there, or model, images or masks have changed since.
    """
    folder = RunFolder(out)
    facts = folder.read_prediction()
    facts = facts if settle is None else replace(facts, settle=settle)
    with folder.locked(), resumable(out):
        check_folder(folder)
        saved = open_model(facts.model, allow_collapsed=facts.alarm is not None)
        saved = at_levels(saved, facts.review, facts.defective)
        listed = _listed(facts, listener.progress.say)
        if facts.fingerprint != _fingerprint(facts, listed):
            changed = "the images, masks or model have" if listed is not None else "the model or ignore mask has"
            raise ValueError(f"{out}: {changed} changed since it was begun; inspect them into another --out")
        if listed is not None:
            done = GrowingTables(folder, facts.pixel_size)
            _check(folder, listed, facts, saved, done=done, progress=listener.progress)
        if ray is not None and (facts.continuous or listed is None):
            raise ValueError("`--ray` inspects images that are all known, not with --continuous, --watch or -")
        device = "cpu" if ray is not None and device == "auto" else device
        _announce(facts.engine, listener.progress)
        inspector, _ = start_inspector(saved, device, facts.engine)
        return _inspect(folder, facts, listed, saved, inspector=inspector, device=device, ray=ray, listener=listener)


def _announce(engine: EngineName, progress: Progress) -> None:
    """Say what is waited for before the first image."""
    if engine == "compile":
        progress.say("compiling the network: half a minute the first time on a machine, sooner after that")


def _listed(facts: PredictFacts, say: Callable[[str], object]) -> list[Arrival] | None:
    """Return all images that are named, or None where they come one by one; say what is passed over."""
    if facts.watch is not None or facts.images == (STANDARD_INPUT,):
        return None
    if STANDARD_INPUT in facts.images:
        raise ValueError(f"`{STANDARD_INPUT}` (names on standard input) must be the only one of the images")
    return named_images(facts.images, facts.named or facts.images, ignore=facts.ignore, say=say)


def _places(facts: PredictFacts) -> list[Path]:
    """Return the files and folders that images are read from, as far as they are named."""
    named = [Path(place) for place in facts.images if place != STANDARD_INPUT]
    return [place for place in [*named, facts.watch] if place is not None and place.exists()]


def _fingerprint(facts: PredictFacts, listed: Sequence[Arrival] | None) -> str:
    """Return a hash of the files that the results rest on, as far as they are known from the beginning."""
    masks: list[Path] = []
    paths = [] if listed is None else [arrival.path for arrival in listed]
    if facts.ignore is not None:
        by_image = IgnoreMasks(facts.ignore)
        if listed is not None:
            masks = [mask for path in paths if (mask := by_image.of(path)) is not None]
        elif not by_image.are_many:
            masks = [facts.ignore]
    return fingerprint([facts.model.resolve(), *paths, *masks])


def _refuse_another(folder: RunFolder, facts: PredictFacts) -> None:
    """Refuse to go on in a folder that holds an inspection of something else, or by other means."""
    earlier = folder.read_prediction()
    # What is bad is skipped in any case; what has changed of the model is found by the fingerprint.
    passing = {"device", "ssimae", "named", "settle", "skip_bad", "created", "model_sha256"}
    passing |= {"fingerprint", "settings_sha256", "thresholds_sha256", "alarm", "calibrated"}
    for field in dataclasses.fields(facts):
        before, now = getattr(earlier, field.name), getattr(facts, field.name)
        if field.name not in passing and before != now:
            raise FileExistsError(
                f"{folder.root}: holds an inspection with another `{field.name}` ({before}, and now {now}); choose "
                "another --out, or overwrite it with --force"
            )


def _check(
    folder: RunFolder,
    arrivals: Sequence[Arrival],
    facts: PredictFacts,
    saved: SavedModel | ExportedModel,
    *,
    done: GrowingTables | None = None,
    progress: Progress,
) -> None:
    """Say what is suspicious about images, and refuse all that cannot be inspected in one message.

    Those that are `done` are passed over. Of more than :data:`READ_FIRST` others the first are looked at, and nothing
    is refused: they are skipped in their turn.
    """
    samples = [Sample(arrival.path, arrival.name or "", UNLABELLED) for arrival in arrivals]
    if facts.ignore is not None:
        pairs = pair_ignore_masks(facts.ignore, [sample.path for sample in samples], all_used=False)
        samples = [replace(sample, ignore=pairs.get(sample.path)) for sample in samples]
    elif saved.thresholds is not None and saved.thresholds.masked:
        logger.warning("the model was trained with an ignore mask; without --ignore whole images are inspected")
    samples = [sample for sample in samples if done is None or not done.has(sample.path)]
    first = samples[:READ_FIRST]
    bad = unwritable_names(folder, first)
    readable = [sample for sample in first if sample.path not in bad]
    checked = check_for(saved.settings, readable, progress)
    for problem in checked.warnings:
        logger.warning("%s: %s", problem.path, problem.message)
    if facts.skip_bad or len(first) < len(samples):
        return
    for sample, problems in zip(readable, checked.of_images, strict=True):
        errors = [
            problem.message if problem.path == sample.path else f"{problem.path}: {problem.message}"
            for problem in problems
            if problem.severity == "error"
        ]
        if errors:
            bad[sample.path] = "; ".join(errors)
    if bad:
        raise ValueError("\n".join(f"{path}: {message}" for path, message in bad.items()))


def _inspect(
    folder: RunFolder,
    facts: PredictFacts,
    listed: Sequence[Arrival] | None,
    saved: SavedModel | ExportedModel,
    *,
    inspector: Inspector,
    device: str,
    ray: str | None,
    listener: Listener,
) -> PredictOutcome:
    assert saved.thresholds is not None
    write_thresholds(folder, saved.thresholds)
    tables = GrowingTables(folder, facts.pixel_size)
    if ray is not None and listed is not None:
        with listener.progress.task("inspecting images", len(listed)) as task:
            session = inspect_on_cluster(
                ray, folder, facts, listed, tables, device=device, on_image=listener.on_image, task=task
            )
        return PredictOutcome(folder, tables.verdicts, session, facts)
    one_by_one = OneByOne(
        folder,
        tables,
        inspector,
        saved.thresholds,
        Writing(facts.pixel_size, facts.maps, facts.masks, facts.overlays),
        None if facts.ignore is None else IgnoreMasks(facts.ignore),
        Surface(inspector) if facts.continuous else None,
        listener.on_image,
    )
    session = Session()
    if facts.watch is not None:
        with noted_signals() as interruption:
            watched = Watched(
                facts.watch,
                facts.named[0] if facts.named else str(facts.watch),
                settle=facts.settle or 0.0,
                ignore=facts.ignore,
                # Frames that are known are seen by their neighbours.
                known=lambda path, stamp: not facts.continuous and tables.known(path, stamp) is not None,
                stopped=lambda: interruption.signal is not None,
                in_order=facts.continuous,
            )
            listener.progress.say(f"{facts.watch}: watched for images until Ctrl-C; results go to {folder.root}")
            one_by_one.inspect(watched, session)
            interruption.signal = None  # it is how a watch ends
    elif listed is None:
        assert listener.names is not None
        names = NamedOnInput(listener.names, ignore=facts.ignore, say=listener.progress.say)
        one_by_one.inspect(names, session)
    else:
        with listener.progress.task("inspecting images", len(listed)) as task:
            replace(one_by_one, on_done=task.update).inspect(AllAtOnce(listed), session)
    return PredictOutcome(folder, tables.verdicts, session, facts)
