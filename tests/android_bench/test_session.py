"""A whole session on a phone of files and commands; only the runner is a fake."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.journal import JournalError
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.record_files import check_record
from nasfpn_lite.android_bench.session import Control, measure
from nasfpn_lite.android_bench.session_options import SessionOptions
from nasfpn_lite.android_bench.topology import TopologyError
from nasfpn_lite.android_bench.turn_watch import TurnWatch
from nasfpn_lite.cli.output import to_plain
from tests.fake_android_modules import COVERAGE, FakeBench, FakeRunner, use
from tests.fake_measured_phone import CPU, THERMAL, FakePhone, make_turn

RUNNER = FakeRunner("benchmark_model", "arm64-v8a")
FILES = tuple(ModelFile(Path(name), name, sha256, 3_000_000, None, None) for name, sha256 in (("a", "00"), ("b", "11")))
QUICK = SessionOptions(rounds=5, patience_s=0.0)


@pytest.fixture
def phone(tmp_path, monkeypatch):
    phone = FakePhone(tmp_path / "phone")
    use(monkeypatch, {phone.serial: phone})
    return phone


def test_a_session(phone):
    result = measure(phone, FILES, RUNNER, QUICK)
    assert (result.verdict, result.reasons) == ("trustworthy", ())
    assert [file.file for file in result.files] == ["a", "b"]
    assert [file.latency_ms_p50 for file in result.files] == [10.01, 10.01]
    assert result.files[0].coverage == COVERAGE
    assert (result.phone.model, result.phone.mask, result.phone.simulated) == ("Pixel", "08", True)
    assert result.phone.notes == ("the phone was charging, which warms it",)
    assert (result.how.runner, result.how.threads, result.how.rounds) == ("benchmark_model", 1, 5)
    assert len(result.rounds) == 5
    assert result.origin.versions["adb"] == "29.0.6-debian"
    assert result.origin.versions["runner"] == "sha256:" + "ab" * 32
    names = [name for _, name in FakeBench.log]
    assert names == ["warm-up on 08", *["a", "b"] * 5, "left"]
    assert check_record(json.loads(json.dumps(to_plain(result)))) == result


def test_every_option_is_in_the_record(phone):
    options = SessionOptions(
        threads=2,
        cores="all",
        rounds=7,
        runs=8,
        warmup_runs=2,
        min_s=0.25,
        max_s=9.0,
        xnnpack=None,
        gpu=True,
        cool_below_c=36.0,
        patience_s=1.0,
        repeats=2,
        accepted=("spread",),
        min_coverage=0.5,
    )
    asked = vars(options)
    assert not [
        name for name, value in vars(SessionOptions()).items() if asked[name] == value
    ]  # none is forgotten here
    result = measure(phone, FILES, RUNNER, options)
    assert {"cores": result.phone.cores, **vars(result.how)} == {"runner": "benchmark_model", **asked}


def test_on_the_gpu_a_resting_core_is_no_doubt(phone, monkeypatch):
    resting = TurnWatch(6, 0.2, 0.3, 1.0, ("08",))
    monkeypatch.setattr(FakeBench, "take", lambda self, index: make_turn(10.0, watch=resting))
    result = measure(phone, FILES, RUNNER, replace(QUICK, gpu=True))
    assert (result.verdict, result.how.accepted) == ("trustworthy", ())  # the user accepted nothing
    assert any("its clock is not watched" in note for note in result.phone.notes)
    assert "throttled during the run" in measure(phone, FILES, RUNNER, QUICK).reasons[1]


def test_cores_and_threads_become_the_mask(phone):
    measure(phone, FILES, RUNNER, SessionOptions(rounds=5, cores="all", threads=4))
    assert FakeBench.log[0] == (phone.serial, "warm-up on 0f")
    with pytest.raises(TopologyError, match="too few for 4 threads"):
        measure(phone, FILES, RUNNER, SessionOptions(threads=4))


def test_a_hot_phone_gives_reasons_and_no_figure(phone):
    phone.set_command("dumpsys thermalservice", THERMAL.replace("29.25", "44.5").replace("Status: 0", "Status: 3"))
    result = measure(phone, FILES, RUNNER, QUICK)
    assert result.verdict == "not trustworthy"
    assert "thermal status 3" in result.reasons[0]
    assert [file.latency_ms_p50 for file in result.files] == [None, None]
    assert [name for _, name in FakeBench.log] == ["left"]
    assert (result.before.thermal_status, result.after.thermal_status) == (3, 3)


def test_what_the_user_accepts_is_measured_and_recorded(phone):
    phone.set_command("settings get global low_power", "1")
    assert measure(phone, FILES, RUNNER, QUICK).verdict == "not trustworthy"
    result = measure(phone, FILES, RUNNER, SessionOptions(rounds=5, accepted=("battery_saver",)))
    assert (result.verdict, result.how.accepted) == ("trustworthy", ("battery_saver",))


def test_a_phone_that_may_be_warmer_is_said_so(phone):
    def notes(**options):
        return measure(phone, FILES, RUNNER, SessionOptions(rounds=5, **options)).phone.notes

    assert notes(cool_below_c=80.0)[0] == "rounds began below 80 °C, not 37 °C"
    assert notes(cool_below_c=35.0) == notes() == ("the phone was charging, which warms it",)


def test_throttling_in_round_3_is_measured_again(phone, monkeypatch):
    cool = f"{CPU}/cpu3/cpufreq/scaling_max_freq"

    def latency(serial, name, turn):
        if turn in (4, 5):  # round 3: the system caps the core during the first turn, and lets go before the wait
            phone.set_file(cool, "1200000\n")
        else:
            phone.set_file(cool, "2150400\n")
        return 10.0

    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(latency))
    said = []

    def progress(text):
        said.append(text)
        if text.startswith("round 3 is discarded"):
            # The look after a round is the first look before the next: only the second one sees the phone recovered.
            phone.set_file(cool, "2150400\n")

    options = SessionOptions(rounds=5, patience_s=0.01)
    result = measure(phone, FILES, RUNNER, options, control=Control(progress=progress))
    assert [(item.number, item.attempt) for item in result.discarded] == [(3, 1)]
    assert result.discarded[0].reasons == ("core 3 may run at 1200 of 2150.4 MHz only",)
    assert [item.attempt for item in result.rounds] == [1, 1, 2, 1, 1]
    assert result.verdict == "trustworthy"


def test_a_killed_session_goes_on(phone, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def die(serial, name, turn):
        if turn == 7:
            raise Killed
        return 10.0

    journal = tmp_path / "out" / "journal"
    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(die))
    with pytest.raises(Killed):
        measure(phone, FILES, RUNNER, QUICK, control=Control(journal))
    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(lambda serial, name, turn: 10.0))
    monkeypatch.setattr(FakeBench, "log", [])
    result = measure(phone, FILES, RUNNER, QUICK, control=Control(journal))
    assert [name for _, name in FakeBench.log] == [
        "removed /data/local/tmp/nasfpn-lite-0",
        "warm-up on 08",
        *["a", "b"] * 2,  # round 4 anew, and round 5
        "left",
    ]
    assert [item.attempt for item in result.rounds] == [1, 1, 1, 2, 1]
    assert result.origin.resumed == 1
    first = json.loads(journal.read_text().splitlines()[1])
    assert (first["kind"], first["at"]) == ("start", result.origin.started)


def test_a_journal_of_other_files_is_refused_or_dropped(phone, tmp_path):
    journal = tmp_path / "journal"
    measure(phone, FILES, RUNNER, QUICK, control=Control(journal))
    for files in (FILES[::-1], FILES[:1], (FILES[0], ModelFile(Path("b"), "b", "99", 3_000_000, None, None))):
        with pytest.raises(JournalError, match="its files is"):
            measure(phone, files, RUNNER, QUICK, control=Control(journal))
    with pytest.raises(JournalError, match="its options is"):
        measure(phone, FILES, RUNNER, SessionOptions(rounds=6), control=Control(journal))
    with pytest.raises(JournalError, match="its runner is"):
        measure(phone, FILES, FakeRunner("nasfpn_runner", "arm64-v8a"), QUICK, control=Control(journal))
    with pytest.raises(JournalError, match="its runner is"):  # another build
        measure(phone, FILES, FakeRunner("benchmark_model", "arm64-v8a", "cd" * 32), QUICK, control=Control(journal))
    assert measure(phone, FILES[:1], RUNNER, QUICK, control=Control(journal, restart=True)).verdict == "trustworthy"
