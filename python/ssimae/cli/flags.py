"""Flags of a verb from its dataclass, and what goes wrong with them in one line."""

from __future__ import annotations

import contextlib
import io
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
    drawn = io.StringIO()
    options: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(drawn):
            flags: _Flags = tyro.cli(kind, prog=f"ssimae {verb}", args=arguments, description=description, **options)
            return flags
    except SystemExit as end:
        if end.code in (None, 0):
            raise
        # What stands between the heading and the first rule; the help below it is a flag away.
        _, *lines = drawn.getvalue().splitlines()
        stripped = [line.strip(_FRAME) for line in lines]
        start = next((place for place, line in enumerate(stripped) if line), 0)
        rule = next((place for place in range(start, len(lines)) if not stripped[place]), len(lines))
        message = " ".join(stripped[start:rule])
        raise ValueError(f"{message.removeprefix('Error parsing settings: ')} (see ssimae {verb} --help)") from end
