"""Name the exit codes of the command line, and print its messages, each below the other and none over another."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_UNSEEN = re.compile(r"[^\n\t\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")

OK = 0
BAD_INPUT = 2
"""A flag or an input is wrong, and nothing was done."""
SKIPPED_INPUTS = 3
"""The work is done, but some inputs were passed over."""
SAFEGUARD = 4
"""A safeguard stopped the work."""
FLAGGED = 5
"""The work is done, and an image was found that --fail-on asks for."""
CLOSED_PIPE = 128 + 13
"""Whoever read the output has gone; the number is that of SIGPIPE, which Windows lacks."""
# 1 is a fault of ours, with a traceback; 128 + N is a signal N.


_printers: list[Callable[[str], None]] = [lambda line: print(line, file=sys.stderr)]
"""Those that print a line on standard error; the last one does."""


@contextmanager
def printing_by(printer: Callable[[str], None]) -> Iterator[None]:
    """Let something else print all messages for a while, such as one that draws bars below them."""
    _printers.append(printer)
    try:
        yield
    finally:
        _printers.remove(printer)


def complain(message: str) -> int:
    """Print a message on standard error and return the exit code of bad input."""
    _printers[-1](f"ssimae: {visible(message)}")
    return BAD_INPUT


class Log(logging.Handler):
    """Print what is logged as the other messages."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        complain(f"{record.levelname}: {record.getMessage()}")


def visible(text: str) -> str:
    """Return a text for the terminal: control characters and bytes that are not UTF-8, escaped."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)
