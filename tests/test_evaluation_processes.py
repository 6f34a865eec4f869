"""Evaluators in forked and several processes, and what a temporary file that fails leaves."""

import multiprocessing
import sys

import numpy as np
import pytest
from ssimae.evaluation import Evaluator
from test_evaluator import found_by, gathered, numbers


def image(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = rng.random((120, 130)) < 0.02
    return (rng.normal(size=mask.shape) + mask).astype(np.float32), mask


def _add_and_compute(evaluator: Evaluator, seed: int, barrier, answers) -> None:
    evaluator.update(*image(seed))
    barrier.wait()  # both have written before either reads
    answers.put((seed, numbers(found_by(evaluator))))


@pytest.mark.skipif(sys.platform != "linux", reason="needs processes that are forked")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_processes_do_not_write_to_one_file() -> None:
    evaluator = Evaluator(memory_limit=0)
    evaluator.update(*image(0))
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(2), context.Queue()
    seeds = (1, 2)
    workers = [
        context.Process(target=_add_and_compute, args=(evaluator, seed, barrier, answers), daemon=True)
        for seed in seeds
    ]
    for worker in workers:
        worker.start()
    found = dict(answers.get(timeout=30) for _ in workers)
    for worker in workers:
        worker.join()
    for seed in seeds:
        assert found[seed] == numbers(found_by(gathered(*zip(image(0), image(seed)))))
    assert numbers(found_by(evaluator)) == numbers(found_by(gathered(*zip(image(0)))))
