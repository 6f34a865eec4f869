"""In a terminal, what is said can be read: no bar over a warning, no box round a mistyped flag."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ssimae.cli import main
from support.small_data import SETTINGS, write_small_dataset


def screen(*arguments: str) -> str:
    """Return what stands in a terminal of 80 columns, all lines it ever had, after Python has run."""
    terminal, inner = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm-256color"}
    process = subprocess.Popen([sys.executable, *arguments], stdin=inner, stdout=inner, stderr=inner, env=environment)
    os.close(inner)
    output = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        output += part
    os.close(terminal)
    process.wait()
    return drawn(output.decode())


def drawn(output: str) -> str:
    """Return the lines of a terminal after all its cursor movements; long lines are not wrapped."""
    lines, row, column = [""], 0, 0
    for found in re.finditer(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b.|([\r\n])|([^\x1b\r\n]+)", output):
        number, command, end, text = found.groups()
        if command == "A":
            row = max(0, row - int(number or 1))
        elif command == "K":
            lines[row] = "" if number == "2" else lines[row][:column]
        elif end == "\r":
            column = 0
        elif end == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
    return "\n".join(line.rstrip() for line in lines)


_BARS = """
import logging
from ssimae.cli.bars import progress_bars
from ssimae.cli.exits import Log
logging.basicConfig(handlers=[Log()])
with progress_bars() as bars, bars.task("training", 9) as task:
    for done in range(10):
        task.update(done)
        if done == 5:
            logging.warning("something is wrong, %s and it is told", "at length, " * 12)
"""


def test_a_warning_stands_above_the_bars() -> None:
    lines = screen("-c", _BARS).splitlines()
    assert lines[0] == f"ssimae: WARNING: something is wrong, {'at length, ' * 12} and it is told"
    assert lines[1].startswith("training ")
    assert "9/9" in lines[1]


@pytest.mark.exhaustive
def test_the_warning_of_a_training_stands_above_its_bars(tmp_path: Path) -> None:
    data = write_small_dataset(tmp_path / "data")
    said = screen("-m", "ssimae", "train", "--data", str(data), "--out", str(tmp_path / "out"), *SETTINGS)
    (warning,) = (line for line in said.splitlines() if "WARNING" in line)
    assert warning.startswith("ssimae: WARNING: training collapsed: loss ")
    assert warning.endswith(".")
    assert "training SSIM-AE" in said
    assert "144/144" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "perhaps you meant run"),
        (["run", "--dta", "x"], "unknown flag --dta; perhaps you meant --data"),
        (["run", "-out", "x"], "perhaps you meant --out"),
        (["run", "photos"], "perhaps you meant --data photos"),
        (["train", "--batch_siz=3"], "perhaps you meant --batch-size"),
        (["run", "--no-holdout"], "perhaps you meant --no-hold-out"),
        (["run", "--preset", "bst"], "perhaps you meant best"),
        (["run", "--compare=ssin"], "perhaps you meant ssim"),
        (["run", "--calibration", "surfce"], "perhaps you meant surface"),
        (["reproduce", "fig55"], "perhaps you meant fig5"),
        (["check", "x", "--chanels", "3"], "perhaps you meant --channels"),
        (["evaluate", "x", "--fpr-limit", "1"], "perhaps you meant --fpr-limits"),
        (["predict", "a", "b", "--skipbad"], "perhaps you meant --skip-bad"),
        (["report", "a", "--debgu"], "perhaps you meant --debug"),
        (["run", "--epochs", "many"], "invalid literal for int() with base 10: 'many'"),
        (["run", "--epochs"], "Missing value for argument '--epochs'"),
        (["report"], "(see ssimae report --help)"),
    ],
)
def test_a_slip_gets_one_line_with_what_was_meant(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not set(line) & set("│─╭╮╰╯")


def test_a_slip_gets_one_line_in_a_terminal_too() -> None:
    (line,) = screen("-m", "ssimae", "check", "x", "--patch-size", "one").split("\n")[:-1]
    assert line == "ssimae: Error parsing --patch-size: must be INT, got 'one' (see ssimae check --help)"


def test_negative_numbers_and_values_like_flags_are_no_typos(capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("-1", "-inf", "-nan"):
        main(["run", "--data", "x", "--lr", value])
        assert "unknown flag" not in capsys.readouterr().err


def test_control_characters_of_names_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "no\x1b[2J\rhere"]) == 2
    assert "no\\x1b[2J\\rhere" in capsys.readouterr().err


def test_a_terminal_without_the_letters_of_a_name_is_told_them_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_small_dataset(tmp_path / "größe")
    output = io.BytesIO()
    stream = io.TextIOWrapper(output, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["check", str(data), "--patch-size", "32"]) == 0
    assert b"gr\\xf6\\xdfe" in output.getvalue()
    assert stream.errors == "strict"


def test_what_is_told_in_two_columns_stays_in_them() -> None:
    lines = screen("-m", "ssimae", "--help").splitlines()
    assert max(map(len, lines)) <= 80
    (first,) = (number for number, line in enumerate(lines) if line.startswith("  ssimae improve "))
    indent = lines[first].index("Teach")
    assert lines[first + 1].startswith(" " * indent)  # the sentence goes on below its beginning
