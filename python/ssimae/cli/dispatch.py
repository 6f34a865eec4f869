"""Choose the verb, run it, and turn what it raises into one line and an exit code."""

from __future__ import annotations

import ast
import importlib
import logging
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from ssimae.cli import verbs
from ssimae.cli.exits import BAD_INPUT, OK, SAFEGUARD, complain
from ssimae.errors import InterruptedRunError, SafeguardError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code (see :mod:`ssimae.cli.exits`)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="ssimae: %(levelname)s: %(message)s")
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return OK if arguments else BAD_INPUT
    verb, *rest = arguments
    if verb not in _verbs():
        return complain(f"unknown verb {verb!r}; known are {', '.join(_verbs())}")
    try:
        code: int = importlib.import_module(f"{verbs.__name__}.{verb}").main(rest)
        return code
    except InterruptedRunError as error:
        complain(f"{error}; go on with --resume")
        return 128 + error.signal
    except KeyboardInterrupt:
        complain("interrupted; go on with --resume")
        return 130
    except SafeguardError as error:
        complain(str(error))
        return SAFEGUARD
    except (ValueError, OSError) as error:
        if "--debug" in rest:
            traceback.print_exc()
        return complain(str(error))


def _verbs() -> list[str]:
    """Return the names of the verbs: the modules of the folder."""
    return [module.name for module in pkgutil.iter_modules(verbs.__path__)]


def _help() -> str:
    lines = [f"  ssimae {name:<10} {_first_line(name)}" for name in _verbs()]
    return "\n".join(
        [
            "ssimae: surface defects found without defect examples",
            "",
            *lines,
            "",
            "Start with `ssimae run --data FOLDER`; `ssimae VERB --help` shows the options of a verb.",
        ]
    )


def _first_line(verb: str) -> str:
    """Return what a verb does, from the source of its module: to import them all would take seconds."""
    source = Path(verbs.__path__[0], f"{verb}.py").read_text()
    text = ast.get_docstring(ast.parse(source)) or ""
    return text.splitlines()[0].rstrip(".")
