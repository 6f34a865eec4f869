"""Train and set thresholds, without inspecting anything: the first half of `run`."""

from __future__ import annotations

from ssimae.cli.verbs.run import run_or_train


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    return run_or_train("train", arguments, train_only=True, description=str(__doc__))
