"""`ssimae reproduce`: cells that resume and are not repeated, numbers beside the paper's, figures, verification."""

import dataclasses
import json
import re
import subprocess
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from ssimae.cli import main
from ssimae.config.presets import preset
from ssimae.config.settings import Settings
from ssimae.errors import InterruptedRunError
from ssimae.jobs import job as jobs
from ssimae.jobs import stages
from ssimae.progress import SilentProgress
from ssimae.reproduce import cells as cells_module
from ssimae.reproduce import run as reproduction
from ssimae.reproduce import study as settings_study
from ssimae.reproduce.cells import Cell, run_cell, run_cells
from ssimae.reproduce.figures.examples import crop_around
from ssimae.reproduce.paper import TABLE_2
from ssimae.reproduce.plan import Material, Plan, find_materials
from ssimae.reproduce.stored.results import write_result
from ssimae.reproduce.stored.summary import read_cell_results, summary_table
from ssimae.reproduce.study import VARIANTS, variants
from ssimae.reproduce.surfaces.table import surface_table
from ssimae.reproduce.targets import TargetRow, TargetTable, spread, target_cells
from ssimae.reproduce.verify import verify
from ssimae.storage.facts import source_commit
from support.small_data import write_small_dataset

SMALL = Settings(
    patch_size=32, latent_dim=8, patches=48, epochs=2, batch_size=16, stride=16, opening=0, min_area=4,
    precision="float32", features="random", dictionary_size=10,
)  # fmt: skip


@pytest.fixture
def data(tmp_path):
    return write_small_dataset(tmp_path / "small")


@pytest.fixture
def plan(data, monkeypatch):
    """A plan whose settings are small enough to run in a second."""
    monkeypatch.setattr(Material, "settings", lambda self, budget: SMALL)
    return Plan(find_materials([data], data.parent), "quick", (0, 1))


def run(cells, tmp_path, **options):
    return run_cells(cells, tmp_path / "out", device="cpu", progress=SilentProgress(), **options)


def test_finished_cells_are_not_run_again(plan, tmp_path, monkeypatch):
    cells = plan.cells(plan.materials[0], "ssim")
    assert [cell.name for cell in cells] == ["small/quick/ssim-seed0", "small/quick/ssim-seed1"]
    assert run(cells, tmp_path) == {}
    assert all(cell.is_done(tmp_path / "out") for cell in cells)

    def never(*arguments, **options):
        raise AssertionError("run again")

    monkeypatch.setattr(cells_module, "start", never)
    monkeypatch.setattr(cells_module, "resume", never)
    assert run(cells, tmp_path) == {}


def test_an_interrupted_cell_goes_on_to_the_same_weights(plan, tmp_path, monkeypatch):
    cell = plan.cell(plan.materials[0], "ssim", 0)
    run_cell(cell, tmp_path / "whole", device="cpu", progress=SilentProgress())
    signals = iter([None, None, 15])
    interruption = type("Interruption", (), {"signal": property(lambda self: next(signals))})()
    with monkeypatch.context() as patch:
        patch.setattr(stages, "noted_signals", lambda: nullcontext(interruption))
        with pytest.raises(InterruptedRunError):
            run_cell(cell, tmp_path / "out", device="cpu", progress=SilentProgress())
    assert not cell.is_done(tmp_path / "out")
    run_cell(cell, tmp_path / "out", device="cpu", progress=SilentProgress())
    first, second = (load_file(cell.folder(tmp_path / name).model) for name in ("whole", "out"))
    for name, weights in first.items():
        np.testing.assert_array_equal(weights, second[name])


def test_an_interrupted_sweep_keeps_the_numbers_of_what_it_finished(plan, tmp_path, monkeypatch):
    first, second = plan.cells(plan.materials[0], "ssim")
    start = cells_module.start

    def interrupted(job, *arguments, **options):
        if job.settings.seed == second.settings.seed:
            raise InterruptedRunError(2, "at step 1 of 6")
        start(job, *arguments, **options)

    monkeypatch.setattr(cells_module, "start", interrupted)
    monkeypatch.setattr(reproduction, "target_cells", lambda target, plan: [first, second])
    with pytest.raises(InterruptedRunError):
        reproduction.reproduce(
            ["fig6"], plan, out=tmp_path / "out", results=tmp_path / "results", device="cpu", progress=SilentProgress()
        )
    assert [result["cell"] for result in read_cell_results(tmp_path / "results")] == [first.name]


