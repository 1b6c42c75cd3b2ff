"""Options of several devices and processes, and the environment where one is missing."""

import argparse

import pytest

from nasfpn_lite.cli.team import add_team_arguments, team_from_args
from nasfpn_lite.team import TeamError, TeamOptions


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NUM_PROCESSES", "PROCESS_ID", "JOB_ADDRESSES"):
        monkeypatch.delenv(f"KERAS_DISTRIBUTION_{name}", raising=False)


def read(*arguments: str) -> TeamOptions:
    parser = argparse.ArgumentParser()
    add_team_arguments(parser)
    return team_from_args(parser.parse_args(arguments))


def test_options() -> None:
    assert read() == TeamOptions(1, 1, 0, None, 300)
    assert read("--devices", "all").devices is None
    assert read("--devices", "3").devices == 3
    command = ("--processes", "2", "--process-id", "1", "--coordinator", "a:7", "--join-timeout", "9")
    assert read(*command) == TeamOptions(1, 2, 1, "a:7", 9)


@pytest.mark.parametrize("arguments", [["--devices", "0"], ["--devices", "some"], ["--process-id", "-1"]])
def test_no_numbers(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(*arguments)
    assert "expected a" in capsys.readouterr().err


def test_the_environment_fills_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "3")
    with pytest.raises(TeamError, match="each of 3 processes needs a --process-id, 0 to 2"):
        read()
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "2")
    monkeypatch.setenv("KERAS_DISTRIBUTION_JOB_ADDRESSES", "a:7,b:8,c:9")
    assert read() == TeamOptions(1, 3, 2, "a:7", 300)
    assert read("--process-id", "1", "--coordinator", "d:1") == TeamOptions(1, 3, 1, "d:1", 300)
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "two")
    with pytest.raises(TeamError, match="expected a number in KERAS_DISTRIBUTION_PROCESS_ID, got 'two'"):
        read()
