"""Sessions on simulated phones: a real adb and adbd, our own runner, a real .tflite; and what may go wrong."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.adb import Adb, DeviceLostError
from nasfpn_lite.android_bench.device import Device
from nasfpn_lite.android_bench.fleet import Place, measure_fleet
from nasfpn_lite.android_bench.model_files import read_model_files
from nasfpn_lite.android_bench.record_files import read_record
from nasfpn_lite.android_bench.runners import RunnerError, find_own_runner
from nasfpn_lite.android_bench.session import Control, measure
from nasfpn_lite.android_bench.session_options import SessionError, SessionOptions
from nasfpn_lite.android_bench.sustained import measure_sustained
from nasfpn_lite.cli import main
from tests.tiny_tflite import make_tiny_tflite

# The machine that plays the phone has other things to do: how much its figures vary is not at stake.
QUICK = SessionOptions(rounds=5, runs=2, min_s=0.0, patience_s=0.0, accepted=("spread", "busy"))
CPU7 = "devices/system/cpu/cpu7/cpufreq"


@pytest.fixture(scope="module")
def runner():
    try:
        return find_own_runner("x86_64")
    except RunnerError as error:
        pytest.skip(f"no runner: {error}")


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "it's $(a) model.tflite", tmp_path / "b.tflite"]
    for path in paths:
        path.write_bytes(make_tiny_tflite())
    return read_model_files(paths)


def left_on(phone) -> list[str]:
    return [path.name for path in (phone.data / "local/tmp").iterdir() if path.name.startswith("nasfpn")]


def masks_of(phone) -> list[str]:
    """The masks of the runner's starts; the sampling beside it runs on core 0."""
    masks = [note.split()[0] for note in phone.read_notes("taskset")]
    assert masks.count("01") == masks.count("80")
    return [mask for mask in masks if mask == "80"]


def test_a_session(adb, start_phone, runner, files):
    phone = start_phone()
    result = measure(Device(adb, phone.serial), files, runner, QUICK)
    assert (result.verdict, result.reasons) == ("trustworthy", ())
    assert [len(item.turns) for item in result.rounds] == [2] * 5
    assert all(0 < file.latency_ms_p50 < 1000 and file.runner == "nasfpn_runner" for file in result.files)
    assert (result.phone.simulated, result.phone.mask, result.phone.abi) == (True, "80", "x86_64")
    assert result.files[0].coverage.share == 1.0
    assert masks_of(phone) == ["80"] * 12  # two to warm up, ten turns
    # A turn of a few milliseconds may be over before its first sample.
    watches = [turn.watch for item in result.rounds for turn in item.turns if turn.watch is not None]
    assert all(watch.samples >= 1 and watch.allowed_share_lowest == 1.0 for watch in watches)
    assert left_on(phone) == []


def test_a_session_needs_few_calls_of_adb(adb, start_phone, runner, files, monkeypatch):
    """Each takes a process here, and on a phone over USB some 30 ms: a session's own time is mostly theirs."""
    phone, calls = start_phone(), []
    call = Adb._call
    monkeypatch.setattr(Adb, "_call", lambda self, *words: (calls.append(words[0].argv), call(self, *words))[1])
    measure(Device(adb, phone.serial), files, runner, QUICK)
    # To look at the phone and to push, whatever is measured; two to warm up, ten turns and what they wrote, five looks.
    assert len(calls) <= 16 + 2 + 2 * 10 + 5


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
    assert left_on(phone) == []


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
    assert left_on(phone) == []


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


def test_a_pulled_cable(adb, start_phone, runner, files, tmp_path):
    phone, journal = start_phone(), tmp_path / "journal"

    def pull(text):
        if text.startswith("round 3 of 5:") and "b.tflite" in text:
            phone.unplug()

    device = Device(adb, phone.serial)
    with pytest.raises(DeviceLostError):
        measure(device, files, runner, QUICK, control=Control(journal, progress=pull))
    turns = len(masks_of(phone))
    assert len(left_on(phone)) == 1
    phone.plug_in()
    result = measure(device, files, runner, QUICK, control=Control(journal))
    assert len(masks_of(phone)) - turns == 2 + 6  # warm-ups, and the rounds that were missing
    assert [item.attempt for item in result.rounds] == [1, 1, 2, 1, 1]
    assert left_on(phone) == []


def test_one_of_two_phones_is_lost(adb, start_phone, runner, files, tmp_path):
    phones = {phone.serial: phone for phone in (start_phone(), start_phone())}
    stays, lost = phones
    places = [Place(tmp_path / "out", serial) for serial in phones]

    def run(place):
        def pull(text):
            if place.serial == lost and text.startswith("round 3 of 5:") and not missing:
                phones[lost].unplug()

        control = Control(place.journal, progress=pull)
        return measure(Device(adb, place.serial), files, runner, QUICK, control=control)

    missing: list[str] = []
    good, bad = measure_fleet(places, run, stop=threading.Event())
    assert (good.exit_code, bad.exit_code, bad.kept_rounds) == (0, 2, 2)
    assert isinstance(bad.error, DeviceLostError)
    turns = {serial: len(masks_of(phone)) for serial, phone in phones.items()}
    phones[lost].plug_in()
    missing.append(lost)
    again, resumed = measure_fleet(places, run, stop=threading.Event())
    assert (again.file, resumed.exit_code) == (good.file, 0)
    assert len(masks_of(phones[stays])) == turns[stays] == 12
    assert len(masks_of(phones[lost])) - turns[lost] == 2 + 6  # warm-ups, and the rounds that were missing
    assert [left_on(phone) for phone in phones.values()] == [[], []]


def test_a_signal_leaves_nothing_on_the_phone(adb_server, start_phone, runner, files, tmp_path):
    phone = start_phone()
    words = ["android", "bench", files[0].name, "-s", phone.serial, "--runner", "nasfpn_runner", "--min-seconds", "60"]
    command = [sys.executable, "-m", "nasfpn_lite", *words, "--wait-minutes", "0", "--accept", "busy"]
    environment = {**os.environ, **adb_server.environment, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        while not any("nasfpn_runner" in note and "--num_runs=50" in note for note in phone.read_notes("taskset")):
            time.sleep(0.05)  # until the first turn, which would take a minute
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, said.splitlines()[-1]) == (130, "interrupted")
    assert left_on(phone) == []


def test_a_file_that_the_runner_cannot_load(adb, start_phone, runner, tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(make_tiny_tflite()[:300])
    phone = start_phone()
    with pytest.raises(SessionError, match="cut.tflite was not measured"):
        measure(Device(adb, phone.serial), read_model_files([path]), runner, QUICK)
    assert left_on(phone) == []


def test_two_phones_at_once_from_the_command_line(
    adb_server, start_phone, runner, files, tmp_path, monkeypatch, capsys
):
    for name, value in adb_server.environment.items():
        monkeypatch.setenv(name, value)
    phones = [start_phone(), start_phone()]
    serials = [word for phone in phones for word in ("-s", phone.serial)]
    options = ["--runner", "nasfpn_runner", "--rounds", "5", "--runs", "2", "--min-seconds", "0", "--wait-minutes", "0"]
    accepted = ["--accept", "spread", "--accept", "busy"]
    names = [file.name for file in files]
    out = tmp_path / "out"
    assert main(["android", "bench", *names, *serials, *options, *accepted, "-o", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["phones"]
    assert {item["serial"] for item in found} == {phone.serial for phone in phones}
    assert all(read_record(Path(item["file"])).phone.simulated for item in found)
    assert (out / "latency.html").read_text().count("simulated phone: its figures show") == 2
