"""Shares are understood as fractions, and nonsense gets one line."""

import pytest
from ssimae.cli import main
from ssimae.cli.verbs import run as verb
from ssimae.jobs import run as runs


class StartedError(Exception):
    """Stands for the work behind the flags."""


def settings_of(arguments, monkeypatch):
    jobs = []

    def start(job, *_, **__):
        jobs.append(job)
        raise StartedError

    monkeypatch.setattr(runs, "start", start)
    with pytest.raises(StartedError):
        verb.main(["--data", "images", "--preset", "default", *arguments])
    return jobs[0]


@pytest.mark.parametrize(
    ("arguments", "share"),
    [
        (["--false-calls", "1/200"], 0.005),
        (["--false-calls=1/200"], 0.005),
        (["--false_calls", "3/7"], 3 / 7),
        (["--false_calls=1/3"], 1 / 3),
        (["--false-calls", "0.005"], 0.005),
        (["--false-calls", "5e-3"], 0.005),
        (["--false-calls", "1/10", "--false-calls", "1/40"], 1 / 40),
        (["--false-calls", "None"], None),
        ([], None),
    ],
)
def test_a_share_may_be_a_fraction(arguments, share, monkeypatch):
    job = settings_of(arguments, monkeypatch)
    assert job.settings.false_calls == share
    assert job.given == (("false_calls",) if arguments else ())


def test_only_flags_of_shares_understand_fractions(monkeypatch):
    job = settings_of(["--ignore", "1/200", "--false-calls", "1/20"], monkeypatch)
    assert str(job.ignore) == "1/200"
    assert job.settings.false_calls == 1 / 20


@pytest.mark.parametrize("text", ["1/0", "2/1", "1/1", "0/5", "-1/5", "a/b", "1/", "/", "1/2/3", "1/0.5"])
@pytest.mark.parametrize("name", ["run", "train"])
def test_what_is_no_share_gets_one_line(text, name, capsys):
    for arguments in (["--false-calls", text], [f"--false-calls={text}"]):
        assert main([name, "--data", "images", *arguments]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].endswith(f"`--false-calls` must be a share between 0 and 1, such as 1/200 or 0.005, got {text}")


@pytest.mark.parametrize("text", ["0", "1", "2", "nan"])
def test_decimals_that_are_no_share_are_refused(text, capsys):
    assert main(["run", "--data", "images", "--false-calls", text]) == 2
    assert "`false_calls` must lie between 0 and 1" in capsys.readouterr().err


def shown_defaults(arguments, capsys):
    """Return the help of `ssimae run` in one line."""
    with pytest.raises(SystemExit):
        main(["run", *arguments, "--help"])
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_help_shows_the_defaults_that_apply(capsys):
    sides = "Side of a training patch in pixels: 32, 64, 128 or 256 (sec. 4.2: 128). "
    false_calls = "By default as few as the held-out images can show: one in their number and one. "
    for arguments in ([], ["--data", "x"], ["--data", "x", "--preset", "auto"]):
        said = shown_defaults(arguments, capsys)
        assert f"{sides}(default: chosen from the images)" in said
        assert said.count("chosen from the images)") == 9
        assert f"{false_calls}(default: 0.05)" in said
        assert "do not say. (default: auto)" in said
    assert "without it, they are --preset woven --compare l2" in shown_defaults([], capsys)
    assert f"{sides}(default: 64)" in shown_defaults(["--data", "x", "--patch-size", "64"], capsys)
    assert f"{sides}(default: 128)" in shown_defaults(["--preset", "paper"], capsys)
    assert "chosen from" not in shown_defaults(["--preset", "best"], capsys)


@pytest.mark.parametrize("arguments", [["predict", "run", ""], ["check", ""], ["run", "--data", "a", "--out="]])
def test_an_empty_argument_is_not_the_folder_one_is_in(arguments, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "an empty argument, as of a variable of the shell that is not set" in line


@pytest.mark.parametrize("verb", ["threshold", "predict", "improve", "export", "evaluate", "speed", "info"])
def test_help_says_what_a_flag_takes_and_not_what_it_does_without(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for words in ("None", "(default: False)", "(default: )", "--no-debug", "--no-json"):
        assert words not in said
    assert "--debug" in said
