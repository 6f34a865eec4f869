"""The benchmark for GPUs, as far as a CPU shows: it finds what is wrong, and writes what it measured."""

import contextlib
import json
import os
import subprocess
import sys
import types
from importlib.util import find_spec
from pathlib import Path

import pytest
import ssimae
import torch
from perf.gpu import bench as gpu
from perf.gpu import checks as gpu_checks
from perf.gpu import floors as gpu_floors
from perf.gpu import rivals as gpu_rivals
from perf.gpu import timing as gpu_timing
from perf.gpu.floors import CASES, H200, SIZES, Rates, floor_us, rates_of, slots
from perf.gpu.timing import Times
from ssimae.similarity.operators import decline

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[3]
BACKEND = "torch" if decline("rust", torch.zeros(1), torch.zeros(1)) else "rust"
# What a machine without this project's environment lacks.
FOREIGN = (
    "ssimae._rust",
    "jinja2",
    "matplotlib",
    "PIL",
    "pytest",
    "rich",
    "safetensors",
    "scipy",
    "sklearn",
    "tifffile",
)


def counted():
    """Return a timer that calls once and gives 1.5, 2.5, 3.5.. microseconds."""
    calls = []

    def timer(call):
        call()
        calls.append(call)
        return Times(len(calls) + 0.5, float(len(calls)), len(calls) + 1.0)

    return timer


