"""Sessions on a simulated phone whose state changes: what is measured again, and what is refused."""

import threading
from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.device import Device
from nasfpn_lite.android_bench.session import Control, measure
from nasfpn_lite.android_bench.session_options import SessionOptions
from nasfpn_lite.android_bench.sustained import measure_sustained
from tests.phone_programs import list_folders
from tests.session_on_phone import CPU7, QUICK, require_runner, write_two_files


@pytest.fixture(scope="module")
def runner():
    return require_runner()


@pytest.fixture
def files(tmp_path):
    return write_two_files(tmp_path)


def test_throttling_in_round_3(adb, start_phone, runner, files):
    phone, said = start_phone(), []

    def progress(text):
        said.append(text)
        if text.startswith("round 3 of 5:"):
            phone.write_sys(f"{CPU7}/scaling_max_freq", 1200000)
        elif text.startswith("waiting"):
            phone.write_sys(f"{CPU7}/scaling_max_freq", 2802000)

    options = SessionOptions(rounds=5, runs=2, min_s=0.0, patience_s=0.05, accepted=("spread", "busy"))
    result = measure(Device(adb, phone.serial), files, runner, options, control=Control(progress=progress))
    assert [(item.number, item.attempt) for item in result.discarded] == [(3, 1)]
    assert "core 7 may run at 1200 of 2802 MHz only" in result.discarded[0].reasons
    assert [item.attempt for item in result.rounds] == [1, 1, 2, 1, 1]


def test_throttling_that_ends_before_the_turn_does(adb, start_phone, runner, files):
    phone, timers = start_phone(), []

    def progress(text):
        if text.startswith("round 2 of 5:"):
            phone.write_sys(f"{CPU7}/scaling_max_freq", 1401000)
            timers.append(threading.Timer(0.9, phone.write_sys, (f"{CPU7}/scaling_max_freq", 2802000)))
            timers[-1].start()

    options = replace(QUICK, min_s=1.0)  # a turn takes 1.5 s at least
    result = measure(Device(adb, phone.serial), files[:1], runner, options, control=Control(progress=progress))
    reason = "throttled during the run: the cores might run at 50% of their clock only"
    assert [item.reasons for item in result.discarded] == [(f"{files[0].name}: {reason}",)]
    assert [item.attempt for item in result.rounds] == [1, 2, 1, 1, 1]
    assert list_folders(phone) == []


def test_throttling_in_a_lasting_load(adb, start_phone, runner, files):
    phone = start_phone()

    def progress(text):
        if text.startswith("0.0 of"):  # the first cycle is over
            phone.write_sys(f"{CPU7}/scaling_max_freq", 1401000)

    options = replace(QUICK, min_s=0.5)
    control = Control(progress=progress)
    result = measure_sustained(Device(adb, phone.serial), files[:1], runner, options, minutes=1e-4, control=control)
    assert (result.verdict, result.reasons) == ("trustworthy", ())
    assert [cycle.is_throttled() for cycle in result.cycles] == [False, True]
    assert result.cycles[1].watches[0].allowed_share_lowest == 0.5
    assert list_folders(phone) == []


def test_clocks_that_cannot_be_read_are_unknown(adb, start_phone, runner, files):
    phone = start_phone()
    phone.write_sys(f"{CPU7}/scaling_cur_freq", "")
    phone.write_sys(f"{CPU7}/scaling_max_freq", "")
    result = measure(Device(adb, phone.serial), files[:1], runner, replace(QUICK, min_s=0.5))
    watch = result.rounds[0].turns[0].watch
    assert (watch.clock_share_lowest, watch.clock_share_median, watch.allowed_share_lowest) == (None, None, None)
    assert len(watch.masks) == 1
    assert any("clocks during some turns are unknown" in note for note in result.phone.notes)


def test_a_governor_that_changes(adb, start_phone, runner, files):
    phone = start_phone()

    def progress(text):
        if text.startswith("round 2 of 5:"):
            phone.write_sys(f"{CPU7}/scaling_governor", "powersave")

    result = measure(Device(adb, phone.serial), files, runner, QUICK, control=Control(progress=progress))
    assert "the governor of core 7 changed from sched_pixel to powersave" in result.discarded[0].reasons
    assert result.verdict == "trustworthy"  # the round was measured again under the new one


def test_battery_saver(adb, start_phone, runner, files):
    phone = start_phone()
    phone.set_setting("global", "low_power", "1")
    result = measure(Device(adb, phone.serial), files, runner, QUICK)
    assert result.reasons == ("battery saver is on: switch it off in the phone's settings",)
    assert phone.read_notes("taskset") == []


def test_a_low_battery(adb, start_phone, runner, files):
    phone = start_phone()
    phone.set_dumpsys("battery", "  USB powered: false\n  level: 12\n  temperature: 271\n")
    result = measure(Device(adb, phone.serial), files, runner, QUICK)
    assert result.reasons == ("the battery is at 12 %, below 20 %, and not charging: charge it first",)
    assert phone.read_notes("taskset") == []
