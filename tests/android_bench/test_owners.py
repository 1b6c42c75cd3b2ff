"""Owners of folders: this process, one that ended, another computer's."""

import os
import subprocess
import sys

import pytest

from nasfpn_lite.android_bench import owners
from nasfpn_lite.android_bench.owners import describe_owner, find_state


def test_this_process_is_alive():
    assert find_state(describe_owner()) == "alive"
    assert len(describe_owner().split()) == 4


def test_a_process_is_dead_when_it_has_ended_though_nobody_waited_for_it():
    code = "from nasfpn_lite.android_bench.owners import describe_owner; print(describe_owner(), flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        owner = process.stdout.readline()
        assert find_state(owner) == "alive"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # leaves it as a zombie
        assert find_state(owner) == "dead"
    assert find_state(owner) == "dead"


@pytest.mark.parametrize(
    ("place", "value", "state"),
    [(0, "other", "unknown"), (1, "other", "dead"), (2, "x", "unknown"), (3, "1", "dead"), (3, "", "unknown")],
)
def test_each_part_counts(place, value, state):
    words = describe_owner().split()
    words[place] = value
    assert find_state(" ".join(words)) == state


@pytest.mark.parametrize("owner", ["", "x", "a b c d e f"])
def test_what_is_no_owner(owner):
    assert find_state(owner) == "unknown"


def test_a_system_without_proc(monkeypatch, tmp_path):
    monkeypatch.setattr(owners, "_PROC", tmp_path)
    assert describe_owner() == ""
    assert find_state(describe_owner()) == "unknown"
