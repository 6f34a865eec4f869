"""What is typed next in a notebook: a detector learns from a folder, shows itself, goes on, and tells how far it is."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from ssimae import Detector, open_dataset
from ssimae.bars import shown
from ssimae.cli import main
from ssimae.detector import fit
from support.small_data import write_small_dataset


def test_a_folder_is_learned_from_as_check_takes_it(
    tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    data = write_small_dataset(tmp_path / "data")
    (data / "train" / "notes.txt").write_text("none")
    Image.fromarray(np.full((70, 96), 255, np.uint8)).save(tmp_path / "all.png")
    learned: list[list[Path]] = []

    def note(good: fit.GoodOnes, *rest: Any) -> Any:
        learned.append([Path(str(path)) for path in good.images])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit, "_read", note)
        for given in (data, str(data), open_dataset(data)):
            with pytest.raises(KeyboardInterrupt), caplog.at_level(logging.INFO):
                Detector(**tiny).fit(given)
    assert main(["check", str(data), "--json", "--patch-size", "32"]) == 0
    wanted = [Path(path) for path in json.loads(capsys.readouterr().out)["good"]]
    assert learned == [wanted] * 3
    assert f"{data}: mvtec layout, 4 good images; 3 test images are not learned from" in caplog.text
    assert "passed over 1 file: 1 with the suffix .txt, which is not read (train/notes.txt)" in caplog.text
    (data / "train" / "good" / "bad 1.png").write_bytes((data / "train" / "good" / "a.png").read_bytes())
    with pytest.raises(ValueError, match="the name says that the image is defective"):
        Detector(**tiny).fit(data)
    with pytest.raises(ValueError, match="leaves nothing of"):
        Detector(**tiny).fit(data / "test/good", ignore=tmp_path / "all.png")
    with pytest.raises(FileNotFoundError, match="no such data folder"):
        Detector(**tiny).fit("nowhere")


def test_every_file_that_cannot_be_read_is_named(tmp_path: Path, tiny: dict[str, Any]) -> None:
    names = [tmp_path / f"{number}.png" for number in range(3)]
    Image.fromarray(np.eye(70, 96, dtype=np.uint8)).save(names[0])
    names[1].write_text("no image")
    with pytest.raises(ValueError, match=r"1\.png.*\n.*2\.png"):
        Detector(**tiny).fit(names)


def test_labels_keep_defective_images_out_of_a_fit(
    tiny: dict[str, Any], surfaces: list[np.ndarray], fitted: Detector
) -> None:
    bright = [255 - image for image in surfaces]
    mixed, y = [*surfaces, *bright], np.repeat([1, -1], len(surfaces))
    assert Detector(**tiny).fit(mixed, y).thresholds_ == fitted.thresholds_
    with pytest.raises(ValueError, match="nothing but 1, which is defective beside 0 and good beside -1"):
        Detector(**tiny).fit(surfaces, np.ones(len(surfaces)))
    with pytest.raises(ValueError, match="at least one defect-free image"):
        Detector(**tiny).fit(surfaces, -np.ones(len(surfaces)))


def test_a_fit_goes_on_from_the_weights_of_the_one_before(tiny: dict[str, Any], surfaces: list[np.ndarray]) -> None:
    still = {**tiny, "lr": 1e-12}
    detector = Detector(**still, warm_start=True).fit(surfaces)
    with torch.no_grad():
        for weight in detector.model_.parameters():
            weight.add_(0.01)
    before = {name: tensor.clone() for name, tensor in detector.model_.state_dict().items()}
    for name, tensor in detector.fit(surfaces).model_.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=1e-6)
    detector.set_params(warm_start=False).fit(surfaces)
    assert not torch.allclose(detector.model_.state_dict()["encoder.0.weight"], before["encoder.0.weight"], atol=1e-3)
    with pytest.raises(ValueError, match="`latent_dim` is 9, and was 8 when the detector was fitted"):
        detector.set_params(warm_start=True, latent_dim=9).fit(surfaces)


def test_a_detector_shows_itself(tmp_path: Path, tiny: dict[str, Any], fitted: Detector) -> None:
    fresh = Detector(**tiny)
    assert "not fitted yet" in fresh._repr_html_()
    assert repr(Detector(preset="best", stride=7)) == "Detector(preset='best', stride=7)"
    assert eval(repr(fresh)).get_params() == fresh.get_params()
    html = fitted._repr_html_()
    assert f"above {fitted.thresholds_.review:.4g}" in html
    assert set(re.findall(r'src="([^"]{22})', html)) == {"data:image/png;base64,"}
    assert "http" not in re.sub(r'src="[^"]*"', "", html)
    assert fitted._repr_mimebundle_()["text/html"] == html
    said = json.loads(json.dumps(fitted.to_dict(), allow_nan=False))
    assert said["thresholds"]["review"] == fitted.thresholds_.review
    assert (said["fitted"], fresh.to_dict()["thresholds"]) == (True, None)
    axes, *_ = fitted.plot().axes
    assert [line.get_xdata()[0] for line in axes.lines] == [fitted.thresholds_.review, fitted.thresholds_.defective]
    fitted.save(tmp_path / "model.safetensors")
    loaded = Detector.load(tmp_path)
    assert loaded.thresholds_ == fitted.thresholds_
    assert "not what the detector was fitted with" in loaded.set_params(stride=8)._repr_html_()
    assert "stride" in loaded.set_params(stride=-8)._repr_html_()


def test_bars_are_drawn_where_somebody_looks(
    tiny: dict[str, Any], surfaces: list[np.ndarray], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    Detector(**tiny).fit(surfaces)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(shown, "in_notebook", lambda: True)
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)  # no thread is left
    Detector(**tiny).fit(surfaces)
    drawn = capsys.readouterr().err
    for step in ("reading good images", "training SSIM-AE", "inspecting good images"):
        assert step in drawn
    Detector(**tiny, progress=False).fit(surfaces)
    assert capsys.readouterr() == ("", "")
