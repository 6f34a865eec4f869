"""`ssimae evaluate`: any detector's stored maps against a data set, alone and side by side."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from ssimae.cli import main
from ssimae.evaluation.evaluate import evaluate_maps

SIZE = (40, 56)
IMAGES = [("good", "a b"), ("good", "1"), ("cut", "1"), ("cut", "2.5"), ("stain", "x")]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Return an MVTec AD layout; names hold spaces, dots, and repeat between defects."""
    root = tmp_path_factory.mktemp("data") / "part"
    rng = np.random.default_rng(0)
    (root / "train" / "good").mkdir(parents=True)
    write_image(root / "train" / "good" / "0.png", rng.integers(0, 255, SIZE))
    for defect, name in IMAGES:
        (root / "test" / defect).mkdir(parents=True, exist_ok=True)
        write_image(root / "test" / defect / f"{name}.png", rng.integers(0, 255, SIZE))
        if defect != "good":
            mask = ndimage.binary_dilation(rng.random(SIZE) < 0.004, iterations=3)
            (root / "ground_truth" / defect).mkdir(parents=True, exist_ok=True)
            write_image(root / "ground_truth" / defect / f"{name}_mask.png", 255 * mask)
    return root


def write_image(path: Path, array: np.ndarray) -> None:
    Image.fromarray(array.astype(np.uint8)).save(path)


def mask_of(data: Path, defect: str, name: str) -> np.ndarray:
    path = data / "ground_truth" / defect / f"{name}_mask.png"
    return np.array(Image.open(path)) > 0 if path.exists() else np.zeros(SIZE, bool)


def maps_of(data: Path, gain: float, seed: int = 1) -> dict[tuple[str, str], np.ndarray]:
    rng = np.random.default_rng(seed)
    return {key: (rng.normal(size=SIZE) + gain * mask_of(data, *key)).astype(np.float32) for key in IMAGES}


def store(root: Path, maps: dict[tuple[str, str], np.ndarray], *, layout: str = "test", suffix: str = ".tiff") -> Path:
    for (defect, name), map_ in maps.items():
        path = root / layout / defect / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, map_) if suffix == ".npy" else tifffile.imwrite(path, map_)
    return root


def wanted(data: Path, maps: dict[tuple[str, str], np.ndarray], **options):
    order = sorted(maps, key=lambda key: (key[0], [*IMAGES].index(key)))
    return evaluate_maps([maps[key] for key in order], [mask_of(data, *key) for key in order], **options)