def bare(*words, **environment):
    """Run the script with nothing to import but torch, triton, numpy and the standard library."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({FOREIGN!r})); sys.argv = {[gpu.__file__, *words]!r}; "
    code = blocked + f"sys.path.insert(0, {str(ROOT / 'tests')!r}); from perf.gpu.bench import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def test_without_a_gpu_one_line_says_so_and_the_status_is_2():
    done = bare(CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bench-gpu: torch sees no CUDA device here\n"


def test_make_needs_no_environment_of_the_project():
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "bench-gpu", "PYTHON=python9", "ARGS=--quick"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "PYTHONPATH=python:tests python9 -m perf.gpu.bench --quick", done.stderr


def test_arguments_choose_sizes_and_the_kernels_by_name():
    whole, quick = (gpu.plan_of(gpu.parse(words)) for words in ([], ["--quick", "--seconds", "60"]))
    assert (whole.backend, list(whole.sizes), whole.seconds) == ("triton", ["N1", "N2", "N3"], 450)
    assert (quick.backend, list(quick.sizes), quick.seconds) == ("triton", ["N1", "N2"], 60)
    trial = gpu.plan_of(gpu.parse(["--device", "cpu"]))
    assert (trial.backend, trial.sizes) == (BACKEND, gpu.TINY)
    with pytest.raises(SystemExit, match="2"):
        gpu.parse(["--rivals", "nobody"])


def test_all_checks_hold_on_the_cpu():
    wrong = [problem for check in gpu_checks.checks(CPU) for problem in gpu_checks.problems(check, CPU, BACKEND)]
    assert wrong == []


def test_checks_reach_every_option():
    listed = gpu_checks.checks(torch.device("cuda"))
    crossed = {(check.border, check.window, check.window_size) for check in listed}
    for border in ("reflect", "symmetric", "zero", "valid"):
        assert {(border, window, size) for window in ("gaussian", "uniform") for size in (3, 11, 19, 31)} <= crossed
    assert {(c.reduction, c.wanted) for c in listed} >= {(r, w) for r in ("mean", "none", "image") for w in ("x", "xy")}
    assert {(c.way, c.reduction) for c in listed} >= {("captured", "none"), ("captured", "mean"), ("compiled", "none")}
    assert {(c.dtype, c.target) for c in listed} >= {("bfloat16", ""), ("float16", ""), ("bfloat16", "uint8")}
    # What is timed is checked, hence compiled, before all else.
    assert {(c.window, c.wanted) for c in listed[:4]} == {(case.window, case.wanted) for case in CASES}


def _spoilt(spoil):
    right = ssimae.ssim_loss

    def loss(x, y, *, backend, **options):
        value = right(x, y, backend="torch", **options)
        return value if x.dtype == torch.float64 else spoil(value, x)

    return loss


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda value, x: value * (1 + 2e-5), "value off by", id="value"),
        pytest.param(lambda value, x: value + 1e-5 * (x - x.detach()).mean(), "gradient by x off by", id="gradient"),
        pytest.param(lambda value, x: value + 1e-6 * torch.rand(()), "not the same bits twice", id="chance"),
        pytest.param(lambda value, x: value + torch.empty(()), "value off by", id="unwritten"),
        pytest.param(lambda value, x: value.double(), "torch.float64, not", id="type"),
        pytest.param(lambda value, x: value.missing, "AttributeError", id="raises"),
    ],
)
@pytest.mark.parametrize("reduction", ["mean", "none", "image"])
def test_checks_find_what_is_wrong(monkeypatch, spoil, words, reduction):
    check = gpu_checks.Check(reduction=reduction)
    monkeypatch.setattr(ssimae, "ssim_loss", _spoilt(lambda value, x: value))
    assert gpu_checks.problems(check, CPU, "torch") == []
    monkeypatch.undo()
    monkeypatch.setattr(ssimae, "ssim_loss", _spoilt(spoil))
    found = gpu_checks.problems(check, CPU, "torch")
    assert any(words in problem for problem in found), found
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_checks_of_half_precision_allow_rounding_alone(monkeypatch, dtype):
    check = gpu_checks.Check(dtype=dtype, noise=0.1, reduction="none")
    assert gpu_checks.problems(check, CPU, BACKEND) == []
    monkeypatch.setattr(ssimae, "ssim_loss", _spoilt(lambda value, x: value + 0.02 * (x - x.detach()).float().mean()))
    assert any("gradient by x" in problem for problem in gpu_checks.problems(check, CPU, "torch"))


def test_checks_that_there_is_no_time_for_are_named(monkeypatch):
    monkeypatch.setattr(gpu, "checks", lambda device: gpu_checks.checks(device)[:3])
    wrong, about = gpu.check_all(gpu.plan_of(gpu.parse(["--device", "cpu", "--seconds", "0", "--jobs", "1"])))
    assert (wrong, about["held"], len(about["undone"])) == ([], 0, 3)
    assert all(name.startswith("2x1x16x16") for name in about["undone"])


def test_floors_are_those_of_the_h200():
    for case in CASES:
        for shape, us, digits in zip(SIZES.values(), case.h200_us, (1, 0, 0), strict=True):
            assert round(floor_us(case, shape, H200)[0], digits) == us, (case.name, shape)


def test_slots_hold_the_multiply_adds_of_the_blurs():
    # 11 taps, two passes, four planes forward and three or four backward; and the arithmetic of the pixel itself.
    for case, planes in zip(CASES[:3], (4, 7, 8), strict=True):
        blurs = 2 * 11 * planes
        assert blurs < slots(case) < 1.5 * blurs
    assert slots(CASES[3]) == 0
    assert slots(CASES[1]) == pytest.approx(209, abs=1)


def test_floors_follow_the_slower_of_memory_and_arithmetic():
    assert floor_us(CASES[1], (1, 1, 1000, 1000), Rates(12e9, float("inf"))) == (pytest.approx(1000), "memory")
    us, set_by = floor_us(CASES[1], (1, 1, 1000, 1000), Rates(12e9, 2e9))
    assert (us, set_by) == (pytest.approx(1000 * slots(CASES[1])), "arithmetic")


def test_bandwidth_is_bytes_read_and_written():
    rates = rates_of(CPU, lambda call: call().nbytes * 2 / 1e3)
    assert rates == (pytest.approx(1e9), float("inf"))


def test_times_are_in_order_and_of_enough_calls():
    calls = []
    times = gpu_timing.timer_for(CPU, quick=True)(lambda: calls.append(torch.ones(1000).sum()))
    assert 0 < times.low_us <= times.median_us <= times.high_us
    assert gpu_timing.CALLS[0] < len(calls) <= gpu_timing.CALLS[1] + 4


class _Event:
    """Stands for a CUDA event of a card that takes 2 ms between two records."""

    ticks = 0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        type(self).ticks += 1
        self.tick = self.ticks

    def elapsed_time(self, other):
        return 2.0 * (other.tick - self.tick)


def _pretend_cuda(monkeypatch, **parts):
    memory = {"memory_allocated": lambda _: 1000, "max_memory_allocated": lambda _: 1300}
    quiet = dict.fromkeys(("synchronize", "reset_peak_memory_stats"), lambda *_: None)
    streams = {"Stream": lambda: types.SimpleNamespace(wait_stream=lambda _: None), "stream": contextlib.nullcontext}
    streams["current_stream"] = streams["Stream"]
    for name, part in (memory | quiet | streams | {"Event": _Event} | parts).items():
        monkeypatch.setattr(torch.cuda, name, part)
    monkeypatch.setattr(torch, "empty", lambda size, **_: torch.zeros(1))
    return torch.device("cuda")


def test_calls_are_timed_by_events_and_replayed_from_a_graph(monkeypatch):
    replays, calls = [], []
    graph = types.SimpleNamespace(replay=lambda: replays.append(1))
    device = _pretend_cuda(monkeypatch, CUDAGraph=lambda: graph, graph=contextlib.nullcontext)
    row = gpu_timing.measure(lambda: calls.append(1), gpu_timing.timer_for(device, quick=False), device)
    assert row == {"peak_bytes": 300, "eager": Times(2000, 2000, 2000)._asdict(), "graph": row["eager"]}
    # One call and three before 0.4 s of 2 ms each; of the memory two, of the graph three and its own.
    assert (len(replays), len(calls)) == (4 + 199, 4 + 199 + 2 + 4)


def test_a_call_that_no_graph_can_hold_keeps_its_eager_time(monkeypatch):
    def refuse(_):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    device = _pretend_cuda(monkeypatch, CUDAGraph=object, graph=refuse)
    row = gpu_timing.measure(lambda: None, gpu_timing.timer_for(device, quick=True), device)
    assert row["graph"] is None
    assert row["no_graph"] == "RuntimeError: operation not permitted when stream is capturing"
    assert gpu_timing.best_us(row) == 2000


def test_arithmetic_of_a_card_is_lanes_times_clock(monkeypatch):
    utils = types.SimpleNamespace(get_device_properties=lambda index: {"sm_clock_rate": 1_980_000})
    driver = types.SimpleNamespace(active=types.SimpleNamespace(utils=utils))
    monkeypatch.setitem(sys.modules, "triton.runtime", types.SimpleNamespace(driver=driver))
    monkeypatch.setattr(torch.version, "hip", None)
    for capability, processors, tflops in (((9, 0), 132, 66.9), ((8, 0), 108, 27.37)):
        properties = types.SimpleNamespace(multi_processor_count=processors)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, found=properties: found)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        assert gpu_floors._flops(torch.device("cuda", 0)) == pytest.approx(tflops * 1e12, rel=1e-3)


def test_answers_in_chunks_are_answers_at_once(monkeypatch):
    options = {"window": "gaussian", "border": "reflect"}
    whole = gpu_timing.specified.__wrapped__((3, 2, 16, 17), CPU, "xy", **options)
    monkeypatch.setattr(gpu_timing, "_CHUNK_PIXELS", 2 * 2 * 16 * 17)
    chunked = gpu_timing.specified.__wrapped__((3, 2, 16, 17), CPU, "xy", **options)
    assert [part.shape for part in chunked] == [(), (3, 2, 16, 17), (3, 2, 16, 17)]
    assert max(gpu_timing.departures(chunked, whole)) < 1e-7


def _rows(name):
    return list(gpu_rivals.measured(name, CPU, BACKEND, gpu.TINY, counted()))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in gpu_rivals.GPU_RIVALS if name != "fused-ssim"])
def test_rivals_answer_for_every_case_they_have(name):
    rival = gpu_rivals.GPU_RIVALS[name]
    if find_spec(rival.package) is None:
        pytest.skip(f"needs {rival.distribution}, of the extra `bench`")
    rows = _rows(name)
    assert [row["case"] for row in rows] == [case.name for case in CASES]
    for row, case in zip(rows, CASES, strict=True):
        if case.window in rival.windows:
            assert row["ratio"] == row["theirs"]["eager"]["median_us"] / row["ours"]["eager"]["median_us"], row
        else:
            assert row["refused"] == "NotImplementedError: has no uniform window"


def _as_fused_ssim(x, y, padding, train):
    """Answer as fused-ssim does: with the gradient of the first image alone, and only if it trains."""
    assert (padding, train) == ("same", x.requires_grad)
    return ssimae.ssim(x, y.detach(), data_range=1.0, border="zero")


def test_a_rival_without_a_gradient_is_refused_that_case_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "fused_ssim", types.SimpleNamespace(fused_ssim=_as_fused_ssim))
    forward, of_x, of_both, uniform = _rows("fused-ssim")
    assert {"ratio", "ours", "theirs"} <= forward.keys() & of_x.keys()
    assert "not have been used in the graph" in of_both["refused"]
    assert "no uniform window" in uniform["refused"]


def test_a_rival_with_a_wrong_answer_is_not_timed(monkeypatch):
    wrong = types.SimpleNamespace(fused_ssim=lambda *args, **options: 0.999 * _as_fused_ssim(*args, **options))
    monkeypatch.setitem(sys.modules, "fused_ssim", wrong)
    for row in _rows("fused-ssim")[:2]:
        assert "ratio" not in row
        assert row["refused"].startswith("ValueError: its loss is wrong: off by")


def test_our_own_wrong_answer_ends_the_run(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "check_all", lambda plan: ([], {"held": 1, "seconds": 1.0, "undone": []}))
    monkeypatch.setattr(ssimae, "ssim_loss", _spoilt(lambda value, x: value * 1.001))
    assert gpu.main(["--device", "cpu"]) == 1
    assert "bench-gpu: its loss is wrong" in capsys.readouterr().err


def test_failed_checks_end_the_run_before_anything_is_timed(monkeypatch, capsys):
    monkeypatch.setattr(
        gpu, "check_all", lambda plan: (["a: value off"], {"held": 1, "seconds": 1.0, "undone": []})
    )  # fmt: skip
    monkeypatch.setattr(gpu, "time_ours", None)
    assert gpu.main(["--device", "cpu"]) == 1
    assert "1 things are wrong, nothing is timed:\na: value off" in capsys.readouterr().err


def test_a_rival_over_its_time_keeps_its_rows_and_ends(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(
        "import sys, time, pathlib, os\n"
        "pathlib.Path(sys.argv[-1]).write_text('{\"rival\": 1}\\n')\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "print('started')\n"
        "time.sleep(600)\n"
    )
    said = []
    rows, reason = gpu_rivals.in_process([str(script)], 2.0, said.append)
    assert rows == [{"rival": 1}]
    assert reason == "stopped after its 2 s"
    assert said == ["1 rows, stopped after its 2 s"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_rival_that_dies_says_its_last_word(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text("raise OSError('no such library')\n")
    assert gpu_rivals.in_process([str(script)], 60, str) == ([], "ended with status 1: OSError: no such library")


@pytest.mark.exhaustive
@pytest.mark.slow
def test_table_and_numbers_are_those_measured(monkeypatch, capsys, tmp_path):
    pytest.importorskip("torchmetrics", reason="needs torchmetrics, of the extra `test`")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"), prepend=os.pathsep)
    monkeypatch.setattr(gpu, "checks", lambda device: gpu_checks.checks(device)[:2])
    monkeypatch.setattr(gpu_timing, "timer_for", lambda device, quick: counted())
    words = ["--device", "cpu", "--quick", "--jobs", "1", "--out", str(tmp_path / "new" / "gpu")]
    assert gpu.main([*words, "--rivals", "torchmetrics", *(["fused-ssim"] if not find_spec("fused_ssim") else [])]) == 0
    files = sorted((tmp_path / "new" / "gpu").iterdir())
    assert [file.suffix for file in files] == [".json", ".md"]
    record, table = json.loads(files[0].read_text()), files[1].read_text()
    assert capsys.readouterr().out == table + "\n"
    assert record["checks"]["held"] == 2
    assert record["about"]["versions"]["torch"] == torch.__version__.split("+")[0]
    # The first call of the timer is the copy's.
    assert [row["eager"]["median_us"] for row in record["ours"]] == [2.5, 3.5, 4.5, 5.5]
    floor = record["ours"][1]["floor_us"]
    assert floor == pytest.approx(1e6 * 12 * 2 * 3 * 40 * 50 / record["rates"]["bytes"])
    ours = f"| tiny, 2 x 3 x 40 x 50 | loss + d/dx | {floor:.1f} | memory | 3.5 (3.0-4.0) | - | {3.5 / floor:.2f} | - |"
    assert ours in table.splitlines()
    for row in record["rivals"]:
        theirs = row["theirs"]["eager"]["median_us"]
        assert f"| torchmetrics | tiny | {row['case']} | reflect | {gpu.gpu_table._us(theirs)} (" in table
        assert f"| {row['ratio']:.2f} |" in table
    assert len(record["rivals"]) == len(CASES)
    if not find_spec("fused_ssim"):
        assert "- fused-ssim: not installed (fused-ssim)" in table
