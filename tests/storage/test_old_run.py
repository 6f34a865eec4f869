"""A run folder of an earlier version is still read, reported, evaluated and inspected with.

``old_run`` holds a run with ``--compare l2`` and a prediction, written by commit 3f3ef1e on made-up images of 72 x 40
pixels. To keep it small, weights near zero were set to zero before the images were inspected, only every fourth line
of the logs is kept, and what the report does not need is left out, the weights of the second model among it. Its
second model is one whose training collapsed, which that version told in a warning alone.
"""

import dataclasses
import json
import lzma
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from ssimae import Detector, read_image
from ssimae.cli import main
from ssimae.config.settings import Settings
from ssimae.config.stored import settings_from_dict
from ssimae.images.maps import read_float_map
from ssimae.storage.facts import Facts, PredictFacts
from ssimae.storage.records import read_results
from ssimae.storage.run_folder import RunFolder

STORED = Path(__file__).parent / "old_run"
# Convolutions add in another order on other processors; residuals of SSIM here are up to 2.
RESIDUAL_ATOL = 1e-4


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a copy of the stored folder whose runs find their images."""
    root = tmp_path / "old"
    shutil.copytree(STORED, root)
    for path in (*root.rglob("config.toml"), *root.rglob("predictions.csv")):
        path.write_text(path.read_text().replace("/data/mesh", str(root / "mesh")))
    packed = root / "run" / "model.safetensors.xz"
    packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
    return root


def test_settings_and_facts_are_those_of_the_run(old: Path) -> None:
    settings, facts = RunFolder(old / "run").read_training()
    assert (settings.patch_size, settings.latent_dim, settings.min_area, settings.loss) == (32, 8, 12, "ssim")
    assert settings.residual_scales == Settings().residual_scales
    assert facts.data == old / "mesh"
    assert (facts.dataset, facts.layout, facts.train_images, facts.commit) == ("mesh", "mvtec", 4, "3f3ef1e243c5")
    assert (facts.held_out, facts.compare, facts.ignore, facts.weights) == (True, "l2", None, None)
    assert facts.held_out_images == facts.threshold_images == tuple(f"train/good/{name}.png" for name in "abcd")
    assert facts.plateau == pytest.approx(0.857, abs=1e-3)


def test_a_collapse_that_only_a_warning_told_is_still_known(old: Path) -> None:
    first, second = (RunFolder(old / "run" / part).read_training()[1] for part in (".", "l2"))
    assert (first.collapsed, first.graded_warnings()) == (False, [])
    assert second.collapsed
    assert second.graded_warnings() == [(second.warnings[0], True)]


def test_facts_written_again_keep_every_key_and_value(old: Path) -> None:
    for folder in (RunFolder(old / "run"), RunFolder(old / "run" / "l2"), RunFolder(old / "predicted")):
        before = tomllib.loads(folder.config.read_text())
        settings, facts = folder.read_config()
        folder.write_config(settings, facts)
        after = tomllib.loads(folder.config.read_text())
        if isinstance(facts, Facts):
            assert after["run"].pop("collapsed") == facts.collapsed
            assert after["run"].pop("given") == after["run"].pop("abandoned") == []
            assert after["run"].pop("chosen") is False
            assert [after["run"].pop(name) for name in ("taught", "missed", "missed_masks")] == [[], [], []]
        else:
            assert after["run"].pop("images") == after["run"].pop("named") == []
            assert [after["run"].pop(name) for name in ("maps", "masks", "overlays")] == ["all", "none", "none"]
            assert after["run"].pop("continuous") is False
            assert after["run"].pop("skip_bad") is False
            assert after["run"].pop("engine") == "torch"
        assert after["run"].pop("passed_over") == []
        # Settings that did not exist then are added, as what that version did.
        earlier = dataclasses.asdict(settings_from_dict({}, stored=True))
        for name in after["settings"].keys() - before["settings"].keys():
            assert after["settings"].pop(name) == earlier[name]
        assert after == before


def test_report_shows_the_collapse_as_an_alarm(old: Path) -> None:
    assert main(["report", str(old / "run")]) == 0
    page = (old / "run" / "report.html").read_text()
    alarm = '<p class="alarm"'
    assert page.count(alarm) == 1
    assert page[page.index(alarm) :].split(">", 1)[1].startswith("L2-AE: training collapsed: loss 0.048")
    assert "4 good images of 72 × 40 pixels" in page
    assert "a band of each of train/good/a.png, train/good/b.png, train/good/c.png and train/good/d.png" in page


def test_report_needs_no_images(tmp_path: Path) -> None:
    shutil.copytree(STORED / "run", tmp_path / "run")
    assert main(["report", str(tmp_path / "run")]) == 0
    assert "their folder is not there any more" in (tmp_path / "run" / "report.html").read_text()


def test_evaluating_again_gives_the_same_metrics(old: Path) -> None:
    stored = [old / "run" / part / "metrics.json" for part in (".", "l2")]
    before = [json.loads(path.read_text()) for path in stored]
    for path in stored:
        path.unlink()
    assert main(["evaluate", str(old / "run")]) == 0
    for path, metrics in zip(stored, before, strict=True):
        now = json.loads(path.read_text())
        assert now["fpr_limits"] == [*metrics.pop("fpr_limits"), 0.05]  # a limit that came later
        assert metrics.pop("aupros").items() <= now["aupros"].items()
        assert metrics.items() <= now.items()


def test_the_model_inspects_images_as_it_did(old: Path) -> None:
    detector = Detector.load(old / "run" / "model.safetensors")
    results = read_results(RunFolder(old / "run"))
    assert [inspection.verdict for inspection in results.inspections] == ["good", "defective", "defective"]
    for inspection in results.inspections:
        got = detector.inspect(read_image(inspection.image))
        (path,) = results.folder.judged_paths([inspection.sample])
        np.testing.assert_allclose(got.residual, read_float_map(path), rtol=0, atol=RESIDUAL_ATOL)
        assert got.verdict == inspection.verdict


def test_a_prediction_is_read_with_what_was_skipped(old: Path) -> None:
    folder = RunFolder(old / "predicted")
    _, facts = folder.read_config()
    assert isinstance(facts, PredictFacts)
    assert (facts.model, facts.ignore) == (Path("/runs/mesh/model.safetensors"), None)
    (skipped,) = read_results(folder).skipped
    assert skipped.image == Path("/data/bad.png")
    assert main(["report", str(folder.root)]) == 0
    page = folder.report.read_text()
    assert "Not inspected: /data/bad.png (not a PNG" in page
    assert "3 unlabelled: 1 good, 2 defective." in page
    with pytest.raises(ValueError, match=r"not a run that trained: `ssimae predict` wrote it"):
        folder.read_training()
