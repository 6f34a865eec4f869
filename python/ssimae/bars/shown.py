"""Choose how the progress of a library call is shown: by where it is called, and by what the caller asks for."""

from __future__ import annotations

import logging
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ssimae.progress import Progress, SilentProgress


class _LoggedProgress(SilentProgress):
    """A listener that draws nothing, and logs what is said."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def say(self, line: str) -> None:
        """Log a line."""
        self._logger.info("%s", line)


@contextmanager
def shown_progress(asked: bool | None, logger: logging.Logger) -> Iterator[Progress]:
    """Return a listener that draws bars for as long as the block lasts, or one that logs.

    Parameters
    ----------
    asked : bool or None
        Whether to draw; None draws in a notebook, and where standard error is a terminal, but not in the workers of a
        parallel search.
    logger : logging.Logger
        Told what is said where nothing is drawn.
    """
    notebook = in_notebook()
    alone = multiprocessing.current_process().name == "MainProcess"
    drawn = alone and (notebook or sys.stderr.isatty()) if asked is None else asked
    if not drawn:
        yield _LoggedProgress(logger)
    elif notebook:
        from ssimae.bars.notebook import NotebookBars  # noqa: PLC0415 - only one of both is imported

        yield NotebookBars()
    else:
        from rich.console import Console  # noqa: PLC0415

        from ssimae.bars.terminal import Bars  # noqa: PLC0415

        bars = Bars(Console(stderr=True), drawn=True, transient=True)
        with bars.drawing:
            yield bars


def in_notebook() -> bool:
    """Return whether this runs in the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
