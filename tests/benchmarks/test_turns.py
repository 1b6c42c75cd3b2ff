"""Programs that take turns; stand-ins say how long they took."""

import sys
from pathlib import Path

import pytest

from nasfpn_lite.benchmarks.turns import Program, take_turns
from nasfpn_lite.errors import UserError

# Says who it is, then for each turn the next of the given seconds; notes its turns in a file that all share.
SCRIPT = """
import json, os, sys
name, seconds, notes = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
print(json.dumps({"name": name, "variable": os.environ.get("STAND_IN")}), flush=True)
for second, line in zip(seconds, sys.stdin):
    print(name, file=open(notes, "a"))
    print(json.dumps({"seconds": float(second), "cpu_seconds": 2 * float(second), "steps": 2}), flush=True)
sys.stderr.write("\\nlast words of " + name + "\\n")
"""


def stand_in(name: str, seconds: str, folder: Path, **environment: str) -> Program:
    command = (sys.executable, "-S", "-c", SCRIPT, name, seconds, str(folder / "notes.txt"))
    return Program(name, command, environment)


def test_each_measures_once_a_round_and_the_first_turn_does_not_count(tmp_path):
    programs = [stand_in("a", "99,2,4,6", tmp_path, STAND_IN="yes"), stand_in("b", "99,1,3,5", tmp_path)]
    turns = take_turns(programs, rounds=3)
    assert turns.seconds == ((1.0, 0.5), (2.0, 1.5), (3.0, 2.5))
    assert turns.cpu_seconds == ((2.0, 1.0), (4.0, 3.0), (6.0, 5.0))
    assert turns.ready == ({"name": "a", "variable": "yes"}, {"name": "b", "variable": None})
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8").split() == list("abababab")


def test_a_program_that_ends_too_soon_is_told_with_its_last_words(tmp_path):
    programs = [stand_in("a", "9,1,1", tmp_path), stand_in("b", "9,1", tmp_path)]
    with pytest.raises(UserError, match="b failed; the end of what it said:\nlast words of b"):
        take_turns(programs, rounds=2)


def test_a_program_that_is_not_there_is_told():
    with pytest.raises(UserError, match=r"cannot start /nowhere/python for it: No such file"):
        take_turns([Program("it", ("/nowhere/python",))], rounds=1)
