"""Let threads read the next image and write the one before, while this one is inspected; the order stays."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

_Item = TypeVar("_Item")


class _End:
    """What comes after the last item: the error that making the next one raised, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterable[_Item], *, alone: Callable[[_Item], bool]) -> Generator[_Item]:
    """Yield items, of which the next is made in a thread while the caller works on the present one.

    Parameters
    ----------
    items : iterable
        Asked for one item at a time, and for none once the caller has ended.
    alone : callable
        Whether the next item is made only when the caller is done with this one.

    Notes
    -----
    The thread does not keep the process alive: it may wait for a name on standard input when the caller is interrupted.
    """
    wanted, made = threading.Semaphore(), queue.SimpleQueue[_Item | _End]()
    ended = threading.Event()

    def work() -> None:
        iterator = iter(items)
        while True:
            wanted.acquire()
            if ended.is_set():
                return
            try:
                item = next(iterator)
            except StopIteration:
                made.put(_End())
                return
            except BaseException as error:  # noqa: BLE001 - it is raised where the item is asked for
                made.put(_End(error))
                return
            made.put(item)
            del item

    threading.Thread(target=work, name="reading ahead", daemon=True).start()
    try:
        while not isinstance(item := made.get(), _End):
            waits = alone(item)
            if not waits:
                wanted.release()
            yield item
            del item
            if waits:
                wanted.release()
        if item.error is not None:
            raise item.error
    finally:
        ended.set()
        wanted.release()


class Behind:
    """Calls that a thread makes one after another, each while the caller works on what follows.

    Leaving the context waits for the last one. What a call raises is raised by the next, or there; then no other is
    made.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "writing behind")
        self._last: Future[object] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)
        if kind is None:
            self.wait()

    def call(self, function: Callable[[], object]) -> None:
        """Make a call as soon as the one before has returned; wait for that."""
        self.wait()
        self._last = self._pool.submit(function)

    def wait(self) -> None:
        """Wait until all calls so far have returned."""
        if self._last is not None:
            self._last.result()


class Underway:
    """The images that have come and are not done, and how long there were any.

    Attributes
    ----------
    busy_s : float
        Seconds in which there was at least one.
    """

    def __init__(self) -> None:
        self.busy_s = 0.0
        self._condition = threading.Condition()
        self._paths: list[Path] = []
        self._since = 0.0
        self._closed = False

    def begin(self, path: Path) -> None:
        """Take an image that has come, once the same file is not underway any more: its row tells what was found."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or path not in self._paths)
            if not self._paths:
                self._since = time.perf_counter()
            self._paths.append(path)

    def end(self, path: Path) -> None:
        """Let go of an image that is done."""
        with self._condition:
            self._paths.remove(path)
            if not self._paths:
                self.busy_s += time.perf_counter() - self._since
            self._condition.notify_all()

    def close(self) -> None:
        """Let nothing wait any more."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
