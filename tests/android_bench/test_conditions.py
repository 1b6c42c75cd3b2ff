"""What a phone says of itself, and what of it spoils a figure."""

import time

import pytest

from nasfpn_lite.android_bench.conditions import (
    CoreClock,
    Temperature,
    parse_conditions,
    parse_temperatures,
    read_conditions,
)
from nasfpn_lite.android_bench.core_loads import CoreLoad
from nasfpn_lite.android_bench.doubts import find_doubts
from tests.fake_measured_phone import CPU, PIXEL_1_FILES, THERMAL, FakePhone


def test_a_phone_is_read_in_one_round_trip(tmp_path):
    phone = FakePhone(tmp_path)
    state = read_conditions(phone)
    assert phone.scripts == 1
    assert (state.model, state.abi, state.sdk, state.simulated) == ("Pixel", "arm64-v8a", 29, True)
    assert state.fingerprint is not None and state.fingerprint.startswith("google/sailfish/")
    assert state.clocks[3] == CoreClock(3, "schedutil", 307200, 2150400, 2150400)
    assert len(state.clocks) == 4
    assert (state.battery_percent, state.battery_charging, state.battery_c) == (85, True, 28.4)
    assert (state.battery_saver, state.screen_on, state.load_average) == (False, False, 0.52)
    assert state.thermal_status == 0
    assert state.hottest_outside_c() == 29.25


def test_nothing_readable_is_none(tmp_path):
    state = read_conditions(FakePhone(tmp_path, {}, {}))
    assert state == parse_conditions({})
    values = {name: value for name, value in vars(state).items() if name not in ("simulated", "clocks")}
    assert set(values.values()) == {None}
    assert (state.simulated, state.clocks) == (False, ())
    assert state.hottest_outside_c() is None
    assert find_doubts(state, state) == ()


def test_temperatures_come_from_the_hardware_layer_only():
    assert parse_temperatures(THERMAL) == (
        Temperature("cpu0-silver-usr", 0, 31.5, 0),
        Temperature("VIRTUAL-SKIN", 3, 29.25, 0),
    )
    cached_only = THERMAL.partition("HAL Ready")[0]
    assert "mValue=48.9" in cached_only
    assert parse_temperatures(cached_only) is None


def test_an_empty_block_is_none_even_before_other_blocks():
    text = (
        "Current temperatures from HAL:\nCached temperatures:\n\tTemperature{mValue=1, mType=3, mName=a, mStatus=0}\n"
    )
    assert parse_temperatures(text) is None


@pytest.mark.parametrize(
    ("power", "screen_on"),
    [("mWakefulness=Awake", True), ("mWakefulness=Asleep", False), ("mWakefulness=Dozing", False), ("", None)],
)
def test_screen(power, screen_on):
    assert parse_conditions({"power": power}).screen_on is screen_on


@pytest.mark.parametrize(("saver", "expected"), [("1", True), ("0", False), ("null", None), ("", None)])
def test_battery_saver(saver, expected):
    assert parse_conditions({"saver": saver}).battery_saver is expected


@pytest.mark.parametrize(("usb", "charging"), [("true", True), ("false", False)])
def test_charging(usb, charging):
    battery = f"  AC powered: false\n  USB powered: {usb}\n  Dock powered: false\n"
    assert parse_conditions({"battery": battery}).battery_charging is charging


@pytest.mark.parametrize(
    ("texts", "simulated"),
    [
        ({"simulated": "1"}, True),
        ({"fingerprint": "simulated/oriole/oriole:14/NONE/1:userdebug/test-keys"}, True),
        ({"simulated": "0", "fingerprint": "google/oriole/oriole:14/AP1A/1:user/release-keys"}, False),
    ],
)
def test_a_simulated_phone_says_so(texts, simulated):
    assert parse_conditions(texts).simulated is simulated


def test_a_core_without_cpufreq_has_an_empty_clock():
    assert parse_conditions({f"{CPU}/online": "0"}).clocks == (CoreClock(0, None, None, None, None),)


def make_counting_phone(tmp_path, busy_ticks):
    """A phone whose core 3 had so many ticks to do between two looks, of 10, in their order."""
    phone = FakePhone(tmp_path, PIXEL_1_FILES)
    looks, busy = iter(busy_ticks), 0
    texts = ["cpu3 0 0 0 0\n"]
    for total, ticks in enumerate(looks, start=1):
        busy += ticks
        texts.append(f"cpu3 {busy} 0 0 {10 * total - busy}\n")
    for number, text in enumerate(texts):
        (tmp_path / f"look{number}").write_text(text)
    count = f'n=$(cat {tmp_path}/n 2>/dev/null || echo 0); echo $((n + 1)) > {tmp_path}/n; cat "{tmp_path}/look$n"'
    (tmp_path / "bin/grep").write_text(f'#!/bin/sh\ncase $2 in *stat) {count};; *) exec /usr/bin/grep "$@";; esac\n')
    (tmp_path / "bin/grep").chmod(0o755)
    return phone


def test_cores_are_looked_at_only_when_asked(tmp_path):
    phone = make_counting_phone(tmp_path, [2])
    assert read_conditions(phone).loads is None
    begin_s = time.monotonic()
    assert read_conditions(phone, watched=(3,)).loads == (CoreLoad(3, 0.2),)
    assert (phone.scripts, time.monotonic() - begin_s >= 0.08) == (2, True)


@pytest.mark.parametrize(("ticks", "share"), [([3, 0, 1], 0.1), ([3, 0, 9], 0.9)])
def test_a_core_that_seems_busy_is_watched_for_a_second(tmp_path, ticks, share):
    phone = make_counting_phone(tmp_path, ticks)  # between the two of a look, and once from look to look
    begin_s = time.monotonic()
    assert read_conditions(phone, watched=(2, 3)).loads == (CoreLoad(3, share),)
    assert (phone.scripts, time.monotonic() - begin_s >= 1.08) == (2, True)


def test_a_busy_core_that_is_not_to_be_used_costs_no_second(tmp_path):
    phone = make_counting_phone(tmp_path, [9])
    assert read_conditions(phone, watched=(2,)).loads == (CoreLoad(3, 0.9),)
    assert phone.scripts == 1
