"""Format numbers, shares and lists for tables, figures and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def number(value: Any) -> str:
    """Return a number as text: with four significant digits unless it is an integer."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def plural(count: int, noun: str) -> str:
    """Return a number with its noun, such as `1 image` or `1,200 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def share(value: float | None) -> str:
    """Return a share as a percentage that never rounds something to nothing, or nothing to all."""
    if value is None:
        return "–"
    percent = 100 * value
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if percent < 0.01:
        return "< 0.01 %"
    if percent > 99.9:
        return "> 99.9 %"
    return f"{percent:.2f} %" if percent < 1 else f"{percent:.1f} %"


def as_fraction(value: float) -> str:
    """Return a share as one types it: 1/200 where it is one in so many, else as a number."""
    many = round(1 / value) if value else 0
    return f"1/{many}" if many > 1 and value == 1 / many else f"{value:g}"


def listed(items: Sequence[str]) -> str:
    """Return items as a list in a sentence, the last after `and`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
