"""`ssimae evaluate` over the categories of a benchmark, and its tables as CSV, Markdown and LaTeX."""

import contextlib
import csv
import io
import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from ssimae.cli import main
from ssimae.evaluation.benchmark.means import PUBLISHED
from ssimae.evaluation.evaluate import evaluate_maps
from ssimae.report.publish.formats import formatted
from ssimae.report.publish.table import Measured, Style
from support.benchmark import SIZE, masks_of, write_category, write_gray, write_maps

CATEGORIES = ["grid", "metal_nut"]
GAINS = {"Patch_Core": (2.0, 1.0), "weak & small": (1.0, 1.5)}


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> tuple[Path, dict]:
    """Return a folder of data and of two detectors' maps, and the evaluation of each detector on each category."""
    root = tmp_path_factory.mktemp("benchmark")
    (root / "data").mkdir()
    (root / "data" / "readme.txt").write_text("of the categories")
    want = {}
    for number, category in enumerate(CATEGORIES):
        data = write_category(root / "data" / category, number)
        for name, gains in GAINS.items():
            maps = write_maps(root / name / category, data, gains[number], seed=number)
            want[category, name] = evaluate_maps(maps, masks_of(data))
    return root, want


def evaluate(root: Path, out: Path, *more: str) -> int:
    first, second = (str(root / name) for name in GAINS)
    shared = ["--resamples", "100", "--no-report", "--out", str(out)]
    return main(["evaluate", first, str(root / "data"), "--compare", second, *shared, *more])


@pytest.fixture(scope="module")
def results(scored, tmp_path_factory) -> tuple[Path, str]:
    """Return the results on all categories, and what was printed."""
    out, said = tmp_path_factory.mktemp("results") / "out", io.StringIO()
    with contextlib.redirect_stdout(said):
        assert evaluate(scored[0], out) == 0
    return out, said.getvalue()


def latex_blocks(text: str) -> list[list[list[str]]]:
    """Return the cells of each row of each tabular."""
    blocks = []
    for part in text.split(r"\begin{tabular}")[1:]:
        lines = [line.strip() for line in part.split(r"\end{tabular}")[0].splitlines()]
        rows = [re.split(r"(?<!\\)&", line.removesuffix(r"\\")) for line in lines if line.endswith(r"\\")]
        blocks.append([[cell.strip() for cell in row] for row in rows])
    return blocks


def test_each_category_is_scored_and_the_mean_counts_each_alike(scored, results) -> None:
    (_, want), (out, said) = scored, results
    with (out / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["data_set"], row["detector"]) for row in rows] == [
        (category, name) for category in [*CATEGORIES, "Mean"] for name in GAINS
    ]
    for row in rows[:-2]:
        evaluation = want[row["data_set"], row["detector"]]
        found = [float(row[name]) for name in ("auroc", "average_precision", "au_pro_0.3", "image_auroc", "best_f1")]
        assert found == [
            evaluation.auroc,
            evaluation.average_precision,
            evaluation.aupro,
            evaluation.image_auroc,
            evaluation.best_f1,
        ]
    content = json.loads((out / "categories.json").read_text())
    for row, name in zip(rows[-2:], GAINS):
        mean = np.mean([want[category, name].aupro for category in CATEGORIES])
        assert float(row["au_pro_0.3"]) == pytest.approx(mean, abs=1e-15)
        assert content["metrics"][name]["au_pro_0.3"]["mean"] == float(row["au_pro_0.3"])
        assert re.search(rf"Mean .*{mean:.3f}", said)
        for category in CATEGORIES:
            metrics = json.loads((out / category / name / "metrics.json").read_text())
            assert metrics["auroc"] == want[category, name].auroc
    of_draws = json.loads((out / "grid" / "comparison.json").read_text())
    assert "draws" not in of_draws
    (difference,) = content["significance"]["au_pro"]["differences"]
    means = [content["metrics"][name]["au_pro_0.3"]["mean"] for name in GAINS]
    assert difference["difference"]["value"] == pytest.approx(means[1] - means[0], abs=1e-15)
    assert content["significance"]["au_pro"]["ranks"]["test"] == "wilcoxon"
    assert "Means less those of Patch_Core" in said


