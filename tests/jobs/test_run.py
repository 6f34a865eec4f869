"""The main job from the command line: run, interruption and resume, prediction, and the refusals of bad input."""

import csv
import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from ssimae.cli import main
from support.small_data import SETTINGS, write_small_dataset


@pytest.fixture
def data(tmp_path):
    return write_small_dataset(tmp_path / "my data")


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(*arguments):
    return main(["run", *map(str, arguments)])


def test_run_writes_the_whole_folder(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--data", data, "--out", out, "--compare", "l2", *SETTINGS) == 0
    assert str(out / "report.html") in capsys.readouterr().out
    for part in (out, out / "l2"):
        for name in (
            "config.toml",
            "model.safetensors",
            "log.jsonl",
            "thresholds.json",
            "predictions.csv",
            "regions.csv",
        ):
            assert (part / name).stat().st_size > 0
        metrics = json.loads((part / "metrics.json").read_text())
        assert 0 <= metrics["auroc"] <= 1
        assert metrics["by_defect"].keys() == {"hole"}
        assert metrics["by_defect"]["hole"]["auroc"] == pytest.approx(metrics["auroc"], abs=1e-15)
        assert len(list((part / "residuals").rglob("*.tiff"))) == 3
    rows = table(out / "predictions.csv")
    assert sorted(row["name"] for row in rows) == ["e", "f", "g"]
    before = (out / "metrics.json").read_bytes()
    capsys.readouterr()
    assert main(["evaluate", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].split() == ["SSIM-AE", "L2-AE"]
    assert said[2].split()[:2] == ["Pixel", "AUROC"]
    assert float(said[2].split()[2]) == pytest.approx(json.loads(before)["auroc"], abs=1e-4)
    assert (out / "metrics.json").read_bytes() == before
    assert main(["report", str(out)]) == 0


def test_same_seed_gives_the_same_weights_and_another_seed_others(data, tmp_path):
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        assert main(["train", "--data", str(data), "--out", str(tmp_path / name), "--seed", str(seed), *SETTINGS]) == 0
    one, two, three = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two", "three"))
    assert all(np.array_equal(one[key], two[key]) for key in one)
    assert not all(np.array_equal(one[key], three[key]) for key in one)


LONG = [*SETTINGS, "--epochs", "20", "--checkpoint-every", "0"]
"""Flags of a training that is still going on when it is stopped."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Weights of the long training, by name."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    data = write_small_dataset(folder / "data")
    assert main(["train", "--data", str(data), "--out", str(folder / "out"), *LONG]) == 0
    return load_file(folder / "out" / "model.safetensors")


@pytest.mark.parametrize(
    "how",
    [*(pytest.param(how, marks=pytest.mark.exhaustive) for how in (signal.SIGINT, signal.SIGTERM)), signal.SIGKILL],
)
def test_a_stopped_run_resumes_to_the_same_weights(data, tmp_path, uninterrupted, how):
    out = tmp_path / "stopped"
    command = [sys.executable, "-m", "ssimae", "train", "--data", str(data), "--out", str(out), *LONG]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    state = out / "state" / "training.safetensors"
    while not state.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(how)
    _, errors = process.communicate(timeout=120)
    expected = -signal.SIGKILL if how == signal.SIGKILL else 128 + how
    assert process.returncode == expected, errors
    assert not (out / "model.safetensors").exists()
    assert main(["train", "--resume", str(out), "--allow-collapsed"]) == 0
    resumed = load_file(out / "model.safetensors")
    assert all(np.array_equal(uninterrupted[key], resumed[key]) for key in uninterrupted)
    steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))


def test_a_folder_without_masks_gives_a_report_and_no_metrics(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--data", data / "train/good", "--out", out, *SETTINGS) == 0
    assert not (out / "metrics.json").exists()
    assert "no ground-truth masks" in (out / "report.html").read_text()
    assert "AUROC" not in capsys.readouterr().out


def test_predict_inspects_files_and_skips_bad_ones_when_told(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["train", "--data", str(data), "--out", str(out), *SETTINGS]) == 0
    (data / "test/hole/broken.png").write_bytes(b"not an image")
    arguments = ["predict", str(out), str(data / "test/hole"), "--allow-collapsed"]
    assert main([*arguments, "--out", str(tmp_path / "p")]) == 2
    assert "broken.png" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()
    assert main([*arguments, "--out", str(tmp_path / "p"), "--skip-bad"]) == 3
    rows = table(tmp_path / "p/predictions.csv")
    assert {row["name"]: row["verdict"] for row in rows}["broken"] == "skipped"
    assert len(rows) == 3


def test_an_earlier_run_is_not_overwritten_without_force(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["train", "--data", str(data), "--out", str(out), *SETTINGS]) == 0
    before = (out / "model.safetensors").read_bytes()
    assert main(["train", "--data", str(data), "--out", str(out), *SETTINGS]) == 2
    assert "--force" in capsys.readouterr().err
    assert (out / "model.safetensors").read_bytes() == before
    assert main(["train", "--data", str(data), "--out", str(out), "--force", *SETTINGS]) == 0
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("dear")
    assert main(["train", "--data", str(data), "--out", str(foreign), "--force", *SETTINGS]) == 2
    assert (foreign / "letter.txt").read_text() == "dear"


def refused(capsys, *arguments):
    assert main(list(map(str, arguments))) == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    return errors


def test_bad_input_gets_one_clear_line_and_exit_code_2(data, tmp_path, capsys):
    assert "/nowhere" in refused(capsys, "run", "--data", "/nowhere")
    assert "`stride`" in refused(capsys, "run", "--data", data, "--out", tmp_path / "o", "--stride", 0)
    assert "`window_size`" in refused(capsys, "run", "--data", data, "--out", tmp_path / "o", "--window-size", 10)
    assert "smaller than a patch" in refused(
        capsys, "run", "--data", data, "--out", tmp_path / "o", "--preset", "default"
    )
    assert "unknown verb" in refused(capsys, "walk")
    assert "not a run folder" in refused(capsys, "report", tmp_path)
    (tmp_path / "fake.safetensors").write_bytes(b"\x08" + b"\0" * 20)
    assert "fake.safetensors" in refused(capsys, "predict", tmp_path / "fake.safetensors", data / "test/hole")
    (data / "ground_truth/hole/f_mask.png").unlink()
    assert "f.png" in refused(capsys, "run", "--data", data, "--out", tmp_path / "o", *SETTINGS)
    assert not (tmp_path / "o").exists()


def test_check_lists_every_bad_file(data, capsys):
    (data / "train/good/a.png").write_bytes(b"")
    (data / "test/hole/f.png").write_bytes(b"text")
    errors = refused(capsys, "check", data, "--patch-size", 32)
    assert "a.png" in errors
    assert "f.png" in errors


def test_detector_saves_and_loads_what_it_learnt(data, tmp_path):
    import ssimae

    detector = ssimae.Detector(
        patch_size=32, latent_dim=8, patches=48, epochs=3, batch_size=16, stride=16, opening=0, min_area=4, device="cpu"
    )
    detector.fit(sorted((data / "train/good").iterdir()))
    images = sorted((data / "test/hole").iterdir())
    scores = detector.score_samples(images)
    assert set(detector.predict(images)) <= {-1, 1}
    detector.save(tmp_path / "model.safetensors")
    loaded = ssimae.Detector.load(tmp_path / "model.safetensors", device="cpu")
    assert np.array_equal(loaded.score_samples(images), scores)
    prediction = loaded.inspect(images[0])
    assert prediction.mask.shape == prediction.residual.shape == (70, 96)
    with pytest.raises(ValueError, match="shape"):
        loaded.inspect(np.zeros((70, 96, 3), np.float32))


def test_trained_networks_are_inspected_again_with_other_settings(data, tmp_path, capsys):
    out, again, ignore = tmp_path / "out", tmp_path / "again", tmp_path / "ignore.png"
    assert run("--data", data, "--out", out, "--compare", "l2", *SETTINGS) == 0
    assert run("--weights", out, "--out", again, "--residual-smoothing", "2", "--allow-collapsed") == 0
    for part in ("", "l2"):
        before, after = load_file(out / part / "model.safetensors"), load_file(again / part / "model.safetensors")
        assert all(np.array_equal(before[name], after[name]) for name in before)
        assert (out / part / "log.jsonl").read_bytes() == (again / part / "log.jsonl").read_bytes()
        assert (out / part / "metrics.json").read_bytes() != (again / part / "metrics.json").read_bytes()
    # The same settings give the same results, and an interrupted second look goes on.
    same = tmp_path / "same"
    assert run("--weights", out, "--out", same, "--allow-collapsed") == 0
    assert (same / "metrics.json").read_bytes() == (out / "metrics.json").read_bytes()
    (same / "l2" / "model.safetensors").unlink()
    assert run("--resume", same, "--allow-collapsed") == 0
    assert (same / "l2" / "metrics.json").read_bytes() == (out / "l2" / "metrics.json").read_bytes()
    capsys.readouterr()
    assert "`--seed` 1 needs a training of its own" in refused(capsys, "run", "--weights", out, "--seed", 1)
    Image.fromarray(np.eye(70, 96, dtype=np.uint8)).save(ignore)
    assert "other images or masks" in refused(capsys, "run", "--weights", out, "--ignore", ignore)
    assert "exclude each other" in refused(capsys, "run", "--weights", out, "--resume", same)
    (out / "l2" / "model.safetensors").unlink()
    assert "no trained L2-AE" in refused(capsys, "run", "--weights", out)


def test_the_report_of_a_prediction_names_what_could_not_be_read(data, tmp_path, capsys):
    out, found = tmp_path / "out", tmp_path / "found"
    assert main(["train", "--data", str(data), "--out", str(out), *SETTINGS]) == 0
    (data / "test/hole/broken.png").write_bytes(b"")
    assert (
        main(["predict", str(out), str(data / "test/hole"), "--out", str(found), "--skip-bad", "--allow-collapsed"])
        == 3
    )
    assert main(["report", str(found)]) == 0
    page = (found / "report.html").read_text()
    assert re.search(r"Not inspected: \S+ ?\S*broken\.png \(", page)
    # A prediction has no training images to go on with.
    assert "not a run that trained" in refused(capsys, "run", "--resume", found)
    assert "not a run that trained" in refused(capsys, "evaluate", found)


def test_what_a_run_reads_is_not_overwritten(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--data", data, "--out", out, *SETTINGS) == 0
    before = (out / "model.safetensors").read_bytes()
    for target in (out, out / "inner"):
        assert "choose another --out" in refused(capsys, "run", "--weights", out, "--out", target, "--force")
    assert "choose another --out" in refused(capsys, "run", "--data", data, "--out", data.parent, "--force", *SETTINGS)
    assert "choose another --out" in refused(
        capsys, "predict", out, data / "test/hole", "--out", out, "--force", "--allow-collapsed"
    )
    assert (out / "model.safetensors").read_bytes() == before
    assert "cannot be given with --resume" in refused(capsys, "run", "--resume", out, "--data", data)
    assert "is the first model already" in refused(capsys, "run", "--data", data, "--compare", "ssim")


def test_results_beside_the_images_are_not_trained_on(data, tmp_path):
    photos = data / "train/good"
    first = photos / "runs" / "first"
    assert run("--data", photos, "--out", first, *SETTINGS) == 0
    assert len(list(first.rglob("*.tiff"))) > 0
    assert run("--data", photos, "--out", photos / "runs" / "second", *SETTINGS) == 0
    assert run("--resume", first, "--allow-collapsed") == 0  # nor have the images changed
    names = {row["name"] for row in table(photos / "runs" / "second" / "predictions.csv")}
    assert names == {"a", "b", "c", "d"}