def test_a_folder_with_other_settings_is_refused(plan, tmp_path):
    cell = plan.cell(plan.materials[0], "ssim", 0)
    assert run([cell], tmp_path) == {}
    other = dataclasses.replace(cell, settings=dataclasses.replace(cell.settings, lr=0.5))
    assert "holds a run whose `lr` is 0.0002, not 0.5" in run([other], tmp_path)[cell.name]


def test_a_folder_of_other_images_is_refused(plan, data, tmp_path):
    cell = plan.cell(plan.materials[0], "ssim", 0)
    assert run([cell], tmp_path) == {}
    (data / "train/good/a.png").write_bytes((data / "train/good/b.png").read_bytes())
    assert "other images" in run([cell], tmp_path)[cell.name]


def test_what_cannot_be_run_is_said_and_the_rest_runs(plan, tmp_path):
    fine = plan.cell(plan.materials[0], "l2", 0)
    bad = dataclasses.replace(fine, name="small/bad", settings=dataclasses.replace(SMALL, patch_size=128))
    after = dataclasses.replace(fine, name="small/after", source="small/bad")
    failures = run([bad, after, fine], tmp_path)
    assert "smaller than a patch" in failures["small/bad"]
    assert failures["small/after"] == "small/bad failed"
    assert fine.is_done(tmp_path / "out")


def test_a_cell_takes_the_network_of_another(plan, tmp_path):
    first = plan.cell(plan.materials[0], "ssim", 0)
    second = dataclasses.replace(
        first,
        name="small/smooth",
        source=first.name,
        settings=dataclasses.replace(first.settings, residual_smoothing=2.0),
    )
    assert run([second, first], tmp_path) == {}
    folders = [cell.folder(tmp_path / "out") for cell in (first, second)]
    assert json.loads(folders[0].metrics.read_text()) != json.loads(folders[1].metrics.read_text())


@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'ssimae[ray]'")
def test_cells_are_spread_by_ray(data, tmp_path):
    # In a process of its own: Ray starts others, and leaves threads behind.
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ssimae.config.settings import Settings\n"
        "from ssimae.progress import SilentProgress\n"
        "from ssimae.reproduce.cells import Cell, run_cells\n"
        "data, out = map(Path, sys.argv[1:])\n"
        "settings = Settings(patch_size=32, latent_dim=8, patches=48, epochs=2, batch_size=16, stride=16, min_area=4)\n"
        "large = Settings(patch_size=128, stride=16)\n"
        "cells = [Cell('a', data, settings, 'default'), Cell('b', data, large, 'default')]\n"
        "failures = run_cells(cells, out, device='cpu', ray='local', progress=SilentProgress())\n"
        "assert list(failures) == ['b'] and 'smaller than a patch' in failures['b'], failures\n"
        "assert cells[0].is_done(out)\n"
        "print('spread')\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(data), str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "spread" in found.stdout


def test_results_hold_what_they_came_from_and_verify(plan, tmp_path):
    cell = plan.cell(plan.materials[0], "ssim", 0)
    run([cell], tmp_path)
    out, results = tmp_path / "out", tmp_path / "results"
    result = write_result(cell, out, results)
    stored = json.loads((results / "small/quick/ssim-seed0.json").read_text())
    assert stored == json.loads(json.dumps(result))
    assert stored["settings"]["latent_dim"] == 8
    assert stored["training"]["patches"] == 96
    assert stored["training"]["trace"][-1][0] == 96
    assert len(stored["facts"]["fingerprint"]) == len(stored["model_sha256"]) == len(stored["residuals_sha256"]) == 64
    assert stored["metrics"]["n_regions"] == 2
    (found,) = verify(results, out, progress=SilentProgress())
    assert found.agrees


