"""Choose the verb, run it, and turn what it raises into one line and an exit code."""

from __future__ import annotations

import ast
import importlib
import io
import logging
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from ssimae.cli import verbs
from ssimae.cli.exits import BAD_INPUT, CLOSED_PIPE, OK, SAFEGUARD, Log, complain
from ssimae.cli.tables import described
from ssimae.errors import InterruptedRunError, SafeguardError, perhaps
from ssimae.host import system
from ssimae.training.interrupt import interruption_of, noted_signals, raised_signals

_RESUMING = "run", "train", "predict", "improve"
"""Verbs that go on with --resume; the others begin again, or go on, with the command as it was."""

_SHARED = "run", "train"
"""Verbs whose training the processes that torchrun starts share."""

_LAUNCHED = "TORCHELASTIC_RUN_ID"
"""Environment variable by which torchrun shows itself; to ask torch for it takes seconds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code (see :mod:`ssimae.cli.exits`)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, handlers=[Log()])
    try:
        with raised_signals(), _any_text():
            try:
                return _run_launched(arguments) if _LAUNCHED in os.environ else _run(arguments)
            finally:
                sys.stdout.flush()  # also after --help, which exits
    except OSError as error:
        if not system.is_closed_pipe(error):
            raise
        # Whoever read the output has gone, as `head` does; Python shall not try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE


@contextmanager
def _any_text() -> Iterator[None]:
    """Let standard output escape, for a while, what its encoding cannot say, such as a letter in the name of a file."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=before)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return OK if arguments else BAD_INPUT
    verb, *rest = arguments
    if verb in ("-V", "--version"):
        print(f"ssimae {version('ssimae')}")
        return OK
    if verb not in _verbs():
        return complain(f"unknown verb {verb!r}{perhaps(verb, _verbs())}; known are {', '.join(_verbs())}")
    return _guarded(lambda: _main_of(verb, rest), arguments)


def _main_of(verb: str, arguments: list[str]) -> int:
    _refuse_no_names(arguments)
    with noted_signals():  # torch, for one, takes what is raised while it loads for a fault of another package
        module = importlib.import_module(_verbs()[verb])
    code: int = module.main(arguments)
    return code


def _run_launched(arguments: list[str]) -> int:
    """Run a verb as one of the processes that torchrun started: the first does the work, the others join in trainings.

    torchrun starts all of them again when one fails; a command that ended of itself then ends as before.
    """
    from ssimae.jobs.spread.follow import follow  # noqa: PLC0415 - torch, which takes seconds
    from ssimae.training.sharing.torchrun import this_process  # noqa: PLC0415

    process = this_process()
    assert process is not None
    if process.rank > 0:
        return _guarded(lambda: follow(process), arguments)
    if (before := process.exit_code) is not None:
        return before
    code = None
    try:
        if arguments and arguments[0] in _verbs() and arguments[0] not in _SHARED:
            code = complain(f"torchrun is for {' and '.join(_SHARED)}; start `ssimae {arguments[0]}` without it")
        else:
            code = _run(arguments)
        return code
    finally:
        process.end(code if code is not None and code < 128 else None)


def _guarded(work: Callable[[], int], arguments: list[str]) -> int:
    """Do some work of a verb; say in one line what it raises, and return the exit code."""
    verb, *rest = arguments
    try:
        return work()
    except InterruptedRunError as error:
        return _interrupted(error, arguments)
    except KeyboardInterrupt as error:
        return _interrupted(interruption_of(error), arguments)
    except SafeguardError as error:
        complain(str(error))
        return SAFEGUARD
    except ModuleNotFoundError as error:
        if (lacking := _lacking(error)) is None:
            raise
        if "--debug" in rest:
            traceback.print_exc()
        return complain(f"`ssimae {verb}` needs {lacking}; `ssimae doctor` lists what each verb lacks")
    except (ValueError, OSError, MemoryError) as error:
        if isinstance(error, OSError) and system.is_closed_pipe(error):
            raise
        if "--debug" in rest:
            traceback.print_exc()
        return complain(_message(error))
    except RuntimeError as error:
        # As torch says it, of whichever device.
        if "out of memory" not in str(error) and "can't allocate memory" not in str(error):
            raise
        less = "; it takes less with a smaller --batch-size or --scale" if verb in ("run", "train") else ""
        return complain(f"not enough memory ({str(error).splitlines()[0]}){less}")


def _lacking(error: ModuleNotFoundError) -> str | None:
    """Return which package is not installed, and how to get it; None for a module of our own, which is a fault."""
    from ssimae.cli.verbs.models.doctor import NEEDED, OPTIONAL  # noqa: PLC0415 - read where something is missing

    name = error.name or ""
    remedies = {package: remedy for package, _, remedy in (*NEEDED, *OPTIONAL)}
    package = name if name in remedies else name.partition(".")[0]
    if package in ("", "ssimae"):
        return None
    return f"{package}, which is not installed: {remedies.get(package, f'pip install {package}')}"


def _interrupted(error: InterruptedRunError, arguments: list[str]) -> int:
    """Say how the work goes on; return the exit code of the signal."""
    verb = arguments[0]
    if error.command is not None:
        complain(f"{error}; go on with: {error.command}")
    elif error.folder is not None and verb in _RESUMING:
        complain(f"{error}; go on with: {system.command_line(['ssimae', verb, '--resume', str(error.folder)])}")
    else:
        complain(f"{error}; start again with: {system.command_line(['ssimae', *arguments])}")
    return 128 + error.signal


def _message(error: Exception) -> str:
    """Return what an error says, in the words of the other messages."""
    if isinstance(error, OSError) and error.strerror is not None and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory ({error})" if str(error) else "not enough memory"
    return str(error)


def _refuse_no_names(arguments: Sequence[str]) -> None:
    """Refuse arguments that can name nothing: not UTF-8, or empty, which Python takes for the folder one is in."""
    for argument in arguments:
        if not argument or re.fullmatch(r"--[\w-]+=", argument):
            shown = argument or "''"
            raise ValueError(f"{shown}: an empty argument, as of a variable of the shell that is not set")
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{argument!a}: not valid UTF-8; rename the file or folder") from error


def _verbs() -> dict[str, str]:
    """Return the module of each verb, by its name: the modules of the folder, and of those in it."""
    folders = [(verbs.__name__, Path(path)) for path in verbs.__path__]
    folders += [(f"{name}.{inner.name}", inner) for name, path in folders for inner in path.iterdir() if inner.is_dir()]
    found = {
        module.name: f"{name}.{module.name}"
        for name, path in folders
        for module in pkgutil.iter_modules([str(path)])
        if not module.ispkg
    }
    return dict(sorted(found.items()))


def _help() -> str:
    verbs_told = described([(f"  ssimae {name}", _first_line(name)) for name in _verbs()])
    return "\n".join(
        [
            "ssimae: surface defects found without defect examples",
            "",
            verbs_told,
            "",
            "Start with `ssimae run --data FOLDER`; `ssimae VERB --help` shows its options,",
            "`ssimae --version` the version, `ssimae doctor` what is installed.",
        ]
    )


def _first_line(verb: str) -> str:
    """Return what a verb does, from the source of its module: to import them all would take seconds."""
    inner = _verbs()[verb].removeprefix(f"{verbs.__name__}.").replace(".", "/")
    source = Path(verbs.__path__[0], f"{inner}.py").read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(source)) or ""
    return text.splitlines()[0].rstrip(".")
