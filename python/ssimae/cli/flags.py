"""Parse the flags of a verb from its dataclass, and report what is wrong with them in one line."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import tyro

from ssimae.cli.typos import refuse_typos
from ssimae.config.settings import Settings

_Flags = TypeVar("_Flags")

_FRAME = " -|\u2500\u2502\u251c\u2524\u256d\u256e\u256f\u2570"
"""What tyro draws round its messages, with and without a terminal."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""How a terminal is told a colour."""

_NO_TYPE = re.compile(r"no type matching \{None\}\|(\w+) could be instantiated from \[(.*?)\]\.?")
"""How tyro says that a value which may be left out is not of its type."""

_SHARES = "--false-calls", "--false_calls", "--loss"
"""Flags that understand 1/200 besides 0.005, as tyro spells them."""

_LENGTHS = "--pixel-size", "--pixel_size"
"""Flags that understand 0.1mm and 100um besides 0.1."""

_METAVARS = {float: "FLOAT", int: "INT", str: "STR", Path: "PATH"}
"""What the help says of a value by its type."""

_LENGTH = re.compile(r"(?P<number>\S+?)\s*(?P<unit>mm|um|\u00b5m|\u03bcm|cm)", re.IGNORECASE)

_MILLIMETRES = {"cm": 1, "mm": 0, "um": -3, "\u00b5m": -3, "\u03bcm": -3}
"""Power of ten that turns a unit into millimetres."""


def parse_flags(
    kind: type[_Flags],
    verb: str,
    arguments: list[str],
    *,
    default: _Flags | None = None,
    description: str | None = None,
) -> _Flags:
    """Return the parsed flags of a verb; what tyro would draw in a box becomes one line."""
    refuse_typos(kind, verb, arguments)
    options: dict[str, Any] = {} if default is None else {"default": default}
    if default is None and not {"-h", "--help"}.isdisjoint(arguments):
        kind = _shown_plainly(kind)
    arguments = _as_numbers(arguments)
    with _one_line(verb):
        flags: _Flags = tyro.cli(kind, prog=f"ssimae {verb}", args=arguments, description=description, **options)
    return flags


def _shown_plainly(kind: type[_Flags]) -> type[_Flags]:
    """Return flags of which the help says FLOAT, and not {None}|FLOAT (default: None), where one may be left out."""
    fields: list[Any] = []
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(cast("Any", kind)):
        hint, default = hints[field.name], field.default
        if default is None and get_origin(hint) is not Annotated:
            shown = [_METAVARS.get(one) or _choices(one) for one in get_args(hint) if one is not NoneType]
            if None not in shown:
                left_out = tyro.conf.arg(metavar="|".join(map(str, shown)), help_behavior_hint="")
                fields.append((field.name, Annotated[hint, left_out], dataclasses.field(default=None)))
        elif default is None or default is False or default == ():
            plain = tyro.conf.arg(help_behavior_hint="")
            # --no-json is understood, but says nothing new.
            marked = cast("Any", tyro.conf.FlagCreatePairsOff)[hint] if default is False else hint
            fields.append((field.name, Annotated[marked, plain], dataclasses.field(default=default)))
    # Of a class of its own, as below.
    return cast("type[_Flags]", dataclasses.make_dataclass(kind.__name__, fields, bases=(kind,), frozen=True))


def _choices(one: Any) -> str | None:
    return "{" + ",".join(map(str, get_args(one))) + "}" if get_origin(one) is Literal else None


def parse_known_flags(kind: type[_Flags], verb: str, arguments: list[str]) -> _Flags:
    """Return those flags that a dataclass has; others, and --help, are passed over."""
    with _one_line(verb):
        flags, _ = tyro.cli(kind, prog=f"ssimae {verb}", args=arguments, return_unknown_args=True, add_help=False)
    return flags


def _as_numbers(arguments: list[str]) -> list[str]:
    """Return the arguments with shares such as 1/200 and lengths such as 0.1mm as decimals."""
    # Each flag and its value are told apart first, so that `--false-calls=1/200` needs no rule of its own.
    split = [part for argument in arguments for part in _flag_and_value(argument)]
    return [
        _decimal(flag, value)
        if flag in _SHARES and "/" in value
        else _millimetres(value)
        if flag in _LENGTHS
        else value
        for flag, value in pairwise(["", *split])
    ]


def _flag_and_value(argument: str) -> list[str]:
    flag, equals, value = argument.partition("=")
    return [flag, value] if equals and flag in (*_SHARES, *_LENGTHS) else [argument]


def _millimetres(text: str) -> str:
    """Return a length such as 0.1mm or 100um as a number of millimetres; what is none stays, and is refused later."""
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        return text
    try:
        # Decimal, so that 100um is 0.1 and nothing beside it.
        return str(Decimal(found["number"]).scaleb(_MILLIMETRES[found["unit"].lower()]))
    except (InvalidOperation, ValueError):
        return text


def _decimal(flag: str, text: str) -> str:
    """Return a fraction such as 1/200 as a decimal."""
    try:
        share = Fraction(text)
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share < 1:
        raise ValueError(f"`{flag}` must be a share between 0 and 1, such as 1/200 or 0.005, got {text}")
    return repr(float(share))


def showing_chosen(settings: Settings, chosen: Iterable[str]) -> Settings:
    """Return settings of which the help says that some are chosen from the images, and shows no default of these."""
    hints = get_type_hints(Settings, include_extras=True)
    hint = tyro.conf.arg(help_behavior_hint="(default: chosen from the images)")
    fields: list[Any] = [
        (name, Annotated[hints[name], hint], dataclasses.field(default=getattr(settings, name))) for name in chosen
    ]
    # Of a class of its own, since tyro reads annotations; their texts are those of the class that it extends.
    shown = dataclasses.make_dataclass("Settings", fields, bases=(Settings,), frozen=True, kw_only=True)
    return cast("Settings", shown(**dataclasses.asdict(settings)))


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
        _, *lines = _COLOUR.sub("", drawn.getvalue()).splitlines()
        stripped = [line.strip(_FRAME) for line in lines]
        start = next((index for index, line in enumerate(stripped) if line), 0)
        rule = next((index for index in range(start, len(lines)) if not stripped[index]), len(lines))
        message = _NO_TYPE.sub(r"must be \1, got \2", " ".join(stripped[start:rule]))
        raise ValueError(f"{message.removeprefix('Error parsing settings: ')} (see ssimae {verb} --help)") from end