def test_a_changed_residual_or_number_does_not_verify(plan, tmp_path):
    cell = plan.cell(plan.materials[0], "ssim", 0)
    run([cell], tmp_path)
    out, results = tmp_path / "out", tmp_path / "results"
    write_result(cell, out, results)
    path = results / "small/quick/ssim-seed0.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "metrics": {**content["metrics"], "auroc": 0.99}}))
    (found,) = verify(results, out, progress=SilentProgress())
    assert found.agrees is False
    assert "`auroc` differs" in found.note
    residual = next(iter(cell.folder(out).residuals.rglob("*.tiff")))
    residual.write_bytes(residual.read_bytes()[:-1] + b"\0")
    (found,) = verify(results, out, progress=SilentProgress())
    assert found.agrees is False
    assert "residuals are not those" in found.note
    (found,) = verify(results, tmp_path / "elsewhere", progress=SilentProgress())
    assert found.agrees is None


def test_a_result_has_the_commit_that_its_run_came_from(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "source_commit", lambda: "of then")
    cell = plan.cell(plan.materials[0], "ssim", 0)
    run([cell], tmp_path)
    monkeypatch.setattr(jobs, "source_commit", lambda: "of now")
    assert write_result(cell, tmp_path / "out", tmp_path / "results")["commit"] == "of then"


