"""AU-sPRO of MVTec LOCO AD: once enough of a defect is covered it counts as covered."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from ssimae.cli import main
from support.benchmark import SIZE, write_gray

KINDS = [
    {"defect_name": "missing", "pixel_value": 200, "saturation_threshold": 30, "relative_saturation": False},
    {"defect_name": "bent", "pixel_value": 250, "saturation_threshold": 0.5, "relative_saturation": True},
]
DEFECTS = {
    ("logical_anomalies", "000"): [(200, (slice(5, 15), slice(5, 20))), (250, (slice(10, 30), slice(15, 30)))],
    ("structural_anomalies", "000"): [(250, (slice(30, 33), slice(40, 44)))],
    ("structural_anomalies", "001"): [(200, (slice(0, 4), slice(0, 4)))],
}
"""Of each image, the kind and the place of its defects; two of them overlap."""


@pytest.fixture
def category(tmp_path) -> tuple[Path, dict[tuple[str, str], np.ndarray]]:
    """Return a category in LOCO's layout, and maps with ties."""
    root, rng = tmp_path / "data", np.random.default_rng(0)
    for part in ("train", "validation"):
        write_gray(root / part / "good" / "000.png", rng.integers(0, 255, SIZE))
    maps = {}
    for defect, name in [("good", "000"), *DEFECTS]:
        write_gray(root / "test" / defect / f"{name}.png", rng.integers(0, 255, SIZE))
        maps[defect, name] = np.round(rng.normal(size=SIZE), 1).astype(np.float32)
        for number, (value, place) in enumerate(DEFECTS.get((defect, name), [])):
            mask = np.zeros(SIZE, np.uint8)
            mask[place] = value
            maps[defect, name][place] += np.float32(0.8)
            write_gray(root / "ground_truth" / defect / name / f"{number:03d}.png", mask)
        path = tmp_path / "maps" / "test" / defect / f"{name}.tiff"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, maps[defect, name])
    (root / "defects_config.json").write_text(json.dumps(KINDS))
    return tmp_path, maps


def slow_auspro(maps: dict, limit: float) -> float:
    """Follow the definition threshold by threshold."""
    outside, defects = [], []
    for key, map_ in maps.items():
        good = np.ones(SIZE, bool)
        for value, place in DEFECTS.get(key, []):
            good[place] = False
            area = map_[place].size
            kind = next(kind for kind in KINDS if kind["pixel_value"] == value)
            wanted = kind["saturation_threshold"] * (area if kind["relative_saturation"] else 1)
            defects.append((map_[place].ravel(), min(int(wanted), area)))
        outside.append(map_[good])
    negatives = np.concatenate(outside)
    levels = np.unique(np.concatenate([map_.ravel() for map_ in maps.values()]))[::-1]
    fprs = np.array([0, *((negatives >= level).mean() for level in levels)])
    spros = np.array(
        [0, *(np.mean([min((scores >= level).sum() / enough, 1) for scores, enough in defects]) for level in levels)]
    )
    x = np.append(fprs[fprs < limit], limit)
    return float(np.trapezoid(np.append(spros[fprs < limit], np.interp(limit, fprs, spros)), x) / limit)


def test_auspro_follows_the_definition(category, capsys) -> None:
    root, maps = category
    arguments = ["evaluate", str(root / "maps"), str(root / "data"), "--no-report", "--out", str(root / "out")]
    assert main([*arguments, "--fpr-limits", "0.3", "0.05"]) == 0
    metrics = json.loads((root / "out" / "metrics.json").read_text())
    assert metrics["au_spro"] == metrics["auspros"]["0.3"]
    for limit in (0.3, 0.05):
        assert metrics["auspros"][str(limit)] == pytest.approx(slow_auspro(maps, limit), abs=1e-12)
    assert metrics["au_spro"] > metrics["au_pro"]
    assert 0 <= metrics["aupimo"] <= 1
    header = (root / "out" / "table.csv").read_text().splitlines()[0]
    assert "aupimo,au_spro_0.3,au_spro_0.05" in header
    assert "AU-sPRO 0.3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: (data / "defects_config.json").write_text("[{}]"), "not the defects of MVTec LOCO AD"),
        (
            lambda data: write_gray(data / "ground_truth/logical_anomalies/000/000.png", np.full(SIZE, 77)),
            "must hold one of the values 200, 250 of defects_config.json, got 77",
        ),
    ],
)
def test_defects_that_are_of_no_kind_are_refused(category, capsys, change, said) -> None:
    root, _ = category
    change(root / "data")
    arguments = ["evaluate", str(root / "maps"), str(root / "data"), "--no-report", "--out", str(root / "out")]
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
    assert not (root / "out").exists()
