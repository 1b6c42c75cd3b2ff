"""Processor time in turns: order, ratios, and that only arithmetic counts."""

import time

import numpy as np
import pytest

from nasfpn_lite.benchmarks.cpu_time import time_in_turns, to_timings


class Network:
    """Stands in for an interpreter; burns or waits."""

    def __init__(self, name, journal, *, burn_s=0.0, wait_s=0.0):
        self.name, self.journal, self.burn_s, self.wait_s = name, journal, burn_s, wait_s
        self.fed = {}

    def get_input_details(self):
        return [{"index": 4, "dtype": np.int8, "shape": np.array([1, 2, 3])}]

    def set_tensor(self, index, values):
        self.fed[index] = values

    def invoke(self):
        self.journal.append(self.name)
        time.sleep(self.wait_s)
        end = time.thread_time() + self.burn_s
        while time.thread_time() < end:
            pass


def test_summary_by_hand():
    first, last = to_timings([[2.0, 1.0], [6.0, 2.0], [8.0, 2.0]])
    assert (first.milliseconds, last.milliseconds) == (6.0, 2.0)
    assert (first.ratio.median, first.ratio.low, first.ratio.high) == (3.0, 2.0, 4.0)
    assert last.ratio.median == 1.0


def test_files_take_turns():
    journal = []
    networks = [Network("a", journal), Network("b", journal)]
    time_in_turns(networks, rounds=3)
    assert journal[-6:] == ["a", "b"] * 3
    assert networks[0].fed[4].shape == (1, 2, 3)
    assert networks[0].fed[4].dtype == np.int8


def test_waiting_does_not_count():
    waiting, burning = Network("waits", [], wait_s=0.01), Network("burns", [], burn_s=0.004)
    timings = time_in_turns([waiting, burning], rounds=5)
    assert timings[0].milliseconds < 2.0
    assert timings[1].milliseconds == pytest.approx(4.0, abs=1.0)