def test_the_command_makes_all_figures_and_says_what_is_missing(plan, data, tmp_path, capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(
        Material, "settings", lambda self, budget: dataclasses.replace(SMALL, features="imagenet", patches=48)
    )
    out, results = tmp_path / "out", tmp_path / "results"
    flags = ["--data", str(data), "--out", str(out), "--results", str(results), "--epochs", "1"]
    for target in ("fig5", "fig6", "fig7"):
        code = main(["reproduce", target, *flags])
        text = capsys.readouterr().out
        assert code == (0 if target == "fig5" else 3)
        assert "SSIM-AE" in text
        assert ("alexnet-owt-7be5be79.pth" in text) == (target == "fig6")
        assert ("resnet18-f37072fd.pth" in text) == (target != "fig5")
        for suffix in ("pdf", "png"):
            assert (out / "figures" / f"{target}-small-quick,epochs=1.{suffix}").stat().st_size > 5000
    assert main(["reproduce", "--verify", "--out", str(out), "--results", str(results)]) == 0
    assert capsys.readouterr().out.count("agrees") == 3


def test_rows_name_the_features_of_their_systems(plan, data, tmp_path, capsys, monkeypatch):
    settings = dataclasses.replace(SMALL, features="imagenet", patches=320, dictionary_size=4)
    monkeypatch.setattr(Material, "settings", lambda self, budget: settings)
    out, results = tmp_path / "out", tmp_path / "results"
    flags = ["--data", str(data), "--out", str(out), "--results", str(results), "--epochs", "1"]
    assert main(["reproduce", "fig6", *flags, "--features", "efficientnet-lite0"]) == 0
    text = capsys.readouterr().out
    assert "not run" not in text
    assert (out / "figures" / "fig6-small-quick,epochs=1-efficientnet-lite0.pdf").exists()
    assert main(["reproduce", "--summary", "--results", str(results)]) == 0
    for rows in (text, capsys.readouterr().out):
        titles = ("SSIM-AE", "L2-AE", "VAE", "FM-AE (EfficientNet-Lite0)", "CNN dictionary (EfficientNet-Lite0)")
        assert all(title in rows for title in titles)
        assert "features=" not in rows


@pytest.mark.exhaustive
def test_figures_are_the_same_bytes_again(plan, data, tmp_path, capsys):
    flags = [
        "--data",
        str(data),
        "--out",
        str(tmp_path / "out"),
        "--results",
        str(tmp_path / "results"),
        "--epochs",
        "1",
    ]
    contents = []
    for _ in range(2):
        assert main(["reproduce", "fig5", *flags]) == 0
        contents.append([path.read_bytes() for path in sorted((tmp_path / "out/figures").iterdir())])
    assert contents[0] == contents[1]
    assert len(contents[0]) == 2


def test_what_is_ignored_is_ignored_in_cells_too(plan, data, tmp_path):
    ignore = tmp_path / "ignore.png"
    marked = np.zeros((70, 96), np.uint8)
    marked[:20] = 255
    Image.fromarray(marked).save(ignore)
    masked = dataclasses.replace(plan, materials=find_materials([data], tmp_path, ignore=ignore))
    cell = masked.cell(masked.materials[0], "ssim", 0)
    assert run([cell], tmp_path) == {}
    assert json.loads(cell.folder(tmp_path / "out").metrics.read_text())["n_pixels"] == 3 * 50 * 96
    assert "other images" in run([plan.cell(plan.materials[0], "ssim", 0)], tmp_path)[cell.name]
    with pytest.raises(ValueError, match="`--ignore` is for one data set, got 0"):
        find_materials([], tmp_path, ignore=ignore)


def test_table_2_sweeps_the_paper_s_values_on_real_data(tmp_path):
    material = Material("fibres", tmp_path, "paper", True)
    plan = Plan((material,), "paper", (0,))
    cells = target_cells("table2", plan)
    names = {cell.name for cell in cells}
    # The best row is one cell, shared by the three sweeps.
    assert len(names) == sum(map(len, TABLE_2.values())) - 2
    assert "fibres/paper/ssim-seed0" in names
    by_name = {cell.name: cell.settings for cell in cells}
    assert by_name["fibres/paper/ssim-window_size=3-residual_window_size=3-seed0"].residual_window_size == 3
    assert by_name["fibres/paper/ssim-patch_size=32-seed0"].patch_size == 32
    assert by_name["fibres/paper/ssim-latent_dim=50-seed0"].latent_dim == 50
    assert all(settings.patches_total == 2_000_000 for settings in by_name.values())


def test_rows_show_mean_spread_and_difference():
    table = TargetTable(
        "T", "AUROC", (TargetRow("a", 0.9, (0.8, 0.9)), TargetRow("b", None, (0.5,)), TargetRow("c", 0.7, ()))
    )
    lines = table.as_text().splitlines()
    assert "0.900" in lines[2]
    assert "0.850 ± 0.071 (2)" in lines[2]
    assert "-0.050" in lines[2]
    assert lines[3].split() == ["b", "0.500"]
    assert lines[4].split() == ["c", "0.700", "not", "run"]
    assert spread([]) == "not run"


def test_data_without_masks_or_of_one_name_is_refused(data, tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(plain / "a.png")
    with pytest.raises(ValueError, match="no test images with masks"):
        find_materials([plain], tmp_path)
    with pytest.raises(ValueError, match="two data sets are called 'small'"):
        find_materials([data, data], tmp_path)


def test_a_crop_holds_most_of_the_truth_and_stays_inside():
    truth = np.zeros((100, 300), np.bool_)
    truth[90:, 280:] = True
    truth[0, 0] = True
    rows, columns = crop_around(truth, 64)
    assert truth[rows, columns].shape == (64, 64)
    assert truth[rows, columns].sum() == 200
    assert truth[crop_around(truth, 500)].shape == (100, 300)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs a target"),
        (["fig6", "--weights", "none.pth"], "none.pth"),
        (["fig6", "--data", "nowhere"], "nowhere"),
        (["--verify", "--results", "nowhere"], "no results"),
    ],
)
def test_bad_input_is_named(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *arguments]) == 2
    # Layouts that are understood may follow.
    assert message in capsys.readouterr().err.splitlines()[0]


def test_a_cell_is_pickled_for_other_machines(plan):
    import pickle

    cell = plan.cell(plan.materials[0], "ssim", 0)
    assert pickle.loads(pickle.dumps(cell)) == cell
    assert isinstance(cell, Cell)


def test_settings_are_studied_one_at_a_time(plan, data, tmp_path, capsys):
    changes = [label for label, _ in VARIANTS]
    found = variants(plan, plan.materials[0])
    assert found[0].cells[0].settings == SMALL
    by_label = {variant.label: variant.cells[0] for variant in found}
    assert by_label["constants as the text reads, 0.01 and 0.03"].settings.constants == "literal"
    assert by_label["stopped after half"].settings.epochs == 1
    # What concerns the inspection alone takes the unchanged network; what the base has anyway is no row.
    assert by_label["no opening"].source if "no opening" in by_label else SMALL.opening == 0
    assert by_label["patches' residuals averaged"].source == found[0].cells[0].name
    assert by_label["crops flipped and turned"].source is None
    assert "Gaussian window in the loss" not in by_label
    assert set(by_label) < {*changes, found[0].label}
    for variant in found:
        changed = [
            name
            for name, value in vars(variant.cells[0].settings).items()
            if value != getattr(SMALL, name) and name != "residual_window"
        ]
        assert len(changed) <= 1, variant.label