def test_latex_has_the_best_of_each_comparison_bold(scored, results) -> None:
    _, want = scored
    text = (results[0] / "table.tex").read_text()
    # Every brace that is no part of a name is paired.
    depths = itertools.accumulate({"{": 1, "}": -1}[brace] for brace in re.findall(r"(?<!\\)[{}]", text))
    assert min(depths, default=0) == 0
    for rule in (r"\toprule", r"\cmidrule(lr){2-3}", r"\multicolumn{2}{c}{AU-PRO 0.3}", "{lcc}"):
        assert rule in text
    assert "resizebox" not in text
    blocks = latex_blocks(text)
    assert sum(len(groups) - 1 for groups, *_ in blocks) == 6
    for groups, names, *rows in blocks:
        assert {len(row) for row in (names, *rows)} == {2 * len(groups) - 1}
        assert names[1:3] == [r"Patch\_Core", r"weak \& small"]
        assert [row[0] for row in rows] == ["grid", r"metal\_nut", "Mean"]
    for row, category in zip(blocks[0][2:], CATEGORIES):
        values = [want[category, name].auroc for name in GAINS]
        cells = [f"{value:.3f}" for value in values]
        cells[values.index(max(values))] = rf"\textbf{{{max(values):.3f}}}"
        assert row[1:3] == cells


def test_latex_of_more_detectors_than_fit_is_squeezed_to_the_width_of_the_text() -> None:
    names = tuple(f"detector number {number}" for number in range(6))
    text = formatted(measured(names, {"x": [0.5] * 6, "y": [0.25] * 6}), Style(("image_auroc",)), "latex")
    assert r"\resizebox{\linewidth}{!}{%" in text
    assert r"\usepackage{graphicx}" in text


def measured(names: tuple[str, ...], values: dict[str, list[float | None]]) -> Measured:
    """Return image AUROCs of detectors by data set."""
    contents = {
        data_set: tuple({"image_auroc": value, "image_auroc_reason": "no defect-free test image"} for value in of_each)
        for data_set, of_each in values.items()
    }
    return Measured(names, contents)


def test_markdown_has_equal_rows_and_numbers_that_read_the_same_are_not_bold() -> None:
    of_each = measured(("a|b", "*c*"), {"x": [0.50001, 0.50002], "y": [0.25, 0.75]})
    lines = formatted(of_each, Style(("image_auroc",), percent=True), "markdown").splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines[:5]}) == 1
    assert lines[0] == r"| Data set | Image AUROC, a\|b | Image AUROC, \*c\* |"
    assert lines[2:5] == ["| x | 50.0 | 50.0 |", "| y | 25.0 | **75.0** |", "| Mean | 37.5 | **62.5** |"]


@pytest.mark.parametrize(("kind", "none"), [("markdown", "| – | – |"), ("latex", "& -- & --"), ("csv", "Mean,a,\n")])
def test_a_metric_that_one_data_set_lacks_has_no_mean_and_says_why(kind, none) -> None:
    of_each = measured(("a", "b"), {"x": [0.5, 0.6], "y": [None, None]})
    text = formatted(of_each, Style(("image_auroc",)), kind)
    assert none in text
    assert kind == "csv" or "y: no Image AUROC, as there is no defect-free test image." in text


def test_one_data_set_has_a_row_for_each_detector_and_standard_output_is_the_table(scored, tmp_path, capsys) -> None:
    root, want = scored
    folders = [str(root / name / "grid") for name in GAINS]
    arguments = ["evaluate", folders[0], str(root / "data" / "grid"), "--compare", folders[1], "--resamples", "100"]
    more = ["--no-report", "--out", str(tmp_path / "out"), "--names", "ours", "theirs", "--format"]
    assert main([*arguments, *more, "csv", "--fpr-limits", "0.3", "0.05"]) == 0
    said = capsys.readouterr()
    assert said.out == (tmp_path / "out" / "table.csv").read_text()
    assert "table.tex" in said.err
    assert "theirs less ours" in said.err
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["detector"] for row in rows] == ["ours", "theirs"]
    assert [float(row["au_pro_0.3"]) for row in rows] == [want["grid", name].aupro for name in GAINS]
    assert "au_pro_0.05" in rows[0]
    assert (tmp_path / "out" / "theirs" / "metrics.json").exists()
    for _, *rows in latex_blocks((tmp_path / "out" / "table.tex").read_text()):
        assert [row[0] for row in rows] == ["ours", "theirs"]


