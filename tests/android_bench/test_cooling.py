"""Waits: as long as it helps, and no longer."""

import threading
from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.cooling import POLL_S, Fitness, Pace, SessionStopped, wait_until_fit
from tests.fake_measured_phone import change_clock, make_conditions

COOL = make_conditions()
HOT = make_conditions(battery_c=41.0)
FIT = Fitness(cores=(2, 3), accepted=(), cool_below_c=37.0, patience_s=60.0)


class FastPace(Pace):
    """A clock that waits at once."""

    def __init__(self) -> None:
        super().__init__()
        self.time_s = 100.0
        self.waits: list[float] = []

    def now_s(self) -> float:
        return self.time_s

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time_s += seconds


def wait(states, fitness=FIT, **options):
    states, pace, said = iter(states), FastPace(), []
    state, reasons = wait_until_fit(lambda: next(states), fitness, pace, say=said.append, **options)
    return state, reasons, pace.waits, said


def test_a_fit_phone_is_not_waited_for():
    assert wait([COOL]) == (COOL, (), [], [])


def test_a_first_reading_saves_one():
    assert wait([], first=COOL)[:2] == (COOL, ())


def test_a_hot_phone_is_waited_for():
    state, reasons, waits, said = wait([HOT, HOT, COOL])
    assert (state, reasons, waits) == (COOL, (), [POLL_S, POLL_S])
    assert said[1].startswith("waiting (10 of at most 60 s): hot start: skin or battery at 41 °C")


def test_patience_ends_with_the_reason():
    state, reasons, waits, _ = wait([HOT] * 100)
    assert state == HOT
    assert reasons == ("gave up after waiting 1.0 minutes: hot start: skin or battery at 41 °C, above 37 °C",)
    assert sum(waits) == 60.0


def test_no_patience_is_one_look():
    assert wait([HOT], replace(FIT, patience_s=0.0))[2] == []


def test_what_only_the_user_can_mend_ends_the_wait_at_once():
    state, reasons, waits, _ = wait([make_conditions(battery_saver=True, battery_c=41.0)])
    assert waits == []
    assert reasons == ("battery saver is on: switch it off in the phone's settings",)


def test_what_the_user_accepts_is_no_reason():
    saver = make_conditions(battery_saver=True)
    assert wait([saver], replace(FIT, accepted=("battery_saver",)))[1] == ()
    assert wait([saver], replace(FIT, accepted=("hot_start",)))[1] != ()


def test_cores_that_do_not_run_do_not_matter():
    capped = change_clock(COOL, 0, allowed_khz=1000000)
    assert wait([capped])[1:3] == ((), [])
    assert wait([capped, COOL], replace(FIT, cores=(0,)))[2] == [POLL_S]


def test_a_wait_can_be_stopped_from_outside():
    stop = threading.Event()
    pace = Pace(stop)
    pace.wait(0)
    stop.set()
    with pytest.raises(SessionStopped, match="the same command goes on"):
        pace.wait(3600)


def test_a_wait_can_stop_itself():
    stop = threading.Event()
    pace = Pace(stop)
    pace.stop()
    assert stop.is_set()
    with pytest.raises(SessionStopped):
        pace.wait(0)
