"""What of a phone's state spoils a figure."""

import pytest

from nasfpn_lite.android_bench.conditions import Temperature
from nasfpn_lite.android_bench.core_loads import CoreLoad
from nasfpn_lite.android_bench.doubts import DOUBT_CODES, find_doubts, find_notes
from tests.fake_measured_phone import change_clock, make_conditions

QUIET = make_conditions()


def codes(before, after, **options) -> list[str]:
    return [doubt.code for doubt in find_doubts(before, after, **options)]


def test_a_cool_quiet_phone_gives_no_doubt():
    assert codes(QUIET, QUIET) == []


@pytest.mark.parametrize(
    ("changed", "code", "passes", "text"),
    [
        (make_conditions(thermal_status=2), "throttled", True, "thermal status 2"),
        (
            make_conditions(temperatures=(Temperature("VIRTUAL-SKIN", 3, 36.0, 1),)),
            "throttled",
            True,
            "thermal status 0 (VIRTUAL-SKIN)",
        ),
        (
            change_clock(QUIET, 3, governor="powersave"),
            "governor_changed",
            True,
            "the governor of core 3 changed from schedutil to powersave",
        ),
        (change_clock(QUIET, 2, allowed_khz=1804800), "capped", True, "core 2 may run at 1804.8 of 2150.4 MHz only"),
        (make_conditions(clocks=QUIET.clocks[:3]), "core_lost", True, "core 3 went offline"),
        (make_conditions(battery_saver=True), "battery_saver", False, "battery saver is on"),
        (make_conditions(screen_on=True), "screen_on", True, "the screen is on"),
    ],
)
def test_what_came_up_during_a_measurement(changed, code, passes, text):
    (doubt,) = find_doubts(QUIET, changed)
    assert (doubt.code, doubt.passes) == (code, passes)
    assert text in doubt.text
    assert code in DOUBT_CODES


@pytest.mark.parametrize(
    ("percent", "charging", "low"),
    [(19, False, True), (20, False, False), (19, True, False), (19, None, True), (None, False, False)],
)
def test_a_low_battery(percent, charging, low):
    state = make_conditions(battery_percent=percent, battery_charging=charging)
    assert codes(state, state) == codes(QUIET, state) == (["low_battery"] if low else [])
    if low:
        (doubt,) = find_doubts(state, state)
        assert doubt.text.startswith("the battery is at 19 %, below 20 %, and not charging")
        assert not doubt.passes  # waiting does not charge it


def test_a_hot_start_is_told_from_skin_and_battery_before():
    hot_skin = make_conditions(temperatures=(Temperature("skin", 3, 37.1, 0),))
    hot_battery = make_conditions(battery_c=38.0)
    assert codes(hot_skin, QUIET) == codes(hot_battery, QUIET) == ["hot_start"]
    assert codes(QUIET, hot_skin) == []  # warm by the end is what running does
    assert codes(make_conditions(battery_c=37.0), QUIET) == []
    assert codes(QUIET, QUIET, hot_c=29.0) == ["hot_start"]
    cores_only = make_conditions(temperatures=(Temperature("cpu0", 0, 71.0, 0),), battery_c=None)
    assert codes(cores_only, QUIET) == []


def test_a_busy_phone():
    assert codes(make_conditions(load_average=8.0), QUIET) == []  # 2 for each of 4 cores
    assert codes(make_conditions(load_average=8.1), QUIET) == ["busy"]
    assert codes(QUIET, make_conditions(load_average=8.1)) == []  # afterwards it is our own


def test_only_the_cores_in_use_count():
    capped = change_clock(QUIET, 0, allowed_khz=1000000)
    assert codes(QUIET, capped, cores=(2, 3)) == []
    assert codes(QUIET, capped, cores=(0,)) == ["capped"]
    assert codes(QUIET, capped) == ["capped"]


def test_a_governor_that_cannot_be_read_has_not_changed():
    assert codes(QUIET, change_clock(QUIET, 3, governor=None)) == []
    assert codes(change_clock(QUIET, 3, governor=None), QUIET) == []


def test_notes():
    assert find_notes(QUIET) == ("the phone was charging, which warms it",)
    assert find_notes(make_conditions(battery_charging=False)) == ()
    blind = make_conditions(battery_charging=None, thermal_status=None, temperatures=None, clocks=())
    assert find_notes(blind) == (
        "the phone tells neither heat nor clocks: throttling would go unseen",
        "the phone does not tell its governor",
    )


def test_a_foreign_program_on_a_chosen_core():
    busy = make_conditions(loads=(CoreLoad(2, 0.15), CoreLoad(3, 0.75)))
    assert codes(busy, QUIET) == codes(QUIET, busy) == ["busy"]
    (doubt,) = find_doubts(busy, busy, cores=(2, 3))
    assert (doubt.text, doubt.passes) == ("other programs hold core 3: busy for 75% of a second", True)
    assert find_doubts(busy, busy, cores=(0, 1, 2)) == ()
