"""What a program prints on several numbers of Rust's threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Rust's threads start once in a process, with the number that is set then. Importing torch takes longer than most
# programs here, so it is imported once, and each number gets a fork of that process.
_FORKS = """
import os, sys
import numpy, torch, ssimae, ssimae._rust
program, counts = sys.argv[1], sys.argv[2:]
for threads in counts:
    fork = os.fork()
    if fork == 0:
        failed = 1
        try:
            os.environ["RAYON_NUM_THREADS"] = threads
            exec(program, {"__name__": "program"})
            print(end="\\0", flush=True)
            failed = 0
        finally:
            os._exit(failed)
    if os.waitpid(fork, 0)[1]:
        sys.exit(f"the program failed on {threads} threads")
"""


def printed_on_threads(program: str, *counts: int) -> list[str]:
    """Run a program on each number of threads, each time in a process of its own.

    Parameters
    ----------
    program : str
        Python source; helpers of the tests can be imported.
    counts : int
        Numbers of threads.

    Returns
    -------
    list of str
        What the program printed, for each number of threads.
    """
    if not hasattr(os, "fork"):
        pytest.skip("needs processes that are forked")
    done = subprocess.run(
        [sys.executable, "-c", _FORKS, program, *map(str, counts)],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split("\0")[:-1]
    assert len(printed) == len(counts)
    return printed
