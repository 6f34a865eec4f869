"""Refuse flags and choices that were mistyped, in one line that names the nearest."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro

from ssimae.errors import perhaps

_FLAG = re.compile(r"--\S+|-[a-z]{2,}(?<!-inf)(?<!-nan)(?<!-infinity)", re.IGNORECASE)
"""What is typed as a flag: not -1, -inf, or a lone -h."""

_POSITIONAL = get_args(tyro.conf.Positional[int])[1]
"""What tyro puts into the annotation of a positional argument."""


def refuse_typos(kind: type, verb: str, arguments: Sequence[str]) -> None:
    """Refuse a flag that a dataclass of flags does not have, and a value that is none of a flag's choices.

    Raises
    ------
    ValueError
        For the first such word.
    """
    positional, flags = _words(kind)
    see = f" (see ssimae {verb} --help)"
    first = next((word for word in arguments[:1] if not word.startswith("-")), None)
    if first is not None and positional is None:
        meant = f"; perhaps you meant --data {first}" if "--data" in flags else ""
        raise ValueError(f"unexpected {first!r}{meant}{see}")
    if first is not None and positional and first not in positional:
        raise ValueError(f"unknown {first!r}{perhaps(first, positional)}; known are {', '.join(positional)}")
    for word, following in pairwise([*arguments, ""]):
        typed, equals, value = word.partition("=")
        if not _FLAG.fullmatch(typed):
            continue
        flag = typed.replace("_", "-")
        if flag not in flags:
            raise ValueError(f"unknown flag {typed}{perhaps('--' + flag.lstrip('-'), flags)}{see}")
        chosen, allowed = (value if equals else following), flags[flag]
        if allowed and chosen and chosen not in allowed:
            raise ValueError(f"`{flag}` must be one of {', '.join(allowed)}, got {chosen!r}{perhaps(chosen, allowed)}")


def _words(kind: type) -> tuple[tuple[str, ...] | None, dict[str, tuple[str, ...]]]:
    """Return the choices of the first argument without a flag, and all flags with the choices of each.

    Where all goes, choices are empty; None stands for no argument without a flag.
    """
    positional: tuple[str, ...] | None = None
    flags: dict[str, tuple[str, ...]] = {"--help": ()}
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint, marks = _unwrapped(hints[field.name])
        name = field.name.replace("_", "-")
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):  # its flags have no prefix
            flags |= _words(hint)[1]
        elif _POSITIONAL in marks:
            positional = _choices(hint) if positional is None else positional
        else:
            flags[f"--{name}"] = _choices(hint)
            if hint is bool:
                flags[f"--no-{name}"] = ()
    return positional, flags


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type without its annotations, and these."""
    return (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())


def _choices(hint: Any) -> tuple[str, ...]:
    """Return the values of a Literal, or of a union of some; none for any other type."""
    if get_origin(hint) is Literal:
        return tuple(str(value) for value in get_args(hint))
    parts = [_choices(part) for part in get_args(hint) if part is not type(None)]
    return sum(parts, ()) if all(parts) else ()
