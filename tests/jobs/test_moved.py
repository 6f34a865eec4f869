"""Data, runs and predictions that were moved give the same results, or one line that says what to do."""

from pathlib import Path

import pytest
from ssimae.cli import main
from support.small_data import SETTINGS, write_small_dataset

pytestmark = pytest.mark.usefixtures("every_training_learns")

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images and a finished run with a comparison; what is moved out of it is moved back."""
    root = tmp_path_factory.mktemp("moved")
    data = write_small_dataset(root / "data")
    assert main(["run", "--data", str(data), "--out", str(root / "run"), "--compare", "l2", *SETTINGS]) == 0
    return root


def page(run: Path) -> str:
    assert main(["report", str(run)]) == 0
    return (run / "report.html").read_text()


def test_a_run_goes_on_where_its_data_has_been_moved_to(here: Path, tmp_path: Path, capsys: Said) -> None:
    run, data = here / "run", here / "data"
    metrics = [(run / part / "metrics.json").read_bytes() for part in (".", "l2")]
    before = page(run)
    moved = data.rename(tmp_path / "else where")
    for verb in (["run", "--resume"], ["evaluate"]):
        capsys.readouterr()
        assert main([*verb, str(run)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == (
            f"ssimae: {data}: not there any more; if it has been moved, write its place to `data` in {run}/config.toml"
        )
    config = run / "config.toml"
    config.write_text(config.read_text().replace(f'data = "{data}"', f'data = "{moved}"'))
    after = page(run)
    assert "not there any more" not in after
    assert after.count("<figcaption>") == before.count("<figcaption>")
    assert after.count("data:image/jpeg") == before.count("data:image/jpeg")
    assert main(["evaluate", str(run)]) == 0
    assert main(["run", "--resume", str(run)]) == 0
    assert [(run / part / "metrics.json").read_bytes() for part in (".", "l2")] == metrics
    # Other images under that name are not taken for those.
    image = moved / "test/hole/f.png"
    content = image.read_bytes()
    image.write_bytes((moved / "test/hole/g.png").read_bytes())
    capsys.readouterr()
    assert main(["run", "--resume", str(run)]) == 2
    assert "the images have changed" in capsys.readouterr().err
    image.write_bytes(content)
    moved.rename(data)
    config.write_text(config.read_text().replace(f'data = "{moved}"', f'data = "{data}"'))


def test_a_run_that_is_moved_is_the_same_run(here: Path, tmp_path: Path) -> None:
    assert main(["run", "--resume", str(here / "run")]) == 0
    metrics, predictions = ((here / "run" / name).read_bytes() for name in ("metrics.json", "predictions.csv"))
    run = (here / "run").rename(tmp_path / "shelf")
    assert main(["evaluate", str(run)]) == 0
    assert main(["run", "--resume", str(run)]) == 0
    assert "not there any more" not in page(run)
    assert (run / "metrics.json").read_bytes() == metrics
    assert (run / "predictions.csv").read_bytes() == predictions
    run.rename(here / "run")


def test_a_prediction_whose_model_or_images_were_moved_says_so(here: Path, tmp_path: Path, capsys: Said) -> None:
    out, data = tmp_path / "out", here / "data"
    assert main(["predict", str(here / "run"), str(data / "test"), "--out", str(out)]) == 0
    out = out.rename(tmp_path / "moved")
    assert main(["predict", "--resume", str(out)]) == 0
    run = (here / "run").rename(tmp_path / "run")
    capsys.readouterr()
    assert main(["predict", "--resume", str(out)]) == 2
    assert f"{here}/run/model.safetensors: no such model file" in capsys.readouterr().err
    run.rename(here / "run")
    data.rename(tmp_path / "data")
    assert main(["predict", "--resume", str(out)]) == 2
    assert f"{data}/test: no such image or folder" in capsys.readouterr().err
    assert f"The original is not there any more: {data}/test" in page(out)
    (tmp_path / "data").rename(data)
