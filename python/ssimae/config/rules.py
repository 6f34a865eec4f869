"""Define the rules that a setting carries on its field: its range, and the group it belongs to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin

from ssimae.errors import perhaps
from ssimae.similarity.window import MAX_WINDOW_SIZE


@dataclass(frozen=True)
class Group:
    """A part of the settings that belongs together."""

    title: str
    retrain: bool
    """Whether a change needs a training of its own; False where a trained network can be inspected with again."""


class Rule(Protocol):
    """A rule that the value of a setting must keep."""

    def check(self, name: str, value: Any, settings: Any) -> None:
        """Refuse a value with a ValueError that names the setting, the rule and the value."""


@dataclass(frozen=True)
class OneOf:
    """One of a few values."""

    allowed: tuple[object, ...]

    def check(self, name: str, value: Any, settings: Any) -> None:
        """Refuse any other value."""
        if value not in self.allowed:
            meant = perhaps(value, map(str, self.allowed)) if isinstance(value, str) else ""
            raise ValueError(f"`{name}` must be {self}, got {value!r}{meant}")

    def __str__(self) -> str:
        return f"one of {', '.join(map(str, self.allowed))}"


@dataclass(frozen=True)
class AtLeast:
    """A finite number of at least `least`."""

    least: int

    def check(self, name: str, value: Any, settings: Any) -> None:
        """Refuse what is less, infinite or NaN."""
        if not self.least <= value < math.inf:
            raise ValueError(f"`{name}` must be {self}{' and finite' if value == math.inf else ''}, got {value}")

    def __str__(self) -> str:
        return f"at least {self.least}"


@dataclass(frozen=True)
class Positive:
    """A finite number above 0."""

    def check(self, name: str, value: Any, settings: Any) -> None:
        """Refuse 0, what is less, infinite or NaN."""
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"`{name}` must be {self}, got {value}")

    def __str__(self) -> str:
        return "positive and finite"


@dataclass(frozen=True)
class Between:
    """A number from `least` to `most`, both included."""

    least: float
    most: float

    def check(self, name: str, value: Any, settings: Any) -> None:
        """Refuse what lies outside."""
        if not self.least <= value <= self.most:
            raise ValueError(f"`{name}` must lie {self}, got {value}")

    def __str__(self) -> str:
        return f"in [{self.least:.10g}, {self.most:.10g}]"


@dataclass(frozen=True)
class Share:
    """A share that is neither nothing nor all."""

    def check(self, name: str, value: Any, settings: Any) -> None:
        """Refuse 0, 1 and what lies outside."""
        if not 0 < value < 1:
            raise ValueError(f"`{name}` must lie {self}, got {value}")

    def __str__(self) -> str:
        return "between 0 and 1"


@dataclass(frozen=True)
class UpTo:
    """A whole number from `least` up to another setting, less `below`."""

    other: str
    least: int = 1
    below: int = 0

    def check(self, name: str, value: Any, settings: Any) -> None:
        """Refuse what lies outside."""
        most = getattr(settings, self.other) - self.below
        if not self.least <= value <= most:
            raise ValueError(f"`{name}` must be {self} ({most}), got {value}")

    def __str__(self) -> str:
        return f"in {self.least}..{self.other}{f' - {self.below}' if self.below else ''}"


@dataclass(frozen=True)
class NotBelow:
    """A number of at least another setting's."""

    other: str

    def check(self, name: str, value: Any, settings: Any) -> None:
        """Refuse what is less."""
        if value < getattr(settings, self.other):
            raise ValueError(f"`{name}` must be {self} ({getattr(settings, self.other)}), got {value}")

    def __str__(self) -> str:
        return f"at least `{self.other}`"


@dataclass(frozen=True)
class ZeroWithoutReconstruction:
    """0 for a system that rebuilds nothing."""

    def check(self, name: str, value: Any, settings: Any) -> None:
        """Refuse anything else there."""
        if value and not settings.row.rebuilds:
            raise ValueError(f"`{name}` must be 0 for a {settings.row.title}, which rebuilds nothing, got {value}")

    def __str__(self) -> str:
        return "0 for a system that rebuilds nothing"


@dataclass(frozen=True)
class WindowSide:
    """The side of an SSIM window that fits into a patch."""

    def check(self, name: str, value: Any, settings: Any) -> None:
        """Refuse even sides and those that are too large."""
        most = min(MAX_WINDOW_SIZE, settings.patch_size - 1)
        if not (1 <= value <= most and value % 2 == 1):
            raise ValueError(f"`{name}` must be odd and in 1..{most}, got {value}")

    def __str__(self) -> str:
        return f"odd, in 1..{MAX_WINDOW_SIZE} and smaller than `patch_size`"


@dataclass(frozen=True)
class Field:
    """The annotation of one setting: its kind, group and rules."""

    kind: Literal["whole number", "number", "yes or no", "choice"]
    optional: bool
    """Whether None is a value, too."""
    group: Group
    rules: tuple[Rule, ...]

    def take(self, name: str, value: object) -> object:
        """Return a value as the plain Python type that JSON and TOML can hold, or refuse it with a ValueError."""
        if value is None and self.optional:
            return None
        return _TAKE[self.kind](name, value)


def read_field(hint: Any) -> Field:
    """Return what an annotation ``Annotated[type, group, *rules]`` says; the choices of a Literal become a rule."""
    kind, group, *rules = get_args(hint)
    if get_origin(hint) is not Annotated or not isinstance(group, Group):
        raise TypeError(f"a setting is annotated with its type, group and rules, got {hint}")
    parts = [part for part in get_args(kind) if part is not NoneType] if _is_union(kind) else [kind]
    (plain,) = parts
    if get_origin(plain) is Literal:
        return Field("choice", _is_union(kind), group, (OneOf(get_args(plain)), *rules))
    return Field(_KINDS[plain], _is_union(kind), group, tuple(rules))


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"`{name}` must be a whole number, got {value!r}")
    return int(value)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"`{name}` must be a number, got {value!r}")
    return value if isinstance(value, int) else float(value)  # a whole number stays whole


def _yes_or_no(name: str, value: object) -> object:
    OneOf((True, False)).check(name, value, None)
    return value


_KINDS: dict[Any, Literal["whole number", "number", "yes or no"]] = {
    int: "whole number",
    float: "number",
    bool: "yes or no",
}

_TAKE: dict[str, Callable[[str, object], object]] = {
    "whole number": _whole,
    "number": _number,
    "yes or no": _yes_or_no,
    "choice": lambda name, value: value,
}
