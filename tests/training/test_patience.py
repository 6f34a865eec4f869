"""A training that leads nowhere is given up: not before others would have left the plateau, nor too late."""

import pytest
from ssimae.training.train import patience


@pytest.mark.parametrize(("steps", "given_up"), [(100, 40), (1000, 400), (1500, 600), (2000, 600), (8000, 2000)])
def test_short_trainings_wait_longer(steps: int, given_up: int) -> None:
    assert patience(steps) == given_up
