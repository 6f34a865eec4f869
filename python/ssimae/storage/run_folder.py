"""Name the files of a run folder, and let only one command write there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from ssimae.atomic import is_partial, naming, sweep, write_text
from ssimae.config.settings import Settings
from ssimae.config.stored import settings_from_dict
from ssimae.data.dataset import Sample
from ssimae.errors import in_short
from ssimae.host import system
from ssimae.inspection.threshold import Thresholds
from ssimae.reading import as_kind, from_json, read_json, read_text, read_toml
from ssimae.storage.facts import Facts, PredictFacts, facts_from_table
from ssimae.storage.owned import MARK, is_marked, remove_written
from ssimae.training.log import StoredLine

LOCK = ".lock"

_Kind = TypeVar("_Kind", Facts, PredictFacts, Facts | PredictFacts)


class RunFolder:
    """The paths of one run's files.

    Parameters
    ----------
    root : Path
        Folder of the run.
    home : Path or None
        Folder that is moved as a whole: the run's, for its comparison; by default `root`.
    """

    def __init__(self, root: Path, *, home: Path | None = None) -> None:
        self.root = root
        self.home = root if home is None else home
        self.config = root / "config.toml"
        self.model = root / "model.safetensors"
        self.state = root / "state" / "training.safetensors"
        self.log = root / "log.jsonl"
        self.thresholds = root / "thresholds.json"
        self.versions = root / "thresholds"
        self.reconstructions = root / "reconstructions"
        self.residuals = root / "residuals"
        self.calibrated = root / "calibrated"
        self.masks = root / "masks"
        self.overlays = root / "overlays"
        self.predictions = root / "predictions.csv"
        self.regions = root / "regions.csv"
        self.partial_predictions = root / "predictions.partial.csv"
        self.partial_regions = root / "regions.partial.csv"
        self.metrics = root / "metrics.json"
        self.curves = root / "curves.npz"
        self.pod = root / "pod.json"
        self.choices = root / "choices.json"
        self.held_out = root / "held_out.npz"
        self.improvement = root / "improvement.json"
        self.report = root / "report.html"

    def command(self, *words: str) -> str:
        """Return a command that names the folder behind some words, as one can type it."""
        return system.command_line(["ssimae", *words, str(self.root)])

    @property
    def resumption(self) -> str:
        """The command that goes on with the run, or with the one that this is the comparison of."""
        return RunFolder(self.home).command("run", "--resume")

    def comparison(self, system: str) -> RunFolder:
        """Return the run folder of the comparison with another system."""
        return RunFolder(self.root / system, home=self.root)

    def map_path(self, folder: Path, defect: str, name: str) -> Path:
        """Return where the map of one image lies below `reconstructions`, `residuals` or `calibrated`."""
        return folder / defect / f"{name}.tiff"

    def picture_path(self, folder: Path, defect: str, name: str) -> Path:
        """Return where the picture of one image lies below `masks` or `overlays`."""
        return folder / defect / f"{name}.png"

    @property
    def judged(self) -> Path:
        """Folder of the maps that verdicts rest on: calibrated residuals, or residuals where they are not."""
        return self.calibrated if self.calibrated.exists() else self.residuals

    def judged_paths(self, samples: Iterable[Sample]) -> list[Path]:
        """Return where the map of each image lies that its verdict rests on."""
        return [self.map_path(self.judged, sample.defect, sample.name) for sample in samples]

    def prepare(self, *, force: bool, reads: Iterable[Path] = ()) -> None:
        """Make the folder, or make sure that an earlier run in it may go.

        Parameters
        ----------
        force : bool
            Whether an earlier run may be overwritten.
        reads : iterable of Path
            What the new run reads; it must not lie in the folder, nor the folder in a run that it reads.

        Raises
        ------
        OSError
            If the folder exists and is not empty without `force`, is not a run, or cannot be written.
        ValueError
            If it holds something of `reads`.
        """
        root = self.root.resolve()
        for source in reads:
            path = source.resolve()
            if root in (path, *path.parents) or (path in root.parents and (path / "config.toml").exists()):
                raise ValueError(f"{self.root}: is or holds what this run reads ({source}); choose another --out")
        if self.root.exists() and not self._holds_nothing():
            if not force:
                raise FileExistsError(f"{self.root}: not empty; choose another --out{self._other_ways()}")
            if not self.is_ours():
                raise FileExistsError(
                    f"{self.root}: not a folder that ssimae wrote, so --force leaves it alone; choose another --out"
                )
        self.root.mkdir(parents=True, exist_ok=True)

    def _holds_nothing(self) -> bool:
        """Return whether nothing is in the folder, or no more than what a command left that was killed at its start."""
        left = [entry for entry in self.root.iterdir() if entry.name != LOCK]
        return not left or (is_marked(self.root / LOCK) and all(map(is_partial, left)))

    def _other_ways(self) -> str:
        """Return what else can be done with what the folder holds, for the end of a message."""
        try:
            _, facts = self.read_config()
        except (OSError, ValueError):
            return ", or overwrite it with --force" if self.is_ours() else ""
        if isinstance(facts, PredictFacts):
            verb = "predict"
        else:
            verb = "improve" if facts.improves is not None else "train" if facts.train_only else "run"
        return f", go on with `{self.command(verb, '--resume')}`, or overwrite it with --force"

    def is_ours(self) -> bool:
        """Return whether ssimae began this folder: its lock says so, or that of an earlier version its config.toml."""
        if is_marked(self.root / LOCK):
            return True
        try:
            self.read_config()
        except (OSError, ValueError):
            return False
        return True

    def clear(self) -> None:
        """Remove the files of an earlier run; only under the lock, so that no running one is cut off."""
        remove_written(self.root)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other commands, and sweep up what killed ones left half-written.

        A killed command leaves no stale lock.

        Raises
        ------
        OSError
            If another process holds it.
        """
        with (self.root / LOCK).open("ab") as file:
            try:
                system.lock(file.fileno())
            except BlockingIOError as error:
                raise BlockingIOError(f"{self.root}: another command is writing here") from error
            if file.tell() == 0:
                file.write(MARK)
                file.flush()
            sweep(self.root)
            yield

    def write_config(self, settings: Settings, facts: Facts | PredictFacts) -> None:
        """Write ``config.toml``: the resolved settings, and the facts of this run."""
        table = facts.to_table()
        if isinstance(facts, Facts) and facts.data.is_relative_to(self.home.absolute()):
            # Images that lie in the run are found again when it is moved.
            table["data"] = os.path.relpath(facts.data, self.root)
        write_text(self.config, tomli_w.dumps({"settings": _settings_table(settings), "run": table}))

    def read_config(self) -> tuple[Settings, Facts | PredictFacts]:
        """Return the settings and facts of ``config.toml``, be they of a run that trained or of a prediction.

        Raises
        ------
        OSError
            If this is not a run folder.
        ValueError
            If the file is damaged or of another version.
        """
        return self._read(facts_from_table)

    def read_training(self) -> tuple[Settings, Facts]:
        """Return the settings and facts of a run that trained.

        Raises
        ------
        OSError, ValueError
            As :meth:`read_config`, and for a folder of `predict`, which has no training images.
        """
        return self._read(Facts.from_table)

    def read_prediction(self) -> PredictFacts:
        """Return the facts of a prediction that can go on.

        Raises
        ------
        OSError, ValueError
            As :meth:`read_config`, and for the folder of a run, or of a prediction by an earlier version.
        """
        _, facts = self.read_config()
        if not isinstance(facts, PredictFacts):
            raise ValueError(f"{self.root}: a run, which goes on with `{self.command('run', '--resume')}`")
        if facts.fingerprint is None:
            raise ValueError(f"{self.root}: begun by an earlier version, which cannot go on; choose another --out")
        return facts

    def read_settings(self) -> Settings:
        """Return the settings of ``config.toml``; raises what :meth:`read_config` does."""
        self._require()
        return read_settings(self.config)

    def _read(self, facts_of: Callable[[Mapping[str, Any]], _Kind]) -> tuple[Settings, _Kind]:
        self._require()
        settings, table = _read_tables(self.config)
        if isinstance(data := table.get("data"), str):
            table["data"] = os.path.normpath(self.root.absolute() / data)
        try:
            facts = facts_of(table)
        except ValueError as error:
            raise ValueError(f"{self.root}: {error}") from error
        return settings, facts

    def _require(self) -> None:
        if not self.config.is_file():
            raise FileNotFoundError(f"{self.root}: not a run folder (no config.toml)")

    def read_thresholds(self) -> Thresholds | None:
        """Return the thresholds of ``thresholds.json``, None where there is none.

        Raises
        ------
        OSError, ValueError
            If the file cannot be read, is damaged or of another version, or its thresholds cannot be.
        """
        if not self.thresholds.exists():
            return None
        content = read_json(self.thresholds, dict[str, Any])
        try:
            return Thresholds.from_dict(content)
        except ValueError as error:
            raise ValueError(f"{self.thresholds}: {error}") from error

    def read_log(self) -> tuple[dict[str, float], ...]:
        """Return the lines of ``log.jsonl``, but one torn by a kill; none where there is no file.

        Raises
        ------
        OSError, ValueError
            If the file cannot be read, or a line is not one of a log.
        """
        if not self.log.exists():
            return ()
        lines = []
        for number, line in enumerate(_whole_lines(read_text(self.log)), 1):
            try:
                lines.append(from_json(line, dict[str, Any]))
                as_kind(lines[-1], StoredLine)
            except ValueError as error:
                raise ValueError(f"{self.log}: line {number} is not one of a log ({in_short(error)})") from error
        return tuple(lines)

    def append_log(self, line: Mapping[str, Any]) -> None:
        """Add one line to ``log.jsonl``."""
        with naming(self.log), self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def trim_log(self, step: int) -> None:
        """Drop log lines after a step, and a line torn by a kill: a resumed run writes them again."""
        if self.log.exists():
            kept = [line for line in self.read_log() if line["step"] <= step]
            write_text(self.log, "".join(json.dumps(line) + "\n" for line in kept))