def test_budgets_with_as_many_epochs_are_other_cells(plan):
    budgets = [dataclasses.replace(plan, budget=budget, epochs=3) for budget in ("quick", "paper", "best")]
    names = [budget.cell(plan.materials[0], "ssim", 0).name for budget in budgets]
    assert names == ["small/quick,epochs=3/ssim-seed0", "small/epochs=3/ssim-seed0", "small/best,epochs=3/ssim-seed0"]


def test_shares_of_a_training_are_of_the_epochs_asked_for(plan):
    longer = dataclasses.replace(plan, epochs=8)
    by_label = {variant.label: variant.cells[0] for variant in variants(longer, plan.materials[0])}
    epochs = {label: by_label[label].settings.epochs for label in ("stopped after a quarter", "stopped after half")}
    assert epochs == {"stopped after a quarter": 2, "stopped after half": 4}
    assert by_label["crops flipped and turned"].settings.epochs == 8


def test_the_best_settings_are_trained_once_and_inspected_in_several_ways(data, tmp_path, capsys, monkeypatch):
    asked = []

    def small(material, budget):
        asked.append(budget)
        return dataclasses.replace(SMALL, residual_smoothing=2.0, residual_scales=2)

    monkeypatch.setattr(Material, "settings", small)
    folders = ["--out", str(tmp_path / "out"), "--results", str(tmp_path / "results")]
    assert main(["reproduce", "best", "--data", str(data), *folders]) == 0
    assert set(asked) == {"best"}
    wanted = [label for label, changes in settings_study.BEST_VARIANTS if changes != {"residual_scales": 2}]
    rows = [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()[2:-1]]
    assert rows[0] == "| the tool's best"
    assert rows[1:] == [f"| {label}" for label in wanted]
    results = {result["cell"]: result for result in read_cell_results(tmp_path / "results")}
    assert len(results) == 5
    assert len({json.dumps(result["training"]) for result in results.values()}) == 1
    # Five rows, but these small patches have no room for a third scale: it is the base once more.
    assert len({result["metrics"]["auroc"] for result in results.values()}) == 4
    assert "| small | SSIM-AE, best settings | 96 |" in summary_table(list(results.values()))
    assert "residual_flips True" not in summary_table(list(results.values()))
    studied = summary_table(list(results.values()), settings=True)
    assert "| small | SSIM-AE, best settings, residual_flips True | 96 |" in studied


def test_best_settings_are_the_best_preset_for_the_surface():
    for name, wanted in (("paper", "best"), ("paper-texture", "best-texture"), ("woven", "woven")):
        material = Material("m", Path("m"), name, False)
        assert material.settings("best") == preset(wanted)
        # The report names it.
        assert Plan((material,), "best", (0,)).cell(material, "ssim", 0).preset == wanted
        assert Plan((material,), "quick", (0,)).cell(material, "ssim", 0).preset == name


