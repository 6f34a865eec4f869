"""Parse the flags of a verb from its dataclass, and report what is wrong with them in one line."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import tyro

_Flags = TypeVar("_Flags")

_FRAME = " -|\u2500\u2502\u251c\u2524\u256d\u256e\u256f\u2570"
"""What tyro draws round its messages, with and without a terminal."""


def parse_flags(
    kind: type[_Flags],
    verb: str,
    arguments: list[str],
    *,
    default: _Flags | None = None,
    description: str | None = None,
) -> _Flags:
    """Return the parsed flags of a verb; what tyro would draw in a box becomes one line."""
    options: dict[str, Any] = {} if default is None else {"default": default}
    with _one_line(verb):
        flags: _Flags = tyro.cli(kind, prog=f"ssimae {verb}", args=arguments, description=description, **options)
    return flags


def parse_known_flags(kind: type[_Flags], verb: str, arguments: list[str]) -> _Flags:
    """Return those flags that a dataclass has; others, and --help, are passed over."""
    with _one_line(verb):
        flags, _ = tyro.cli(kind, prog=f"ssimae {verb}", args=arguments, return_unknown_args=True, add_help=False)
    return flags


def default_out(name: str) -> Path:
    """Return a new folder for results, named after what they are of and the time."""
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"


@contextlib.contextmanager
def _one_line(verb: str) -> Iterator[None]:
    """Turn tyro's drawn message into a ValueError; it offers the text in no other public way."""
    drawn = io.StringIO()
    try:
        with contextlib.redirect_stderr(drawn):
            yield
    except SystemExit as end:
        if end.code in (None, 0):
            raise
        # What stands between the heading and the first rule; the help below it is a flag away.
        _, *lines = drawn.getvalue().splitlines()
        stripped = [line.strip(_FRAME) for line in lines]
        start = next((index for index, line in enumerate(stripped) if line), 0)
        rule = next((index for index in range(start, len(lines)) if not stripped[index]), len(lines))
        message = " ".join(stripped[start:rule])
        raise ValueError(f"{message.removeprefix('Error parsing settings: ')} (see ssimae {verb} --help)") from end
