"""`ssimae reproduce surfaces`: one row for each way to run a data set, with its verdicts."""

import csv
import dataclasses
import json
from pathlib import Path

import pytest
from ssimae.cli import main
from ssimae.config.presets import preset
from ssimae.config.settings import Settings
from ssimae.jobs.job import Job
from ssimae.progress import SilentProgress
from ssimae.reproduce import cells
from ssimae.reproduce.cells import run_cells
from ssimae.reproduce.plan import Plan, find_materials
from ssimae.reproduce.stored.summary import read_cell_results, summary_table
from ssimae.reproduce.surfaces import table as surfaces
from ssimae.reproduce.surfaces.table import COMMANDS, Command, surface_cells, surface_table
from support.small_data import write_small_dataset

SMALL = Settings(
    patch_size=32, latent_dim=8, patches=48, batch_size=16, stride=16, opening=0, min_area=4, precision="float32"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_small_dataset(tmp_path / "small")


def test_the_table_shows_what_the_runs_said(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(surfaces, "preset", lambda name: SMALL)
    few = (Command("best", "--preset best --epochs 1", "best", epochs=1, seeds=1),)
    monkeypatch.setattr(surfaces, "COMMANDS", few)
    out, results = tmp_path / "out", tmp_path / "results"
    flags = ["--data", str(data), "--out", str(out), "--results", str(results), "--seeds", "0", "1"]
    assert main(["reproduce", "surfaces", *flags]) == 0
    printed = capsys.readouterr().out
    (result,) = read_cell_results(results)
    assert result["cell"] == "small/surfaces/best-seed0"
    run = out / "small/surfaces/best-seed0"
    metrics = json.loads((run / "metrics.json").read_text())
    with (run / "predictions.csv").open(newline="") as file:
        verdicts = [(row["defect"] == "good", row["verdict"] != "good") for row in csv.DictReader(file)]
    assert f"{metrics['auroc']:.3f} | {metrics['average_precision']:.3f}" in printed
    assert f"{metrics['aupros']['0.3']:.3f} | {metrics['aupros']['0.05']:.3f}" in printed
    for kind, is_good in (("good", True), ("defective", False)):
        of_kind = [flagged for good, flagged in verdicts if good is is_good]
        counts = result["verdicts"][kind]
        assert (counts["images"], counts["flagged"]) == (len(of_kind), sum(of_kind))
        assert f"| {sum(of_kind)} of {len(of_kind)} |" in printed
    assert "best" not in summary_table([result])  # it is no row of the paper's
    assert main(["reproduce", "--verify", "--out", str(out), "--results", str(results)]) == 0


def test_without_flags_all_but_the_seed_is_chosen(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Job] = []
    monkeypatch.setattr(cells, "start", lambda job, *arguments, **options: jobs.append(job))
    plan = Plan(find_materials([data], tmp_path), "quick", (0, 1, 2))
    wanted = [cell for cell in surface_cells(plan) if cell.minutes is not None]
    assert [cell.name.split("/")[-1] for cell in wanted] == ["auto-seed0", "quick-seed0", "quick-seed1", "quick-seed2"]
    assert run_cells(wanted, tmp_path / "out", device="cpu", progress=SilentProgress()) == {}
    assert [job.minutes for job in jobs] == [20, 5, 5, 5]
    assert all(job.given == ("seed",) and job.preset == "auto" for job in jobs)
    assert jobs[3].settings == dataclasses.replace(preset("auto"), seed=2)


def test_seeds_give_a_spread() -> None:
    command = COMMANDS[1]
    stored = [
        {
            "cell": f"cloth/surfaces/{command.name}-seed{seed}",
            "metrics": {
                "auroc": 0.9 + 0.01 * seed,
                "average_precision": 0.5,
                "aupros": {"0.3": 0.8, "0.05": 0.4},
                "image_auroc": None,
            },
            "verdicts": {"defective": {"images": 10, "flagged": 5 + seed, "placed": 4}},
            "seconds": 300.0,
            "masked": True,
            "facts": {"device": "AMD EPYC, 1 threads, AVX512"},
        }
        for seed in range(3)
    ]
    row = surface_table(stored).splitlines()[-1]
    assert row == (
        "| cloth | `--minutes 5`, with `--ignore` | 0.910 ± 0.010 (3) | 0.500 ± 0.000 (3) | 0.800 ± 0.000 (3) | "
        "0.400 ± 0.000 (3) |  | "
        "60 ± 10 % of 10 | 40 ± 0 % of 10 |  | 5 min, AMD EPYC, 1 thread |"
    )