def _settings_table(settings: Settings) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(settings).items() if value is not None}


def settings_sha256(settings: Settings | Path) -> str:
    """Return the SHA-256 of settings, as they are written or as a ``config.toml`` holds them."""
    table = read_toml(settings).get("settings") if isinstance(settings, Path) else _settings_table(settings)
    return hashlib.sha256(json.dumps(table, sort_keys=True, default=str).encode()).hexdigest()


def read_settings(path: Path) -> Settings:
    """Return the settings of a TOML file: of a run's ``config.toml``, or one with a table ``[settings]`` alone.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not TOML, has unknown tables or settings, or a value breaks its rule.
    """
    return _read_tables(path)[0]


def _read_tables(path: Path) -> tuple[Settings, dict[str, Any]]:
    """Return the settings and the ``[run]`` table of a TOML file, empty where there is none."""
    tables = read_toml(path)
    unknown = sorted(tables.keys() - {"settings", "run"})
    if unknown:
        raise ValueError(f"{path}: unknown table or key `{in_short(unknown[0])}`; settings belong under [settings]")
    if wrong := [name for name, table in tables.items() if not isinstance(table, dict)]:
        raise ValueError(f"{path}: `{wrong[0]}` must be a table")
    try:
        return settings_from_dict(tables.get("settings", {}), stored="run" in tables), tables.get("run", {})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _whole_lines(text: str) -> list[str]:
    """Return the lines of a log but the last one where a kill has torn it."""
    *lines, last = text.split("\n")
    return lines if not (last.startswith("{") and last.endswith("}")) else [*lines, last]
