"""Write small pieces of HTML for notebooks: pictures as data URIs, and tables; nothing is fetched."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from PIL import Image as Pillow

_SHOWN, _SHOWN_LONG = 340, 680
"""Longest side on the screen of a picture, and of one that is more than three times as long as it is wide."""

_DENSITY = 1.5
"""Pixels of a picture for each of these at most: screens are finer than that, files should not be."""


def fitting(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of the picture of an image of (h, w, ...): its own, or as many as are shown."""
    factor = min(1.0, _DENSITY * _side(*shape[:2]) / max(shape[:2]))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def _side(height: int, width: int) -> int:
    return _SHOWN_LONG if max(height, width) > 3 * min(height, width) else _SHOWN


def picture_tag(picture: Pillow.Image, what: str) -> str:
    """Return a picture with its caption; small ones are enlarged, so that one sees something."""
    buffer = io.BytesIO()
    # Full colour for each pixel: outlines are as thin as one.
    picture.save(buffer, "jpeg", quality=88, subsampling=0)
    width = round(picture.width * _side(picture.height, picture.width) / max(picture.size))
    return _figure("jpeg", buffer.getvalue(), what, width)


def figure_tag(png: bytes, what: str, *, width: int) -> str:
    """Return a figure with its caption; `width` is that on the screen."""
    return _figure("png", png, what, width)


def _figure(kind: str, content: bytes, what: str, width: int) -> str:
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return (
        f'<figure style="margin:0 1em 0.5em 0;max-width:{max(width, _SHOWN)}px">'
        f'<img src="{uri}" alt="{escape(what)}" style="width:{max(width, 1)}px;max-width:100%;display:block">'
        f'<figcaption style="font-size:0.85em">{escape(what)}</figcaption></figure>'
    )


def side_by_side(pieces: Iterable[str]) -> str:
    """Return pieces of HTML beside each other where there is room."""
    return f'<div style="display:flex;flex-wrap:wrap;align-items:flex-start">{"".join(pieces)}</div>'


def table(rows: Iterable[Sequence[Any]], *, head: Sequence[str] = ()) -> str:
    """Return a table; numbers are shortened, all else is escaped."""
    top = f"<thead><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>{top}<tbody>{body}</tbody></table>"


def folded(title: str, content: str) -> str:
    """Return content that opens with a click on its title."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else escape(str(value))
    return f'<td style="text-align:left">{text}</td>'
