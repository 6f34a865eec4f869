"""Find the other processes that torchrun started, and agree with them on what is trained."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]  # it has them

from ssimae.reading import from_json
from ssimae.training.sharing.group import Group

_POLL_S = 0.1


@dataclass(frozen=True)
class Announcement:
    """A training that begins in the first process, for the others to join."""

    folder: str
    """Run folder, whose config.toml says what is trained; absolute."""
    device: str
    may_give_up: bool


class Process:
    """One of the processes that torchrun started.

    The first one does all the work of a command, and announces its trainings; the others take part in these, and do
    nothing else. They talk through torchrun's own store, which outlives a restart of them all.
    """

    def __init__(self) -> None:
        names = "RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT", "MASTER_PORT"
        self.rank, self.size, self._local, restarts, port = (int(os.environ[name]) for name in names)
        self._lasting = PrefixStore("ssimae", TCPStore(os.environ["MASTER_ADDR"], port, is_master=False))
        self._store = PrefixStore(f"start-{restarts}", self._lasting)
        self._trainings = 0

    @property
    def begun(self) -> Path | None:
        """Run folder that the command began before torchrun started it again, if it did."""
        return Path(self._lasting.get("begun").decode()) if self._lasting.check(["begun"]) else None

    def begin(self, folder: Path) -> None:
        """Note the run folder with which a command goes on when torchrun starts it again."""
        self._lasting.set("begun", str(folder))

    @property
    def exit_code(self) -> int | None:
        """The code with which the command ended of itself before torchrun started it again, if it did."""
        return int(self._lasting.get("exit")) if self._lasting.check(["exit"]) else None

    def end(self, code: int | None) -> None:
        """Let the other processes end; with a code, a command that torchrun starts again shall end with it, too."""
        if code is not None:
            self._lasting.set("exit", str(code))
        self._store.set("ended", "")

    def device(self, name: str) -> str:
        """Return the name of this process's own device: of several GPUs, each process of a machine has one."""
        return f"cuda:{self._local}" if name in ("auto", "cuda") and torch.cuda.is_available() else name

    @contextmanager
    def leading(self, announcement: Announcement, device: torch.device) -> Iterator[Group]:
        """Announce a training, and connect the processes for as long as it lasts."""
        self._store.set(self._name(), json.dumps(asdict(announcement)))
        with self._connected(device) as group:
            yield group

    def announcements(self) -> Iterator[Announcement]:
        """Yield each training that the first process announces, until its command ends."""
        while True:
            while not self._store.check([self._name()]):
                if self._store.check(["ended"]):
                    return
                time.sleep(_POLL_S)  # not by waiting in the store, where no signal reaches Python
            yield from_json(self._store.get(self._name()).decode(), Announcement)

    @contextmanager
    def joining(self, device: torch.device) -> Iterator[Group]:
        """Take part in the training that was announced last."""
        with self._connected(device) as group:
            yield group

    @contextmanager
    def _connected(self, device: torch.device) -> Iterator[Group]:
        store = PrefixStore(f"{self._name()}-of", self._store)
        self._trainings += 1
        gpu = device if device.type == "cuda" else None
        backend = "gloo" if gpu is None else "nccl"
        dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, device_id=gpu)
        try:
            yield Group(self.rank, self.size)
        finally:
            dist.destroy_process_group()

    def _name(self) -> str:
        return f"training-{self._trainings}"


@cache
def this_process() -> Process | None:
    """Return this process as one of those that torchrun started, or None where it did not."""
    return Process() if dist.is_torchelastic_launched() else None
