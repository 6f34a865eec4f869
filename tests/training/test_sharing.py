"""Processes that share a training take the steps of one alone, and stop together."""

import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.numpy import load_file
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.errors import InterruptedRunError
from ssimae.training.monitor import SilentMonitor
from ssimae.training.sharing.group import Group
from ssimae.training.train import train
from support.small_data import SETTINGS, write_small_dataset

CPU = torch.device("cpu")
IMAGE = np.random.default_rng(0).random((50, 60), dtype=np.float32)
# The last batch of an epoch holds one patch, fewer than there are processes.
SMALL = Settings(patch_size=32, latent_dim=8, patches=49, epochs=2, batch_size=16, precision="float32", lr=1e-3)
VARIED = {"ssim": {}, "stains": {"stains": 2}, "vae": {"loss": "vae"}}

# Sums of float32 in another order, over 8 steps of Adam.
SAME = 1e-4

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are forked"),
    # torch's threads are not in the fork; `steady` has it compute without them.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


class Recorder(SilentMonitor):
    """A monitor that keeps the losses, and does something after a number of steps."""

    def __init__(self, step: int = -1, *, leaves: bool = False, asked: int | None = None) -> None:
        self.losses: list[float] = []
        self._step, self._leaves, self._asked = step, leaves, asked

    def stepped(self, patches: int, loss: float) -> None:
        self.losses.append(loss)
        if self._leaves and len(self.losses) == self._step:
            os._exit(0)

    def interrupted(self) -> int | None:
        return self._asked if len(self.losses) == self._step else None


def in_two_processes(folder: Path, settings: Settings, *monitors: Recorder) -> list[dict[str, np.ndarray]]:
    """Train in two forked processes; return what came of each: losses, weights, and the signal that ended it."""

    def one(rank: int) -> None:
        store = dist.FileStore(str(folder / "store"), 2)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
        state = folder / "state" if rank == 0 else None
        ended, weights = 0, {}
        try:
            model = train(
                [IMAGE], settings, device=CPU, state=state, group=Group(rank, 2), monitor=monitors[rank]
            ).model
            weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
        except InterruptedRunError as error:
            ended = error.signal
        np.savez(folder / f"{rank}.npz", losses=monitors[rank].losses, ended=ended, **weights)
        os._exit(0)

    (folder / "store").unlink(missing_ok=True)
    forks = [multiprocessing.get_context("fork").Process(target=one, args=(rank,)) for rank in range(2)]
    for fork in forks:
        fork.start()
    for fork in forks:
        fork.join(60)
        assert fork.exitcode == 0
    files = [folder / f"{rank}.npz" for rank in range(2)]
    return [dict(np.load(path)) if path.exists() else {} for path in files]


def alone(settings: Settings) -> list[float]:
    """Return the losses of one process."""
    monitor = Recorder()
    train([IMAGE], settings, device=CPU, monitor=monitor)
    return monitor.losses


@pytest.mark.parametrize("name", VARIED)
def test_two_processes_take_the_steps_of_one(tmp_path, name):
    settings = dataclasses.replace(SMALL, **VARIED[name])
    first, second = in_two_processes(tmp_path, settings, Recorder(), Recorder())
    np.testing.assert_allclose(first["losses"], alone(settings), rtol=SAME)
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])


def test_a_signal_to_any_process_stops_all_after_the_same_step(tmp_path):
    first, second = in_two_processes(tmp_path, SMALL, Recorder(), Recorder(3, asked=signal.SIGINT))
    assert (first["ended"], second["ended"]) == (signal.SIGTERM, signal.SIGINT)
    np.testing.assert_array_equal(first["losses"], second["losses"])
    rest, others = in_two_processes(tmp_path, SMALL, Recorder(), Recorder())
    np.testing.assert_array_equal(rest["losses"], others["losses"])
    np.testing.assert_allclose([*first["losses"], *rest["losses"]], alone(SMALL), rtol=SAME)


def test_where_a_process_dies_the_others_stop_and_one_goes_on_from_the_state(tmp_path):
    settings = dataclasses.replace(SMALL, checkpoint_every=0)
    first, second = in_two_processes(tmp_path, settings, Recorder(), Recorder(3, leaves=True))
    assert not second
    assert first["ended"] == signal.SIGTERM
    monitor = Recorder()
    train([IMAGE], settings, device=CPU, state=tmp_path / "state", monitor=monitor)
    np.testing.assert_allclose([*first["losses"], *monitor.losses], alone(settings), rtol=SAME)


@pytest.mark.exhaustive
def test_torchrun_starts_again_where_the_first_process_is_killed(tmp_path):
    data = write_small_dataset(tmp_path / "data")
    long = [*SETTINGS, "--epochs", "20", "--checkpoint-every", "0"]
    out = tmp_path / "two"
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"),
        *("-m", "ssimae", "train", "--data", str(data), "--out", str(out), *long),
    ]
    torchrun = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    log = out / "log.jsonl"
    while torchrun.poll() is None and not (log.exists() and log.read_text().count("\n") >= 5):
        time.sleep(0.01)
    os.kill(_first_process(torchrun.pid), signal.SIGKILL)
    printed, errors = torchrun.communicate(timeout=300)
    assert torchrun.returncode == 0, errors
    assert printed.count("written") == 1
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "one"), *long]) == 0
    two, one = (
        [(line["step"], line["patches"], line["loss"]) for line in map(json.loads, path.read_text().splitlines())]
        for path in (log, tmp_path / "one/log.jsonl")
    )
    np.testing.assert_allclose(two[:8], one[:8], rtol=SAME)
    # Over 60 steps other roundings grow to a hundredth, also where no process is killed; one forgotten step is more.
    np.testing.assert_allclose(two, one, rtol=3e-2)
    assert load_file(out / "model.safetensors").keys() == load_file(tmp_path / "one/model.safetensors").keys()


def _first_process(torchrun: int) -> int:
    """Return the process that leads."""
    for task in Path(f"/proc/{torchrun}/task").iterdir():
        for child in (task / "children").read_text().split():
            if "RANK=0" in Path(f"/proc/{child}/environ").read_text().split("\0"):
                return int(child)
    raise AssertionError("torchrun has no first process")
