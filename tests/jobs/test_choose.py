"""A run without a preset chooses its settings, within minutes, and an interrupted one does not choose twice."""

import csv
import json
import signal
import tomllib

import numpy as np
import pytest
from ssimae.calibration import expectation
from ssimae.cli import main
from ssimae.images.maps import read_float_map
from ssimae.jobs import choose as stage
from ssimae.jobs import run as runs
from ssimae.storage.model_file import load_model
from ssimae.tuning import recipe
from support.small_data import write_small_dataset

FAST = [*("--minutes", "0.05", "--latent-dim", "8", "--batch-size", "16", "--precision", "float32"), "--stride=16"]
CANDIDATES = [(1.0, 64), (0.5, 64), (1.0, 128)]
"""Scales and patch sizes that images of 140 x 260 pixels allow."""

FIXED = [*("--calibration", "border", "--residual-smoothing", "2")]


def read(out):
    return json.loads((out / "choices.json").read_text()), tomllib.loads((out / "config.toml").read_text())


def assert_verdicts_follow_calibrated_scores(out, review, shape):
    with (out / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["name"] for row in rows) == ["e", "f", "g"]
    for row in rows:
        flagged = row["verdict"] != "good"
        assert flagged == (float(row["score"]) > review) == bool(row["reason"])
        judged = read_float_map(out / "calibrated" / row["defect"] / f"{row['name']}.tiff")
        assert judged.shape == shape
        assert np.isfinite(judged).all()


def test_trials_of_an_interrupted_run_are_kept_and_the_run_goes_to_its_end(tmp_path, monkeypatch, capsys):
    data, out = write_small_dataset(tmp_path / "data", 140, 260), tmp_path / "out"
    write = stage.write_choices

    def interrupt_after_writing(folder, **parts):
        write(folder, **parts)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(recipe, "_SHORTEST_TRIAL", 0.1)
    monkeypatch.setattr(expectation, "_STEPS", 100)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "write_choices", interrupt_after_writing)
        assert main(["run", "--data", str(data), "--out", str(out), *FAST, *FIXED]) == 130
    assert f"go on with: ssimae run --resume {out}" in capsys.readouterr().err
    before, config = read(out)
    assert len(before["trials"]) == 1
    assert not config["run"]["chosen"]
    assert not (out / "model.safetensors").exists()

    assert main(["run", "--resume", str(out), "--allow-collapsed"]) == 0
    after, config = read(out)
    said = capsys.readouterr().err
    assert ("no trial learned anything" in said) == all(trial["collapsed"] for trial in after["trials"])
    assert after["trials"][0] == before["trials"][0]  # to the bit: it was not repeated
    assert [(trial["scale"], trial["patch_size"]) for trial in after["trials"]] == CANDIDATES
    for trial in after["trials"]:
        assert trial["collapsed"] == (trial["loss"] > 0.97 * trial["plateau"])
        assert trial["score"] == 0 or not trial["collapsed"]
    chosen = config["settings"]
    assert config["run"]["chosen"]
    assert config["run"]["minutes"] == 0.05
    assert (chosen["scale"], chosen["patch_size"]) in CANDIDATES
    assert (chosen["latent_dim"], chosen["batch_size"], chosen["stride"], chosen["channels"]) == (8, 16, 16, 1)

    settled = load_model(out / "model.safetensors")
    assert settled.reference is not None
    assert (settled.settings.calibration, settled.settings.smoothing) == ("border", 2)
    assert (chosen["calibration"], chosen["residual_smoothing"]) == ("border", 2)
    assert {treatment["calibration"] for treatment in after["treatments"]} == {"border"}
    assert {treatment["residual_smoothing"] for treatment in after["treatments"]} == {2}
    assert_verdicts_follow_calibrated_scores(out, settled.thresholds.review, (140, 260))
    assert json.loads((out / "pod.json").read_text())

    # A run that chose its settings goes on at its thresholds: nothing is tried or trained again.
    def reached(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "threshold_stage", reached)
    model = (out / "model.safetensors").read_bytes()
    capsys.readouterr()
    assert main(["run", "--resume", str(out), "--allow-collapsed"]) == 130
    assert "Trying" not in capsys.readouterr().err
    assert (out / "model.safetensors").read_bytes() == model
    assert read(out)[0] == after


def test_in_no_time_one_training_is_sized_to_what_there_is(tmp_path, capsys):
    data, out = write_small_dataset(tmp_path / "data"), tmp_path / "out"
    assert main(["train", "--data", str(data), "--out", str(out), *FAST, "--minutes", "0.01", "--allow-collapsed"]) == 0
    said = capsys.readouterr().err
    assert "Found 4 good images of 96 x 70, gray" in said
    assert "Training patches of 32 at full size; the model is ready in about 0.01 min" in said
    settings = tomllib.loads((out / "config.toml").read_text())["settings"]
    patches = settings["patches"] * settings["epochs"]
    assert f"Training on {patches} patches in gray, latent dimension 8" in said
    assert "trials" not in read(out)[0]  # no trainings were compared


@pytest.mark.parametrize("minutes", ["0", "-1", "inf", "nan"])
def test_minutes_that_are_none_are_refused(tmp_path, capsys, minutes):
    assert main(["run", "--data", str(tmp_path), "--minutes", minutes]) == 2
    assert "`--minutes` must be positive and finite" in capsys.readouterr().err


def test_minutes_are_for_the_preset_that_chooses(tmp_path, capsys):
    assert main(["run", "--data", str(tmp_path), "--preset", "best", "--minutes", "3"]) == 2
    assert "`--minutes` is for the preset auto" in capsys.readouterr().err


def test_a_training_that_leads_nowhere_is_begun_again_with_other_settings(tmp_path, capsys):
    """With no learning rate to speak of nothing leaves the plateau: the last one is trained to its end, with a word."""
    data, out = write_small_dataset(tmp_path / "data", 96, 200), tmp_path / "out"
    assert main(["run", "--data", str(data), "--out", str(out), *FAST, *FIXED, "--lr", "1e-9"]) == 4
    said = capsys.readouterr().err
    assert "Gave up patches of 64 at scale 1: no better than a constant output after" in said
    assert "Gave up patches of 32 at scale 0.5" in said
    facts = tomllib.loads((out / "config.toml").read_text())["run"]
    assert facts["abandoned"] == ["1 64", "0.5 32"]
    assert facts["collapsed"]
    steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))  # of the last training alone
