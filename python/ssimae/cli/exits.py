"""Name the exit codes of the command line, and print its one line of complaint."""

from __future__ import annotations

import sys

OK, BAD_INPUT, SKIPPED_INPUTS, SAFEGUARD = 0, 2, 3, 4
"""Done; an input or flag is wrong, and nothing was done; some inputs were passed over; a safeguard stopped the work.

1 is a fault of ours (a traceback), 128 + N a signal N.
"""


def complain(message: str) -> int:
    """Print one line to standard error and return the exit code of bad input."""
    print(f"ssimae: {message}", file=sys.stderr)
    return BAD_INPUT
