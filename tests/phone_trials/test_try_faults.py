"""What the table of faults says, and when it calls a fault wrong."""

import pytest

from tests.phone_trials.fault_trial import REPOSITORY, Seen
from tests.phone_trials.faults import Fault, list_faults
from tests.phone_trials.try_faults import find_problems, to_row

FAULT = Fault("full disk", lambda trial: SEEN, 2, "free some space")
SEEN = Seen(2, ("error: A: cannot push | a file", f"  what to do: free some space in {REPOSITORY}/build"), 1.0, ())


def test_a_row():
    row = "| **full disk** | 2 | `error: A: cannot push \\| a file`<br>`what to do: free some space in build` |"
    assert to_row(FAULT, SEEN, []) == row
    assert to_row(FAULT, SEEN, ["WRONG: x"]).endswith("<br>WRONG: x |")


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (Seen(0, SEEN.lines, 1.0, ()), "expected exit code 2"),
        (Seen(2, ("error",), 1.0, ()), "expected 'free some space' in what is said"),
        (Seen(2, ("Traceback (most recent call last):", *SEEN.lines), 1.0, ()), "a traceback"),
        (Seen(2, SEEN.lines, 1.0, ("nasfpn-lite-1",)), "left on the phone: nasfpn-lite-1"),
    ],
)
def test_what_is_wrong(seen, problem):
    assert find_problems(FAULT, seen) == [f"WRONG: {problem}"]
    assert find_problems(FAULT, SEEN) == []


def test_names_of_faults_differ():
    names = [fault.name for fault in list_faults()]
    assert len(set(names)) == len(names) == 42
