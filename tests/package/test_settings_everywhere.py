"""Whatever follows from the fields of `Settings` agrees with them: Detector, its presets, and the generated files."""

import dataclasses
import importlib.util
import inspect
from pathlib import Path

import pytest
from sklearn.base import clone
from ssimae import Detector, Settings, preset

ROOT = Path(__file__).parents[2]
OWN = {"preset", "minutes", "pretrained", "device", "warm_start", "progress"}


def test_the_defaults_of_a_detector_are_those_of_the_settings() -> None:
    parameters = Detector().get_params()
    assert {name: value for name, value in parameters.items() if name not in OWN} == dataclasses.asdict(Settings())
    assert parameters.keys() & OWN == OWN
    signature = inspect.signature(Detector).parameters
    assert {name: signature[name].default for name in parameters} == parameters


def test_a_preset_gives_a_detector_its_settings_and_single_ones_replace_them() -> None:
    parameters = Detector(preset="best-texture", stride=64).get_params()
    wanted = dataclasses.asdict(dataclasses.replace(preset("best-texture"), stride=64))
    assert {name: parameters[name] for name in wanted} == wanted


def test_a_clone_of_a_detector_has_its_parameters_whatever_its_preset() -> None:
    detector = Detector(preset="paper", stains=1, device="cpu")
    assert clone(detector).get_params() == detector.get_params()


def test_setting_a_preset_sets_what_it_names_and_single_settings_after_it() -> None:
    detector = Detector(stride=7, epochs=3).set_params(preset="best", epochs=5)
    wanted = dataclasses.asdict(dataclasses.replace(preset("best"), epochs=5))
    assert {name: detector.get_params()[name] for name in wanted} == wanted


def test_an_unknown_parameter_of_a_detector_is_refused_by_its_name() -> None:
    with pytest.raises(TypeError, match="no parameter `strid`"):
        Detector(strid=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="`preset` must be one of"):
        Detector(preset="letter")  # type: ignore[arg-type]


def generator(name: str):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "generate" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "docs" / "generate").glob("*.py")))
def test_generated_files_are_up_to_date(name: str) -> None:
    for path, content in generator(name).generated().items():
        assert path.read_text() == content, f"{path.name} is stale: run `make generated`"