def test_the_study_prints_a_row_a_change(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Material, "settings", lambda self, budget: SMALL)
    monkeypatch.setattr(
        settings_study, "VARIANTS", (("no window", {"residual_window": "gaussian"}), ("too small", {"patch_size": 256}))
    )
    folders = ["--out", str(tmp_path / "out"), "--results", str(tmp_path / "results")]
    assert main(["reproduce", "settings", "--data", str(data), "--seeds", "0", "1", *folders]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| small, 96 patches | AUROC | AU-PRO | overlap at FPR 5 %, 25/50/75 % |"
    assert lines[2].startswith("| the paper's settings, quick | 0.")
    assert "±" in lines[2]
    assert lines[3].startswith("| no window | 0.")
    assert lines[4] == "| too small | not run | | |"
    assert any(line.startswith("not run: small/quick/ssim-patch_size=256-seed0, ") for line in lines)


def test_the_summary_has_a_row_a_system_with_all_seeds(plan, tmp_path, capsys):
    run(plan.cells(plan.materials[0], "ssim") + plan.cells(plan.materials[0], "l2")[:1], tmp_path)
    for cell in plan.cells(plan.materials[0], "ssim") + plan.cells(plan.materials[0], "l2")[:1]:
        write_result(cell, tmp_path / "out", tmp_path / "results")
    (tmp_path / "results/runtime.json").write_text("{}")
    assert main(["reproduce", "--summary", "--results", str(tmp_path / "results")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[4:7] == ["", *lines[:2]]  # of single settings there is none
    assert lines[7:-2] == [""]  # nor of surfaces
    assert lines[-2].startswith("| data | `ssimae run")
    assert lines[2].startswith("| small | L2-AE, quick | 96 | 0.")
    assert lines[3].startswith("| small | SSIM-AE, quick | 96 | 0.")
    assert "(2)" in lines[3]


def test_the_summary_holds_each_setting_against_its_own_number_in_the_paper():
    metrics = {"auroc": 0.5, "au_pro": 0.5, "overlap": {"fprs": [0.05], "values": [[0.1], [0.2], [0.3]]}}
    names = ("ssim", "ssim-latent_dim=50", "ssim-window_size=3-residual_window_size=3", "ssim-schedule=one-cycle", "l2")
    results = [
        {
            "cell": f"n/paper/{name}-seed0",
            "metrics": metrics,
            "facts": {"layout": "nanotwice", "device": "CPU, 2 threads, AVX2"},
            "training": {"patches": 1, "elapsed_s": 5.0},
        }
        for name in names
    ]
    rows = [[part.strip() for part in line.split("|")] for line in summary_table(results).splitlines()[2:]]
    assert {row[2]: row[5] for row in rows} == {
        "SSIM-AE": "0.966",
        "SSIM-AE, latent dimension 50": "0.848",
        "SSIM-AE, SSIM window 3": "0.889",
        "L2-AE": "0.688",
    }
    (studied,) = summary_table(results, settings=True).splitlines()[2:]
    assert studied.startswith("| n | SSIM-AE, schedule one-cycle | 1 | 0.500 |  |")


def test_the_summary_says_how_long_trainings_took_and_on_what():
    devices = {"0": "CPU, 1 threads, AVX2", "1": "CPU, 1 threads, DEFAULT", "2": "NVIDIA H200 (CUDA 13.0)"}
    metrics = {"auroc": 0.5, "au_pro": 0.5, "overlap": {"fprs": [0.05], "values": [[0.1], [0.2], [0.3]]}}
    results = [
        {
            "cell": f"n/quick/ssim-seed{seed}",
            "metrics": metrics,
            "facts": {"layout": "mvtec", "device": device},
            "training": {"patches": 1, "elapsed_s": 60.0 * int(seed)},
        }
        for seed, device in devices.items()
    ]
    for count, said in (
        (1, "0 s, CPU, 1 thread"),
        (2, "30 s, CPU, 1 thread"),
        (3, "60 s, CPU, 1 thread and NVIDIA H200"),
    ):
        assert summary_table(results[:count]).endswith(f"| {said} |")
    assert summary_table([results[2]]).endswith("| 2 min, NVIDIA H200 |")


def test_the_commit_of_a_checkout_is_known():
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        pytest.skip("needs a checkout")
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", source_commit() or "")


def test_every_stored_result_is_in_the_summary():
    root = Path(__file__).resolve().parents[2] / "results"
    cells = {path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.json")}
    cells = {cell for cell in cells if cell not in ("runtime", "benchmarks", "colour")}
    cells = {cell for cell in cells if cell.split("/")[1] not in ("planted", "time")}  # which have tables of their own
    if not cells:
        pytest.skip("no results are stored yet")
    stored = read_cell_results(root)
    assert {result["cell"] for result in stored} == cells
    tables = summary_table(stored), summary_table(stored, settings=True), surface_table(stored)
    rows = [row for table in tables for row in table.splitlines()[2:]]
    assert len(rows) == len({result["cell"].rsplit("-seed", 1)[0] for result in stored if result["metrics"]})
