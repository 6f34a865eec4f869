"""Maps in files of other tools: archives, maps of another size, and pictures, which are none."""

import importlib.util
import json
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import ssimae
import tifffile
import torch
from ssimae.cli import main
from ssimae.evaluation.evaluate import evaluate_maps
from support.benchmark import IMAGES, SIZE, masks_of, write_category, write_gray

SMALL = (20, 14)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_category(tmp_path_factory.mktemp("map_files") / "data", 3)


def noise(shape: tuple[int, int], dtype: type = np.float32) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=shape).astype(dtype) for _ in IMAGES]


def path_of(root: Path, index: int, suffix: str) -> Path:
    defect, name = IMAGES[index]
    (root / defect).mkdir(parents=True, exist_ok=True)
    return root / defect / f"{name}{suffix}"


def evaluate(maps: Path, data: Path, out: Path, *more: str) -> int:
    return main(["evaluate", str(maps), str(data), "--no-report", "--out", str(out), *more])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_maps_of_another_size_are_resized_as_torch_does_when_told_so(data, tmp_path, capsys, dtype) -> None:
    maps = noise(SMALL) if dtype != np.uint8 else [np.abs(map_ * 50) for map_ in noise(SMALL)]
    maps = [map_.astype(dtype) for map_ in maps]
    whole = np.zeros(SIZE, dtype)
    whole[3:9] = maps[0][0, 0]
    for index, map_ in enumerate(maps):
        np.save(path_of(tmp_path / "maps", index, ".npy"), whole if index == 4 else map_)
    assert evaluate(tmp_path / "maps", data, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert re.search(r"of shape \(20, 14\), its image .* is 40 x 56", error)
    assert "--resize bilinear" in error
    assert evaluate(tmp_path / "maps", data, tmp_path / "out", "--resize", "bilinear", "--format", "latex") == 0
    said = capsys.readouterr()
    assert "4 of 5 maps are resized" in said.err
    assert "maps: maps resized to the size of the images (bilinear)" in said.out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["resize"] == {"method": "bilinear", "maps": 4, "of": 5}
    small = torch.from_numpy(np.stack(maps[:4]).astype(np.float32))[:, None]
    large = torch.nn.functional.interpolate(small, SIZE, mode="bilinear", align_corners=False)[:, 0].numpy()
    want = evaluate_maps([*large, whole.astype(np.float32)], masks_of(data))
    assert metrics["auroc"] == pytest.approx(want.auroc, abs=1e-6)
    assert metrics["au_pro"] == pytest.approx(want.aupro, abs=1e-6)


def test_a_map_is_the_only_array_of_an_archive_or_the_one_called_so(data, tmp_path) -> None:
    maps = noise(SIZE)
    for index, map_ in enumerate(maps):
        path = path_of(tmp_path / "maps", index, ".npz")
        if index % 2:
            np.savez_compressed(path, anomaly_map=map_[None], pred_score=np.float32(0.5))
        else:
            np.savez(path, anything=map_)
    assert evaluate(tmp_path / "maps", data, tmp_path / "out") == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["auroc"] == evaluate_maps(maps, masks_of(data)).auroc
    assert "resize" not in metrics


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: np.savez(path, a=np.zeros(SIZE), b=np.zeros(SIZE)), "holds a, b, and none is called anomaly_map"),
        (lambda path: path.write_bytes(b"PK\3\4cut"), "not a readable .npz archive of a map"),
        (lambda path: np.savez(path, map=np.array([{}], object), allow_pickle=True), "holds Python objects"),
        (lambda path: np.savez(path, map=np.zeros((3, *SIZE))), r"of shape \(3, 40, 56\)"),
    ],
)
def test_archives_that_hold_no_map_are_refused(data, tmp_path, capsys, write, said) -> None:
    for index, map_ in enumerate(noise(SIZE)):
        np.savez(path_of(tmp_path / "maps", index, ".npz"), map_)
    write(path_of(tmp_path / "maps", 2, ".npz"))
    assert evaluate(tmp_path / "maps", data, tmp_path / "out", "--resize", "bilinear") == 2
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert "Traceback" not in error


def test_pictures_of_maps_are_no_maps(data, tmp_path, capsys) -> None:
    for defect, name in IMAGES:
        write_gray(tmp_path / "results" / "images" / defect / f"{name}.png", np.zeros(SIZE))
    assert evaluate(tmp_path / "results", data, tmp_path / "out") == 2
    assert "their colours are no scores" in capsys.readouterr().err
    tifffile.imwrite(path_of(tmp_path / "results", 0, ".tiff"), noise(SIZE)[0])
    assert evaluate(tmp_path / "results", data, tmp_path / "out") == 2
    assert "colours" not in capsys.readouterr().err


def test_the_example_stores_maps_by_their_images_and_names_anomalib_where_it_is_missing(data, tmp_path) -> None:
    script = Path(__file__).parents[2] / "docs" / "examples" / "score_anomalib.py"
    spec = importlib.util.spec_from_file_location("score_anomalib", script)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    samples = ssimae.open_dataset(data).test
    maps = noise(SMALL)
    pairs = [(data / "test" / defect / f"{name}.png", map_) for (defect, name), map_ in zip(IMAGES, maps)]
    others = [(data / "ground_truth" / "cut" / "1_mask.png", maps[0])]
    assert example.store_maps([*others, *pairs[::-1]], samples, tmp_path / "maps") == len(IMAGES)
    assert evaluate(tmp_path / "maps", data, tmp_path / "out", "--resize", "bilinear") == 0
    if importlib.util.find_spec("anomalib") is None:
        with pytest.raises(SystemExit, match="pip install anomalib"):
            next(example.predicted("Patchcore", tmp_path / "x.ckpt", data / "test"))


def test_the_example_asks_for_raw_maps_after_the_checkpoint_asked_for_others(tmp_path, monkeypatch) -> None:
    """A checkpoint of anomalib 2 restores what it was trained with: scores scaled to [0, 1] and cut off."""
    script = Path(__file__).parents[2] / "docs" / "examples" / "score_anomalib.py"

    class Model:
        def __init__(self, scaled: bool = False) -> None:
            self.post_processor = SimpleNamespace(enable_normalization=scaled, enable_thresholding=scaled)

        @classmethod
        def load_from_checkpoint(cls, path, *, visualizer):
            return cls(scaled=True)

    class Engine:
        def predict(self, *, model, dataset):
            assert not model.post_processor.enable_normalization
            assert not model.post_processor.enable_thresholding
            return [SimpleNamespace(image_path=["a.png"], anomaly_map=[torch.full((1, 2, 2), 17.0)])]

    for name, holds in {
        "anomalib": {}, "anomalib.data": {"PredictDataset": list}, "anomalib.engine": {"Engine": Engine},
        "anomalib.models": {"get_model": lambda _: Model()},
    }.items():  # fmt: skip
        module = ModuleType(name)
        vars(module).update(holds)
        monkeypatch.setitem(sys.modules, name, module)
    ((path, map_),) = runpy.run_path(str(script))["predicted"]("Padim", tmp_path / "a.ckpt", ())
    assert path == Path("a.png")
    assert map_.tolist() == [[17.0, 17.0], [17.0, 17.0]]
