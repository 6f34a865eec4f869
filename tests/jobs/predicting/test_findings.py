"""`ssimae predict` says of each image what was found: in JSON, tables, masks and overlays that agree."""

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from ssimae.cli import main
from ssimae.images.maps import read_float_map
from ssimae.levels.rules import area_level
from ssimae.storage.model_file import load_model, save_model
from support.small_data import texture

KEYS = (
    "schema image name verdict reason score review defective height width defect_px defect_mm2 pixel_size_mm regions "
    "files seconds"
)
REGION_KEYS = (
    "region verdict max_score mean_score area box centre contour area_mm2 height_mm width_mm"  # as docs/inspecting.md
)


def lines(captured: str) -> list[dict[str, Any]]:
    """Return what each line says; every line must be JSON without NaN or infinity."""

    def refuse(name: str) -> float:
        raise AssertionError(name)

    return [json.loads(line, parse_constant=refuse) for line in captured.splitlines()]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_of(out: Path, folder: str) -> set[str]:
    return {path.stem for path in (out / folder).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def flagging(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Return a model, images, and the name of the only one that it flags."""
    folder = tmp_path_factory.mktemp("flagging")
    (folder / "new").mkdir()
    rng = np.random.default_rng(1)
    for number in range(5):
        Image.fromarray(texture(rng)).save(folder / "new" / f"{number}.png")
    out = folder / "out"
    assert main(["predict", str(run), str(folder / "new"), "--out", str(out)]) == 0
    # The network learned nothing, but images differ in how high their maps reach on four connected pixels.
    maps = {path.stem: read_float_map(path) for path in (out / "residuals").rglob("*.tiff")}
    (level, name), (second, _) = sorted(((area_level(map_, 4), name) for name, map_ in maps.items()), reverse=True)[:2]
    saved = load_model(run / "model.safetensors")
    assert saved.thresholds is not None
    assert second < level
    # All others lie below both thresholds by their highest value, or have no region between.
    thresholds = replace(saved.thresholds, review=(second + level) / 2, defective=(second + 3 * level) / 4)
    save_model(folder / "flagging.safetensors", replace(saved, thresholds=thresholds))
    return folder / "flagging.safetensors", folder / "new", name


def test_json_tables_and_masks_say_the_same(
    flagging: tuple[Path, Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, source, name = flagging
    images = shutil.copytree(source, tmp_path / "new")
    (images / "text.png").write_text("no image")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    command = ["predict", str(model), "new", "--out", "out", "--json", "--skip-bad", "--masks", "all"]
    assert main([*command, "--overlays", "flagged", "--maps", "flagged", "--pixel-size", "100um"]) == 3
    captured = capsys.readouterr()
    found = lines(captured.out)
    assert [line["image"] for line in found] == [f"new/{stem}.png" for stem in (*range(5), "text")]
    assert {" ".join(line) for line in found} == {KEYS}
    verdicts = {line["name"]: line["verdict"] for line in found}
    assert verdicts == {**dict.fromkeys("01234", "good"), name: "defective", "text": "skipped"}
    assert "4 good, 1 defective, 1 skipped" in captured.err
    assert "next: ssimae report out" in captured.err
    out = tmp_path / "out"
    rows = table(out / "predictions.csv")
    for line, row in zip(found, rows, strict=True):
        assert row["image"] == str(tmp_path / line["image"])
        assert (row["verdict"], row["reason"]) == (line["verdict"], line["reason"])
        assert row["score"] == ("" if line["score"] is None else str(line["score"]))
    assert found[-1]["score"] is None
    assert "text.png: skipped (not a PNG" in captured.err
    regions = table(out / "regions.csv")
    (defective,) = (line for line in found if line["name"] == name)
    assert len(defective["regions"]) == len(regions) > 0
    assert defective["score"] > defective["defective"] > defective["review"]
    union = np.zeros((defective["height"], defective["width"]), bool)
    for region, row in zip(defective["regions"], regions, strict=True):
        assert " ".join(region) == REGION_KEYS
        box = region["box"]
        assert [str(value) for value in box.values()] == [row[name] for name in box]
        assert math.isclose(region["area_mm2"], region["area"] * 0.01)
        assert row["area_mm2"] == str(region["area"] / 100)  # in no more digits than are needed
        assert math.isclose(region["height_mm"], (box["bottom"] - box["top"]) * 0.1)
        assert (str(region["area_mm2"]), str(region["width_mm"])) == (row["area_mm2"], row["width_mm"])
        # Pixel centres lie half a pixel from the corners, which are shared.
        picture = Image.new("1", (2 * union.shape[1], 2 * union.shape[0]))
        ImageDraw.Draw(picture).polygon([(2 * x, 2 * y) for x, y in region["contour"]], fill=1)
        inside = np.asarray(picture)[1::2, 1::2]
        assert inside.sum() >= region["area"]
        union |= inside
    mask = np.asarray(Image.open(defective["files"]["mask"]))
    assert set(np.unique(mask)) == {0, 255}
    assert (mask > 0).sum() == defective["defect_px"]
    assert not ((mask > 0) & ~union).any()
    assert files_of(out, "masks") == set("01234")
    assert files_of(out, "overlays") == files_of(out, "residuals") == {name}
    overlay = np.asarray(Image.open(defective["files"]["overlay"])).astype(int)
    original = np.asarray(Image.open(images / f"{name}.png")).astype(int)[:, :, None]
    outlined = (overlay != original).any(axis=2)
    assert (overlay[outlined] == (220, 38, 38)).all(axis=1).any()
    assert 0 < outlined.sum() < (mask > 0).sum() + 4 * sum(len(region["contour"]) for region in defective["regions"])


@pytest.mark.parametrize(("asked", "code"), [((), 0), (("--fail-on", "review"), 5), (("--fail-on", "defective"), 5)])
def test_a_gate_fails_on_what_was_found(
    flagging: tuple[Path, Path, str], tmp_path: Path, asked: tuple[str, ...], code: int
) -> None:
    model, images, name = flagging
    command = ["predict", str(model), "--out", str(tmp_path / "out"), "--maps", "none", *asked]
    assert main([*command, str(images)]) == code
    good = next(path for path in images.iterdir() if path.stem != name)
    assert main([*command, str(good), "--force"]) == 0


def test_the_flagged_are_named_where_nobody_asked_for_json(
    flagging: tuple[Path, Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, images, name = flagging
    capsys.readouterr()
    assert main(["predict", str(model), str(images), "--out", str(tmp_path / "out")]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{images}/{name}.png: defective ")
    assert "maps of all images written" in last


@pytest.mark.parametrize("kept", ["none", "flagged", "all"])
def test_the_report_is_true_whichever_maps_were_kept(
    flagging: tuple[Path, Path, str], tmp_path: Path, kept: str
) -> None:
    model, images, _ = flagging
    out = tmp_path / "out"
    command = ["predict", str(model), str(images), "--out", str(out), "--maps", kept, "--pixel-size", "100um"]
    assert main(command) == 0
    count = {"none": 0, "flagged": 1, "all": 5}[kept]
    assert len(files_of(out, "residuals")) == count
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "not there any more" not in page
    assert "0.1 mm wide and high" in page
    assert page.count("No maps were kept of this image") == 5 - count


@pytest.mark.parametrize(
    ("text", "side"), [("0.1", 0.1), ("0.1mm", 0.1), ("100 um", 0.1), ("100µm", 0.1), ("0.01cm", 0.1), ("2e-1 mm", 0.2)]
)
def test_a_pixel_size_is_read_with_its_unit(run: Path, images: Path, tmp_path: Path, text: str, side: float) -> None:
    out = tmp_path / "out"
    assert main(["predict", str(run), str(images / "0.png"), "--out", str(out), f"--pixel-size={text}"]) == 0
    assert f"pixel_size = {side}\n" in (out / "config.toml").read_text()


@pytest.mark.parametrize("text", ["0mm", "-1", "0.1 miles", "mm"])
def test_what_is_no_pixel_size_is_refused(
    run: Path, images: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(run), str(images), "--out", str(tmp_path / "out"), f"--pixel-size={text}"]
    assert main(command) == 2
    assert "pixel-size" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_maps_is_still_known_as_ours(run: Path, images: Path, tmp_path: Path) -> None:
    command = ["predict", str(run), str(images), "--maps", "none", "--overlays", "all"]
    assert main([*command, "--out", str(images / "results")]) == 0
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert len(table(tmp_path / "out" / "predictions.csv")) == 8
    shutil.rmtree(images / "results" / "overlays")
