"""Options that several verbs share, and the runner that they choose."""

import argparse
import re
import sys
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.cli_common import to_options
from nasfpn_lite.android_bench.record_files import read_record
from nasfpn_lite.cli import main, verb_parser
from nasfpn_lite.errors import UserError
from tests.fake_android_modules import FakeBench, use_two_phones

QUICK = ["--rounds", "6", "--wait-minutes", "0", "-o", "out"]


@pytest.fixture
def phones(tmp_path, monkeypatch):
    return use_two_phones(monkeypatch, tmp_path)


def run(*arguments) -> int:
    return main(["android", *arguments])


def test_options_reach_the_session(phones, capsys):
    options = ["--runner", "nasfpn_runner", "--threads", "2", "--cores", "03", "--runs", "7", "--xnnpack", "runner"]
    options += ["--warmup-runs", "0", "--min-seconds", "0", "--accept", "spread", "--accept", "screen_on"]
    assert run("bench", "a.tflite", *QUICK, "-s", "A", *options) == 0
    how = read_record(next(Path("out").glob("A-bench-*.json"))).how
    assert (how.runner, how.threads, how.runs, how.warmup_runs, how.min_s) == ("nasfpn_runner", 2, 7, 0, 0.0)
    assert (how.xnnpack, how.accepted) == (None, ("spread", "screen_on"))
    assert "note: figures are trustworthy but for what was accepted: spread, screen_on" in capsys.readouterr().out
    assert FakeBench.log[0] == ("A", "warm-up on 03")


def test_gpu(phones, capsys):
    assert run("bench", "a.tflite", *QUICK, "-s", "A", "--gpu") == 0
    assert "(mask 08), GPU, the rest with XNNPACK on, 50 runs a turn" in capsys.readouterr().out
    assert read_record(next(Path("out").glob("A-bench-*.json"))).how.gpu
    for runner in (["--runner", "nasfpn_runner"], ["--benchmark-binary", "for_another_abi"]):  # none that could
        FakeBench.log.clear()
        assert run("bench", "a.tflite", *QUICK, "-s", "A", "--gpu", *runner) == 2
        assert re.search("--gpu needs benchmark_model|expected a benchmark_model", capsys.readouterr().err)
        assert FakeBench.log == []


def test_four_rounds_are_too_few(phones, capsys):
    assert run("bench", "a.tflite", *QUICK, "--rounds", "4") == 2
    assert "error: expected --rounds of at least 5, got 4" in capsys.readouterr().err
    assert run("bench", "a.tflite", *QUICK, "--rounds", "5") == 0


@pytest.mark.parametrize(
    ("option", "value"), [("--min-seconds", "-1"), ("--wait-minutes", "-1"), ("--cool-below", "nan")]
)
def test_errors_name_the_option(phones, capsys, option, value):
    assert run("bench", "a.tflite", *QUICK, f"{option}={value}") == 2
    error = capsys.readouterr().err
    assert option in error and f"got {value}" in error


def test_help_tells_every_default():
    """What a user would have to look up elsewhere: a default that is neither told nor plain."""
    (verbs,) = (action for action in verb_parser("android")._actions if action.dest == "android_verb")
    for name in ("bench", "compare", "profile", "doctor"):
        for action in verbs.choices[name]._actions:
            told = "default: " in (action.help or "") or action.help == argparse.SUPPRESS
            assert told or action.default in (None, False, [], argparse.SUPPRESS), (name, action.dest)


def test_without_a_benchmark_model_one_short_line(phones, monkeypatch, capsys):
    monkeypatch.setattr(FakeBench, "has_no_benchmark_binary", True)
    assert run("bench", "a.tflite", *QUICK) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "benchmark_model" in line]
    assert sorted(said) == [f"{serial}: no benchmark_model found; using nasfpn_runner" for serial in ("A", "B:5555")]
    assert run("bench", "a.tflite", *QUICK, "-s", "A", "--runner", "benchmark_model") == 2
    assert "a long text: download it" in capsys.readouterr().err


def test_without_any_runner_both_reasons_are_told(phones, monkeypatch, capsys):
    def fail(abi):
        raise UserError("no compiler: install one")

    monkeypatch.setattr(FakeBench, "has_no_benchmark_binary", True)
    monkeypatch.setattr(sys.modules["nasfpn_lite.android_bench.runners"], "find_own_runner", fail)
    assert run("bench", "a.tflite", *QUICK, "-s", "A") == 2
    assert re.search("a long text: download it\nno compiler: install one", capsys.readouterr().err)


def test_times_of_a_turn():
    def options(*words):
        return to_options(verb_parser("android").parse_args(["bench", "a.tflite", *words]))

    assert (options().min_s, options().max_s) == (1.0, 150.0)
    slow = options("--max-seconds", "900", "--min-seconds", "200")
    assert (slow.min_s, slow.max_s, slow.turn_timeout_s) == (200.0, 900.0, 1920.0)


def test_a_missing_runner_is_each_phones_error(phones, capsys):
    options = ["--runner", "benchmark_model", "--benchmark-binary", "missing"]
    assert run("bench", "a.tflite", *options, *QUICK) == 2
    captured = capsys.readouterr()
    assert captured.err.count("but there is no such file") == 2
    assert captured.out == ""
    assert not Path("out/latency.html").exists()


def test_a_program_that_the_user_named_is_not_replaced_in_silence(phones, capsys):
    assert run("bench", "a.tflite", "--benchmark-binary", "missing", *QUICK) == 2
    assert "expected the program benchmark_model in missing, but there is no such file" in capsys.readouterr().err
    own = ["--runner", "nasfpn_runner", "--benchmark-binary", "for_another_abi"]
    assert run("bench", "a.tflite", *own, *QUICK) == 2
    assert "leave one of them out" in capsys.readouterr().err
    assert FakeBench.log == []


@pytest.mark.parametrize("option", [["--accept", "all"], ["--runner", "x"], ["--threads", "0"], ["--xnnpack", "yes"]])
def test_options_that_there_are_not(phones, option):
    with pytest.raises(SystemExit):
        run("bench", "a.tflite", *option)