@pytest.mark.parametrize(("layout", "suffix"), [("test", ".tiff"), ("residuals", ".tif"), (".", ".npy")])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.uint16])
def test_maps_of_any_layout_and_type_have_their_metrics(data, tmp_path, capsys, layout, suffix, dtype) -> None:
    whole = np.issubdtype(dtype, np.integer)
    maps = {key: (np.round(20 * map_ + 100) if whole else map_).astype(dtype) for key, map_ in maps_of(data, 1).items()}
    if dtype == np.float16 and suffix != ".npy":
        pytest.skip("float16 TIFF is not written by the library")
    stored = store(tmp_path / "maps", maps, layout=layout, suffix=suffix)
    assert main(["evaluate", str(stored), str(data), "--out", str(tmp_path / "out")]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    want = wanted(data, maps)
    assert metrics["auroc"] == want.auroc
    assert metrics["au_pro"] == want.aupro
    assert metrics["classification_au_roc"] == want.image_auroc
    assert metrics["by_defect"].keys() == {"cut", "stain"}
    assert f"{want.auroc:.4f}" in capsys.readouterr().out


def test_results_are_tables_curves_and_figures(data, tmp_path) -> None:
    maps = maps_of(data, 2)
    stored = store(tmp_path / "maps", maps)
    out = tmp_path / "out"
    assert main(["evaluate", str(stored), str(data), "--out", str(out), "--fpr-limits", "0.05", "0.3"]) == 0
    want = wanted(data, maps, fpr_limits=(0.05, 0.3))
    with np.load(out / "curves.npz", allow_pickle=False) as curves:
        np.testing.assert_array_equal(curves["roc_fpr"], want.roc[0])
    with (out / "region_scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == want.n_regions
    assert [int(row["area_px"]) for row in rows] == want.regions.area.tolist()
    assert [float(row["au_pro_0.3"]) for row in rows] == pytest.approx(want.regions.aupro[:, 1].tolist(), rel=1e-8)
    assert {(row["defect"], row["image"]) for row in rows} == set(IMAGES[2:])
    assert [row["region"] for row in rows if row["image"] == "x"][:2] == ["1", "2"]
    assert {path.name for path in (out / "figures").iterdir()} == {"roc.png", "pro.png", "overlap_maps.png"}
    page = (out / "report.html").read_text()
    content = json.loads(page.split('id="content">')[1].split("</script>")[0])
    assert {(image["defect"], image["name"]) for image in content["images"]} == set(IMAGES)
    assert [model["title"] for model in content["models"]] == ["maps"]
    assert "Regions found worst" in page
    assert f"pixel AUROC {json.loads((out / 'metrics.json').read_text())['auroc']:.3f}" in page
    assert json.loads((out / "metrics.json").read_text())["fpr_limits"] == [0.05, 0.3]


def test_flat_maps_serve_where_names_are_unique(data, tmp_path) -> None:
    chosen = tmp_path / "data"
    shutil.copytree(data, chosen)
    (chosen / "test" / "good" / "1.png").rename(chosen / "test" / "good" / "7.png")
    maps = {("good", "7") if key == ("good", "1") else key: map_ for key, map_ in maps_of(data, 1).items()}
    (tmp_path / "maps").mkdir()
    for (_, name), map_ in maps.items():
        np.save(tmp_path / "maps" / f"{name}.npy", map_)
    assert main(["evaluate", str(tmp_path / "maps"), str(chosen), "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["n_images"] == 5


def test_ignored_pixels_and_bounded_memory(data, tmp_path) -> None:
    maps = maps_of(data, 1)
    stored = store(tmp_path / "maps", maps)
    ignore = np.zeros(SIZE, np.uint8)
    ignore[:, :10] = 255
    write_image(tmp_path / "ignore.png", ignore)
    arguments = ["evaluate", str(stored), str(data), "--ignore", str(tmp_path / "ignore.png")]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    assert main([*arguments, "--out", str(tmp_path / "two"), "--memory-mb", "0"]) == 0
    want = wanted(data, maps, ignore=[ignore] * len(maps))
    for name in ("one", "two"):
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        assert (metrics["auroc"], metrics["au_pro"], metrics["n_pixels"]) == (want.auroc, want.aupro, want.n_pixels)


def test_images_can_be_scored_by_their_highest_pixels(data, tmp_path) -> None:
    maps = maps_of(data, 1)
    stored = store(tmp_path / "maps", maps)
    assert main(["evaluate", str(stored), str(data), "--out", str(tmp_path / "out"), "--image-top", "0.05"]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["image_auroc"] == wanted(data, maps, image_top=0.05).image_auroc


def test_detectors_side_by_side(data, tmp_path, capsys) -> None:
    first = store(tmp_path / "weak" / "maps", maps_of(data, 0.5))
    second = store(tmp_path / "strong" / "maps", maps_of(data, 3), suffix=".npy")
    out = tmp_path / "out"
    arguments = ["evaluate", str(first), str(data), "--compare", str(second), "--resamples", "200", "--out", str(out)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "strong-maps less weak-maps" in said
    assert "AU-PRO 0.3 by kind of defect" in said
    assert "better" in said
    comparison = json.loads((out / "comparison.json").read_text())
    assert comparison["names"] == ["weak-maps", "strong-maps"]
    (difference,) = comparison["differences"]
    assert difference["metrics"]["au_pro"]["low"] > 0
    assert difference["better"] > difference["worse"]
    for name, gain in (("weak-maps", 0.5), ("strong-maps", 3)):
        metrics = json.loads((out / name / "metrics.json").read_text())
        assert metrics["auroc"] == wanted(data, maps_of(data, gain)).auroc
    assert {"roc.png", "comparison.png"} <= {path.name for path in (out / "figures").iterdir()}
    assert "95 % interval" in (out / "report.html").read_text()
    region = difference["largest"][0]
    assert region["image"] in {f"{defect}/{name}" for defect, name in IMAGES[2:]}


REFUSALS = [
    (lambda test: (test / "cut" / "1.tiff").unlink(), "cut/1.png: no map"),
    (lambda test: np.save(test / "cut" / "1.npy", np.zeros(SIZE)), "cut/1.png: two maps"),
    (lambda test: tifffile.imwrite(test / "cut" / "9.tiff", np.zeros(SIZE)), "cut/9.tiff: no test image of that name"),
    (lambda test: tifffile.imwrite(test / "cut" / "1.tiff", np.zeros((4, 5))), "its image .* is 40 x 56"),
    (
        lambda test: tifffile.imwrite(test / "cut" / "1.tiff", np.full(SIZE, np.nan)),
        "cut/1.tiff: NaN or infinite score",
    ),
    (
        lambda test: tifffile.imwrite(test / "cut" / "1.tiff", np.zeros(SIZE, np.int16)),
        "cut/1.tiff: of int16; understood are float16",
    ),
    (lambda test: (test / "cut" / "1.tiff").write_bytes(b"II*\0cut"), "cut/1.tiff"),
    (
        lambda test: tifffile.imwrite(test / "cut" / "1.tiff", np.zeros((*SIZE, 3), np.float32), photometric="rgb"),
        r"cut/1.tiff: of shape \(40, 56, 3\)",
    ),
]


@pytest.mark.parametrize(("change", "said"), REFUSALS)
def test_maps_that_do_not_fit_are_named_and_nothing_is_written(data, tmp_path, capsys, change, said) -> None:
    stored = store(tmp_path / "maps", maps_of(data, 1))
    change(stored / "test")
    assert main(["evaluate", str(stored), str(data), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert "Traceback" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["maps"]


def test_masks_of_another_size_are_named_before_any_map_is_read(data, tmp_path, capsys) -> None:
    chosen = tmp_path / "data"
    shutil.copytree(data, chosen)
    write_image(chosen / "ground_truth" / "stain" / "x_mask.png", np.full((7, 8), 255))
    maps = {key: np.full(SIZE, np.nan) for key in IMAGES}
    assert main(["evaluate", str(store(tmp_path / "maps", maps)), str(chosen), "--out", str(tmp_path / "out")]) == 2
    assert re.search(r"x_mask.png: 7 x 8, its image .* is 40 x 56", capsys.readouterr().err)


def test_pickled_maps_are_not_loaded(data, tmp_path, capsys) -> None:
    stored = store(tmp_path / "maps", maps_of(data, 1), suffix=".npy")
    np.save(stored / "test" / "cut" / "1.npy", np.array([{"code": "runs"}], dtype=object), allow_pickle=True)
    assert main(["evaluate", str(stored), str(data), "--out", str(tmp_path / "out")]) == 2
    assert "not a readable .npy array" in capsys.readouterr().err


def test_archives_named_npy_are_refused(data, tmp_path, capsys) -> None:
    stored = store(tmp_path / "maps", maps_of(data, 1), suffix=".npy")
    with (stored / "test" / "cut" / "1.npy").open("wb") as file:
        np.savez(file, map=np.zeros(SIZE))
    assert main(["evaluate", str(stored), str(data), "--out", str(tmp_path / "out")]) == 2
    assert "not a readable .npy array" in capsys.readouterr().err


def test_types_that_differ_between_maps_and_single_axes_change_nothing(data, tmp_path) -> None:
    maps = maps_of(data, 1)
    stored = store(tmp_path / "maps", maps, suffix=".npy")
    for (key, map_), shape in zip(maps.items(), [(1, *SIZE), (*SIZE, 1), (1, 1, *SIZE), SIZE, (1, *SIZE, 1)]):
        dtype = np.float64 if key[0] == "cut" else np.float32
        np.save(stored / "test" / key[0] / f"{key[1]}.npy", map_.astype(dtype).reshape(shape))
    assert main(["evaluate", str(stored), str(data), "--out", str(tmp_path / "out")]) == 0
    metrics, want = json.loads((tmp_path / "out" / "metrics.json").read_text()), wanted(data, maps)
    assert (metrics["auroc"], metrics["au_pro"]) == (want.auroc, want.aupro)


def test_capital_suffixes_are_maps_and_hidden_files_are_not(data, tmp_path) -> None:
    stored = store(tmp_path / "maps", maps_of(data, 1))
    (stored / "test" / "cut" / "1.tiff").rename(stored / "test" / "cut" / "1.TIFF")
    (stored / "test" / "cut" / "._1.tiff").write_bytes(b"")
    assert main(["evaluate", str(stored), str(data), "--out", str(tmp_path / "out")]) == 0


def test_flat_maps_of_images_that_share_a_name_are_refused_with_the_name(data, tmp_path, capsys) -> None:
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "1.npy", np.zeros(SIZE))
    assert main(["evaluate", str(tmp_path / "maps"), str(data), "--out", str(tmp_path / "out")]) == 2
    assert "two test images are called '1'" in capsys.readouterr().err


def test_folders_of_any_name_are_told_apart(data, tmp_path, capsys) -> None:
    names = ["figures", "[bold]x", "_a $x_2$", "B$", "e", "f", "g"]
    folders = [str(store(tmp_path / name, maps_of(data, 1, seed=seed))) for seed, name in enumerate(names)]
    out = tmp_path / "out"
    assert (
        main(["evaluate", folders[0], str(data), "--compare", *folders[1:], "--resamples", "100", "--out", str(out)])
        == 0
    )
    said = capsys.readouterr().out
    found = json.loads((out / "comparison.json").read_text())["names"]
    assert found == ["figures-maps", *names[1:]]
    assert f"{found[1]} less {found[0]}" in said
    assert all((out / name / "metrics.json").exists() for name in found)
    assert len(list((out / "figures").iterdir())) == len(names) + 3


def test_earlier_results_stay_unless_told_otherwise(data, tmp_path, capsys) -> None:
    stored = store(tmp_path / "maps", maps_of(data, 1))
    arguments = ["evaluate", str(stored), str(data), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    before = (tmp_path / "out" / "metrics.json").read_bytes()
    assert main(arguments) == 2
    assert "not empty" in capsys.readouterr().err
    broken = store(tmp_path / "broken", maps_of(data, 1))
    tifffile.imwrite(broken / "test" / "stain" / "x.tiff", np.full(SIZE, np.inf))
    assert main(["evaluate", str(broken), str(data), "--out", str(tmp_path / "out"), "--force"]) == 2
    assert (tmp_path / "out" / "metrics.json").read_bytes() == before
    assert main([*arguments, "--force"]) == 0
    # Neither what is read, nor a folder of other things, nor a run.
    assert main([*arguments[:-1], str(tmp_path), "--force"]) == 2
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    assert main([*arguments[:-1], str(other), "--force"]) == 2
    (other / "metrics.json").write_text("{}")
    (other / "config.toml").write_text("")
    assert main([*arguments[:-1], str(other), "--force"]) == 2
    (other / "config.toml").unlink()
    assert main([*arguments[:-1], str(other), "--force"]) == 2
    assert (other / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--fpr-limits", "1.5"], r"`fpr_limits` must lie in (0, 1], got 1.5"),
        (["--image-top", "2"], "`image_top` must lie in [0, 1], got 2"),
        (["--resamples", "10"], "`resamples` must be at least 100"),
        (["--memory-mb", "-1"], "`memory_limit` must be bytes"),
        (["--compare", "{maps}"], "given twice"),
    ],
)
def test_flags_outside_their_range_are_refused(data, tmp_path, capsys, more, said) -> None:
    stored = store(tmp_path / "maps", maps_of(data, 1))
    more = [text.format(maps=stored) for text in more]
    assert main(["evaluate", str(stored), str(data), "--out", str(tmp_path / "out"), *more]) == 2
    assert said in capsys.readouterr().err


def test_a_data_set_must_be_named_and_have_masks(data, tmp_path, capsys) -> None:
    stored = store(tmp_path / "maps", maps_of(data, 1))
    assert main(["evaluate", str(stored)]) == 2
    assert f"ssimae evaluate {stored} DATA" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "none"), str(data)]) == 2
    assert "no such folder of maps" in capsys.readouterr().err
    chosen = tmp_path / "data"
    shutil.copytree(data, chosen)
    shutil.rmtree(chosen / "ground_truth")
    assert main(["evaluate", str(stored), str(chosen)]) == 2
    assert "ground-truth mask" in capsys.readouterr().err
