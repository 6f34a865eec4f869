"""Name the exit codes of the command line, and print its one line of complaint."""

from __future__ import annotations

import re
import sys

_UNSEEN = re.compile(r"[^\n\t\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")

OK = 0
BAD_INPUT = 2
"""A flag or an input is wrong, and nothing was done."""
SKIPPED_INPUTS = 3
"""The work is done, but some inputs were passed over."""
SAFEGUARD = 4
"""A safeguard stopped the work."""
# 1 is a fault of ours, with a traceback; 128 + N is a signal N.


def complain(message: str) -> int:
    """Print one line to standard error and return the exit code of bad input."""
    print(f"ssimae: {visible(message)}", file=sys.stderr)
    return BAD_INPUT


def visible(text: str) -> str:
    """Return a text for the terminal: control characters and bytes that are not UTF-8, escaped."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)
