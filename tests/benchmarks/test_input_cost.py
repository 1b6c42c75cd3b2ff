"""The input benchmark: what it counts and what it leaves out, on a clock of its own."""

import itertools
import json

import pytest

from nasfpn_lite.benchmarks import input_cost
from nasfpn_lite.benchmarks.input_cost import SETTLING_STEPS, STEPS_PER_ROUND, InputCost, compare, main


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def input_of(self, seconds):
        """Yields batches of which each takes `seconds`."""
        while True:
            self.now += seconds
            yield seconds


def test_both_kinds_are_timed_with_their_input():
    clock = Clock()
    kinds = []

    def train_step(batch):
        kinds.append(batch)
        clock.now += 1.0

    real, preloaded = compare(clock.input_of(0.25), clock.input_of(0.0), train_step, steps=7, clock=clock)
    assert real == [1.25] * 10  # whole rounds
    assert preloaded == [1.0] * 10
    assert [kind for kind, _ in itertools.groupby(kinds)] == [0.25, 0.0, 0.25, 0.0]


def test_steps_in_which_buffers_settle_do_not_count():
    clock = Clock()
    times = itertools.cycle([9.0] * SETTLING_STEPS + [1.0] * STEPS_PER_ROUND)

    def train_step(batch):
        clock.now += next(times)

    real, preloaded = compare(clock.input_of(0.0), clock.input_of(0.0), train_step, steps=STEPS_PER_ROUND, clock=clock)
    assert real == preloaded == [1.0] * STEPS_PER_ROUND


@pytest.mark.parametrize(("real_ms", "code"), [(219.0, 0), (221.0, 1)])
def test_exit_code_tells_whether_the_bound_holds(monkeypatch, capsys, tmp_path, real_ms, code):
    result = InputCost(real_step_ms=real_ms, preloaded_step_ms=200.0, batch_ms=15.0, steps=30)
    monkeypatch.setattr(input_cost, "measure_input_cost", lambda *args: result)
    assert main(["--data", str(tmp_path), "--json"]) == code
    printed = json.loads(capsys.readouterr().out)
    assert printed["input_cost"] == pytest.approx(real_ms / 200 - 1)
    assert printed["steps"] == 30
    assert main(["--data", str(tmp_path)]) == code
    assert f"{real_ms / 2 - 100:+.1f} % (at most 10 %)" in capsys.readouterr().out


def test_bad_arguments(capsys):
    with pytest.raises(SystemExit):
        main(["--data", "x", "--steps", "0"])
    assert "at least 1" in capsys.readouterr().err
