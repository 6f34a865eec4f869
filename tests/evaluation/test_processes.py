"""Evaluators share what is stored: between forked processes, and after merges, when one of them is gone or goes on."""

import gc
import multiprocessing
import sys

import numpy as np
import pytest
from ssimae.evaluation.evaluator import Evaluator
from support.evaluators import found_by, gathered, numbers


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


@pytest.mark.parametrize("limits", [(0, 0), (0, None), (None, 0)], ids=["both stored", "the other", "this one"])
def test_merged_evaluators_go_on_apart(limits) -> None:
    images = [image(seed) for seed in range(6)]
    first = gathered(*zip(*images[:2]), memory_limit=limits[0])
    second = gathered(*zip(*images[2:4]), memory_limit=limits[1])
    first.merge(second)
    first.update(*images[4])
    second.update(*images[5])
    assert numbers(found_by(first)) == numbers(found_by(gathered(*zip(*images[:5]))))
    assert numbers(found_by(second)) == numbers(found_by(gathered(*zip(*images[2:4], images[5]))))
    state = first.to_bytes()
    del first
    gc.collect()
    assert numbers(found_by(second)) == numbers(found_by(gathered(*zip(*images[2:4], images[5]))))
    assert numbers(found_by(Evaluator.from_bytes(state, memory_limit=0))) == numbers(
        found_by(gathered(*zip(*images[:5])))
    )


@pytest.mark.parametrize("memory_limit", [None, 0, 100_000])
def test_an_evaluator_merged_with_itself_has_every_image_twice(memory_limit) -> None:
    images = [image(seed) for seed in range(3)]
    evaluator = gathered(*zip(*images), memory_limit=memory_limit)
    evaluator.merge(evaluator).merge(evaluator)
    assert numbers(found_by(evaluator)) == numbers(found_by(gathered(*zip(*images * 4))))
    assert found_by(evaluator).regions.image.max() == 11


def test_other_questions_change_no_bit_of_the_answers() -> None:
    images = [image(seed) for seed in range(3)]
    evaluator = gathered(*zip(*images), memory_limit=0)
    want = numbers(found_by(evaluator))
    many = evaluator.compute(
        fpr_limits=np.linspace(0.001, 1, 100), overlap_quantiles=np.linspace(0, 1, 21), overlap_fprs=[0.0, 1.0]
    )
    assert evaluator.thresholds_at(np.array([0.0, 1.0])).tolist() == list(many.threshold_at_fpr.values())
    assert numbers(found_by(evaluator)) == want


def test_many_small_stored_runs_are_one_evaluator() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random((20, 31)) < share for share in rng.choice([0.0, 0.05, 1.0], 700)]
    maps = [(rng.normal(size=mask.shape) + mask).astype(np.float32) for mask in masks]
    assert numbers(found_by(gathered(maps, masks, memory_limit=0))) == numbers(found_by(gathered(maps, masks)))