def test_ignore_masks_are_those_of_the_category(scored, tmp_path, capsys) -> None:
    root, want = scored
    ignore = np.zeros(SIZE, np.uint8)
    ignore[:, :9] = 255
    write_gray(tmp_path / "ignore" / "grid.png", ignore)
    arguments = ["evaluate", str(root / "Patch_Core"), str(root / "data"), "--ignore", str(tmp_path / "ignore")]
    arguments += ["--no-report", "--out", str(tmp_path / "out"), "--categories", "grid"]
    assert main(arguments) == 0
    assert main([*arguments, "metal_nut", "--force"]) == 2
    assert "no mask, or folder of masks, called metal_nut" in capsys.readouterr().err
    metrics = json.loads((tmp_path / "out" / "grid" / "metrics.json").read_text())
    assert metrics["n_pixels"] == want["grid", "Patch_Core"].n_pixels * (SIZE[1] - 9) // SIZE[1]


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (lambda root: shutil.rmtree(root / "Patch_Core" / "metal_nut"), [], "--categories grid$"),
        (lambda root: None, ["--categories", "gird"], "no category 'gird'; perhaps you meant grid"),
        (lambda root: None, ["--metrics", "aupro"], "`metrics` must be some of .* perhaps you meant au_pro"),
        (lambda root: None, ["--names", "one"], "one for each of the 2 detectors, got 1"),
        (lambda root: None, ["--names", "one", "One"], "`names` must differ"),
        (lambda root: None, ["--names", "a/b", "c"], "names that a folder can have, got 'a/b'"),
        (
            lambda root: (root / "weak & small" / "metal_nut" / "test" / "cut" / "1.tiff").unlink(),
            [],
            "cut/1.png: no map",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_scored(scored, tmp_path, capsys, change, more, said) -> None:
    shutil.copytree(scored[0], tmp_path / "copy")
    change(tmp_path / "copy")
    assert evaluate(tmp_path / "copy", tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert "evaluating" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_results_of_categories_are_overwritten_when_told_to(scored, tmp_path, capsys) -> None:
    root, _ = scored
    arguments = ["evaluate", str(root / "Patch_Core"), str(root / "data"), "--out", str(tmp_path / "out")]
    arguments += ["--categories", "grid"]
    assert main([*arguments, "--no-report"]) == 0
    assert main([*arguments, "--no-report"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*arguments, "--no-report", "--force"]) == 0
    assert main(["evaluate", str(root / "Patch_Core" / "grid"), str(root / "data" / "grid"), "--categories", "x"]) == 2
    assert "`--categories` needs a DATA that holds several data sets" in capsys.readouterr().err


def test_maps_of_one_data_set_and_of_several_are_told_apart(scored, tmp_path, capsys) -> None:
    root, _ = scored
    maps, data, out = root / "Patch_Core", root / "data", str(tmp_path / "out")
    assert main(["evaluate", str(maps), str(data / "grid"), "--out", out]) == 2
    assert f"those of {data / 'grid'} lie in {maps / 'grid'}" in capsys.readouterr().err
    assert main(["evaluate", str(maps / "grid"), str(data), "--out", out]) == 2
    assert f"with that as DATA, such as {data / 'grid'}" in capsys.readouterr().err
    # A data set may be called as the folder of its maps is.
    shutil.copytree(data / "grid", tmp_path / "test")
    assert main(["evaluate", str(maps / "grid"), str(tmp_path / "test"), "--no-report", "--out", out]) == 0


def test_metrics_lie_side_by_side_in_latex_as_long_as_they_fit() -> None:
    contents = {name: tuple({key: 0.5 for key in PUBLISHED} for _ in "ab") for name in "xy"}
    text = formatted(Measured(("a", "b"), contents), Style(("auroc", "image_auroc", "aupimo", "best_f1")), "latex")
    assert [len(groups) - 1 for groups, *_ in latex_blocks(text)] == [3, 1]
