"""Shared fixtures, and the guard that no test and no import of one changes what others in its process compute."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

_FUSION = "TRITON_DEFAULT_FP_FUSION"
_OF_IMPORTS = ("KMP_", "PYTEST_", "TORCH", "_TORCH", "TRITON_", "HF_", "LD_LIBRARY_PATH")
"""Variables that packages set when they are imported (the last OpenCV), and pytest's own."""

_BEFORE = pytest.StashKey[dict[str, object]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.addoption("--real-data", type=Path, default=beside, help="folder of the real images (%(default)s)")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_BEFORE] = _process_state()
    if _FUSION not in os.environ:
        # Triton 3.9 warns unless this is set, and it is read at import.
        os.environ[_FUSION] = "1"
        config.add_cleanup(lambda: os.environ.pop(_FUSION, None))


def pytest_collection_finish(session: pytest.Session) -> None:
    changed = _changes(session.config.stash[_BEFORE], _process_state())
    if changed:
        raise pytest.UsageError(f"importing the tests changed {changed}: use a fixture that restores it")


@pytest.fixture(autouse=True)
def _nothing_is_left_changed() -> Iterator[None]:
    """Fail a test that leaves threads, defaults or the environment other than it found them."""
    before = _process_state()
    yield
    changed = _changes(before, _process_state())
    assert not changed, f"the test left a change of {changed}"


def _process_state() -> dict[str, object]:
    variables = {f"${name}": value for name, value in os.environ.items() if not name.startswith(_OF_IMPORTS)}
    return variables | {
        "folder": os.getcwd(),
        "torch.get_num_threads": torch.get_num_threads(),
        "torch.get_default_dtype": torch.get_default_dtype(),
        "torch.is_grad_enabled": torch.is_grad_enabled(),
        "torch.are_deterministic_algorithms_enabled": torch.are_deterministic_algorithms_enabled(),
        "torch.backends.cudnn.benchmark": torch.backends.cudnn.benchmark,
    }


def _changes(before: dict[str, object], after: dict[str, object]) -> str:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return ", ".join(f"{name} from {before.get(name)} to {after.get(name)}" for name in names)


@pytest.fixture(scope="module")
def every_training_learns() -> Iterator[None]:
    """Let trainings of a second pass for such that learned something."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ssimae.training.train.PLATEAU", math.inf)
        yield


@pytest.fixture(scope="session")
def shared_data(request: pytest.FixtureRequest) -> Path:
    """Folder of the real images; tests that need it are skipped where it is absent."""
    folder: Path = request.config.getoption("--real-data")
    if not folder.is_dir():
        pytest.skip(f"needs the real images in {folder}, or in the folder that --real-data names")
    return folder
