"""The closing lines of `ssimae run`: metrics, verdicts, and where everything lies."""

import csv
import re
from pathlib import Path

import pytest
from ssimae.cli import main
from support.small_data import SETTINGS, write_small_dataset


def closing_lines(capsys: pytest.CaptureFixture[str], data: Path, out: Path, *more: str) -> list[str]:
    capsys.readouterr()
    assert main(["run", "--data", str(data), "--out", str(out), *SETTINGS, *more]) == 0
    return capsys.readouterr().out.splitlines()


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_verdicts_are_told_between_metrics_and_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    metrics, verdicts, written = closing_lines(capsys, write_small_dataset(tmp_path / "data"), out)
    assert metrics.startswith("SSIM-AE: pixel AUROC")
    assert "written" in written
    passed = sum(row["verdict"] == "good" for row in rows(out) if row["defect"] == "good")
    flagged = sum(row["verdict"] != "good" for row in rows(out) if row["defect"] == "hole")
    assert verdicts.startswith(f"{passed} of 1 good images passed; {flagged} of 2 defective ones were flagged")
    placed = re.search(r", (\d) of them in the right place\.$", verdicts)
    assert (placed is not None) == (flagged > 0)
    assert placed is None or int(placed[1]) <= flagged
    # The page says the same.
    assert verdicts in (out / "report.html").read_text()


def test_two_models_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = closing_lines(capsys, write_small_dataset(tmp_path / "data"), tmp_path / "out", "--compare", "l2")
    assert [line.split(": ")[0] for line in lines[:4]] == ["SSIM-AE", "L2-AE", "SSIM-AE", "L2-AE"]
    assert all("of 1 good images passed" in line for line in lines[2:4])


def test_images_without_truth_are_counted_by_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_small_dataset(tmp_path / "data")
    (data / "test" / "unknown.png").write_bytes((data / "test" / "hole" / "f.png").read_bytes())
    for image in [*data.glob("test/*/*.png"), *data.glob("ground_truth/*/*.png")]:
        image.unlink()
    out = tmp_path / "out"
    verdicts, _ = closing_lines(capsys, data, out)
    (row,) = rows(out)
    assert verdicts == f"1 unlabelled: 1 {row['verdict']}."


def test_a_training_alone_tells_no_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_small_dataset(tmp_path / "data"), tmp_path / "out"
    assert main(["train", "--data", str(data), "--out", str(out), *SETTINGS]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "written; model in" in line
