"""What stands against measuring, before any run."""

import json
import re

import pytest

from nasfpn_lite.cli import main
from tests.fake_android_modules import use_two_phones


@pytest.fixture
def phones(tmp_path, monkeypatch):
    return use_two_phones(monkeypatch, tmp_path)


def run(*arguments) -> int:
    return main(["android", *arguments])


def squeeze(text: str) -> str:
    """Makes one blank of each run of blanks: how wide a column is does not matter."""
    return re.sub(r" +", " ", text)


def test_doctor(phones, capsys):
    assert run("doctor", "-s", "A") == 0
    out = squeeze(capsys.readouterr().out)
    assert "would run on big: 08" in out
    assert "runner benchmark_model for arm64-v8a" in out
    assert "fit to be measured" in out
    assert "note: the phone was charging" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--cores", "mid"], "error: A: this phone has no mid cores"),
        (
            ["--runner", "benchmark_model", "--benchmark-binary", "missing"],
            "error: A: expected the program benchmark_model in missing",
        ),
        (["--benchmark-binary", "missing"], "error: A: expected the program benchmark_model in missing"),
    ],
)
def test_doctor_names_what_is_in_the_way(phones, capsys, arguments, text):
    assert run("doctor", "-s", "A", *arguments) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert "error" not in captured.out
    assert captured.out.splitlines()[-1] == "  cannot be measured"


@pytest.mark.parametrize("arguments", [["--benchmark-binary", "for_another_abi"], ["--runner", "nasfpn_runner"]])
def test_doctor_finds_the_runner_that_would_measure(phones, capsys, arguments):
    assert run("doctor", "-s", "A", *arguments) == 0
    assert "nasfpn_runner for arm64-v8a" in capsys.readouterr().out


def test_doctor_on_a_busy_phone(phones, capsys):
    phones["A"].set_file("/proc/loadavg", "9.5 9 9 1/700 9000\n")
    assert run("doctor", "-s", "A") == 1
    assert "in the way: other programs keep the phone busy: load 9.5 on 4 cores" in capsys.readouterr().out
    assert run("doctor", "--json") == 1
    assert [len(item["doubts"]) for item in json.loads(capsys.readouterr().out)] == [1, 0]
