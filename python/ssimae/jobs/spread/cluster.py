"""Connect to a Ray cluster, and put its processors or GPUs to work on the parts of a job."""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from ssimae.errors import in_short

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_LARGEST_PART = 16
"""Items that a worker takes at a time: enough to make the way to it short beside the work, few to do again."""

_RETRIES = 3
"""Times that a part is begun again whose worker has died; one that kills each is not worth more."""


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield Ray, connected to a cluster: at an address, ``auto`` for the one of this machine, ``local`` for a new one.

    Raises
    ------
    ValueError
        If Ray is not installed.
    OSError
        If there is no such cluster.
    """
    try:
        ray: Any = importlib.import_module("ray")  # an extra, and slow to import
    except ImportError as error:
        raise ValueError("`--ray` needs Ray: pip install 'ssimae[ray]'") from error
    # Ray takes SIGTERM for itself.
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(address=None if address == "local" else address, log_to_driver=False)
    try:
        if main:
            signal.signal(signal.SIGTERM, handler)
        yield ray
    finally:
        ray.shutdown()


def parts_of(items: Sequence[_Item], workers: int) -> list[Sequence[_Item]]:
    """Return items in parts for so many workers, in order; several for each, so that all end at about the same time."""
    size = max(1, min(_LARGEST_PART, len(items) // (4 * workers)))
    return [items[start : start + size] for start in range(0, len(items), size)]


def spread(
    ray: Any,
    make: Callable[[], Callable[[Sequence[_Item]], _Result]],
    items: Sequence[_Item],
    *,
    gpu: bool,
) -> Iterator[_Result]:
    """Yield what comes of the parts of some items, in order, from a worker on each processor or GPU of a cluster.

    A part whose worker died goes to it again once it has been started anew, here or on another machine: what a worker
    writes must be the same each time.

    Parameters
    ----------
    ray : module
        As :func:`connected` yields it.
    make : callable
        Called once by each worker; returns the function that works on a part.
    items : sequence
    gpu : bool
        Whether a worker needs a GPU.

    Raises
    ------
    ValueError
        If the cluster has no GPU, and one is needed.
    OSError
        If a worker could not begin, or a part ended it several times.
    """
    kind = "GPU" if gpu else "CPU"
    count = int(ray.cluster_resources().get(kind, 0))
    if not count:
        raise ValueError(f"the Ray cluster has no {kind}")
    parts = parts_of(items, count)
    worker = ray.remote(num_cpus=1, num_gpus=1 if gpu else 0, max_restarts=-1, max_task_retries=_RETRIES)(_Worker)
    workers = [worker.remote(make) for _ in range(min(count, len(parts)))]
    try:
        yield from ray.util.ActorPool(workers).map(lambda actor, part: actor.work.remote(part), parts)
    except ray.exceptions.RayActorError as error:
        raise OSError(f"a worker of the Ray cluster ended, or could not begin: {in_short(error)}") from error
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error


class _Worker:
    """What one process of a cluster keeps between parts."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._work = make()

    def work(self, part: Any) -> Any:
        """Return what comes of a part."""
        return self._work(part)
