"""Sessions on simulated phones: a real adb and adbd, our own runner, a real .tflite; and what may go wrong."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.adb import Adb, DeviceLostError
from nasfpn_lite.android_bench.device import Device
from nasfpn_lite.android_bench.fleet import Place, measure_fleet
from nasfpn_lite.android_bench.model_files import read_model_files
from nasfpn_lite.android_bench.record_files import read_record
from nasfpn_lite.android_bench.session import Control, measure
from nasfpn_lite.android_bench.session_options import SessionError
from nasfpn_lite.cli import main
from tests.phone_programs import list_folders
from tests.session_on_phone import QUICK, masks_of, require_runner, write_two_files
from tests.tiny_tflite import make_tiny_tflite


@pytest.fixture(scope="module")
def runner():
    return require_runner()


@pytest.fixture
def files(tmp_path):
    return write_two_files(tmp_path)


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
    assert list_folders(phone) == []


def test_a_session_needs_few_calls_of_adb(adb, start_phone, runner, files, monkeypatch):
    """Each takes a process here, and on a phone over USB some 30 ms: a session's own time is mostly theirs."""
    phone, calls = start_phone(), []
    call = Adb._call
    monkeypatch.setattr(Adb, "_call", lambda self, *words: (calls.append(words[0].argv), call(self, *words))[1])
    measure(Device(adb, phone.serial), files, runner, QUICK)
    # To look at the phone and to push, whatever is measured; two to warm up, ten turns and what they wrote, five looks.
    assert len(calls) <= 16 + 2 + 2 * 10 + 5


def test_a_pulled_cable(adb, start_phone, runner, files, tmp_path):
    phone, journal = start_phone(), tmp_path / "journal"

    def pull(text):
        if text.startswith("round 3 of 5:") and "b.tflite" in text:
            phone.unplug()

    device = Device(adb, phone.serial)
    with pytest.raises(DeviceLostError):
        measure(device, files, runner, QUICK, control=Control(journal, progress=pull))
    turns = len(masks_of(phone))
    assert len(list_folders(phone)) == 1
    phone.plug_in()
    result = measure(device, files, runner, QUICK, control=Control(journal))
    assert len(masks_of(phone)) - turns == 2 + 6  # warm-ups, and the rounds that were missing
    assert [item.attempt for item in result.rounds] == [1, 1, 2, 1, 1]
    assert list_folders(phone) == []


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
    assert [list_folders(phone) for phone in phones.values()] == [[], []]


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
    assert list_folders(phone) == []


def test_a_file_that_the_runner_cannot_load(adb, start_phone, runner, tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(make_tiny_tflite()[:300])
    phone = start_phone()
    with pytest.raises(SessionError, match="cut.tflite was not measured"):
        measure(Device(adb, phone.serial), read_model_files([path]), runner, QUICK)
    assert list_folders(phone) == []


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
