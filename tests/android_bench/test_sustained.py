"""Lasting load: how long it lasts, what it records, and what spoils it."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.checked_json import RecordError
from nasfpn_lite.android_bench.cooling import Pace
from nasfpn_lite.android_bench.drift import find_drifts
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.record_files import check_record
from nasfpn_lite.android_bench.session import Control
from nasfpn_lite.android_bench.session_options import SessionError, SessionOptions
from nasfpn_lite.android_bench.sustained import measure_sustained, run_cycles
from nasfpn_lite.android_bench.sustained_record import LoadedFile, describe_throttling
from nasfpn_lite.android_bench.turn_watch import TurnWatch
from nasfpn_lite.cli.output import to_plain
from nasfpn_lite.errors import UserError
from tests.fake_android_modules import COVERAGE, FakeBench, FakeRunner, use
from tests.fake_measured_phone import CPU, THERMAL, FakePhone, make_conditions, make_turn

FILES = tuple(ModelFile(Path(name), name, "00", 3_000_000, None, None) for name in ("a", "b"))
RUNNER = FakeRunner("nasfpn_runner", "arm64-v8a")


def test_load_lasts_as_long_as_asked():
    pace, turns, said = Pace(), [], []
    pace.now_s = lambda: 100.0 + 10.0 * len(turns)
    pace.wait = lambda seconds: None

    def take(index):
        turns.append(index)
        return make_turn(10.0 + index)

    control = Control(progress=said.append, pace=pace)
    cycles = run_cycles(2, take, lambda: make_conditions(thermal_status=1), minutes=1.0, control=control).cycles
    assert turns == [0, 1] * 3
    assert [cycle.minutes for cycle in cycles] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert (cycles[0].latencies_ms, cycles[0].thermal_status, cycles[0].outside_c) == ((10.0, 11.0), 1, 29.25)
    assert said[0] == "0.3 of 1 minutes: 10.00 ms, 11.00 ms"


def test_the_start_is_never_compared_with_itself():
    latencies = iter([10.0, 13.0])
    control = Control()
    cycles = run_cycles(1, lambda _: make_turn(next(latencies)), make_conditions, minutes=1e-9, control=control).cycles
    (drift,) = find_drifts(FILES[:1], cycles, "nasfpn_runner")
    assert (len(cycles), drift.first_ms, drift.last_ms) == (2, 10.0, 13.0)


@pytest.fixture
def phone(tmp_path, monkeypatch):
    phone = FakePhone(tmp_path / "phone")
    use(monkeypatch, {phone.serial: phone})
    return phone


class QuickPace(Pace):
    """A minute for each look at the clock."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        super().__init__(stop)
        self.looks = 0

    def now_s(self) -> float:
        self.looks += 1
        return 60.0 * self.looks


def test_heat_is_the_result_and_no_doubt(phone, monkeypatch):
    def heat(serial, name, turn):
        phone.set_command("dumpsys thermalservice", THERMAL.replace("Status: 0", "Status: 3"))
        return 10.0 + turn

    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(heat))
    options = SessionOptions(patience_s=0.0)
    result = measure_sustained(phone, FILES, RUNNER, options, minutes=3, control=Control(pace=QuickPace()))
    assert (result.verdict, result.reasons) == ("trustworthy", ())
    assert [cycle.thermal_status for cycle in result.cycles] == [3, 3, 3]
    assert [file.slowdown for file in result.files] == pytest.approx([14 / 10, 15 / 11])
    assert check_record(json.loads(json.dumps(to_plain(result)))) == result


def test_battery_saver_spoils_it(phone, monkeypatch):
    def save(serial, name, turn):
        phone.set_command("settings get global low_power", "1")
        return 10.0

    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(save))
    options = SessionOptions(patience_s=0.0)
    result = measure_sustained(phone, FILES, RUNNER, options, minutes=1, control=Control(pace=QuickPace()))
    assert (result.verdict, result.files, result.ranking) == ("not trustworthy", (), None)
    assert "battery saver is on" in result.reasons[0]
    data = json.loads(json.dumps(to_plain(result)))
    assert check_record(data) == result
    older = {name: value for name, value in data.items() if name not in ("names", "loaded")}
    older["cycles"] = [{"minutes": 1, "latencies_ms": [1, 2], "thermal_status": 0, "outside_c": 1}]
    check_record(older)


def test_a_phone_that_is_not_fit_is_not_loaded(phone):
    phone.set_command("dumpsys battery", "  level: 50\n  temperature: 450\n")
    options = SessionOptions(patience_s=0.0)
    result = measure_sustained(phone, FILES, RUNNER, options, minutes=1)
    assert result.verdict == "not trustworthy"
    assert "battery at 45 °C" in result.reasons[0]
    assert FakeBench.log == []


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_no_time_is_refused(phone, minutes):
    with pytest.raises(SessionError, match=f"above 0 minutes, got {minutes}"):
        measure_sustained(phone, FILES, RUNNER, SessionOptions(), minutes=minutes)


def test_the_record_checks_its_cycles(phone):
    options = SessionOptions(patience_s=0.0)
    result = measure_sustained(phone, FILES, RUNNER, options, minutes=1, control=Control(pace=QuickPace()))
    data = json.loads(json.dumps(to_plain(result)))
    data["cycles"][0]["latencies_ms"].append(1.0)
    for names in (["a", "b"], []):  # older records have their files only
        data["names"] = names
        with pytest.raises(RecordError, match=r"^cycles\[0\].latencies_ms: expected 2 entries, got 3"):
            check_record(data)


def break_at_turn(number, error):
    def latency_ms(serial, name, turn):
        if turn == number:
            raise error
        return 10.0

    return staticmethod(latency_ms)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (UserError("the phone went away\n  adb: ..."), "the phone went away"),
        (KeyboardInterrupt(), "it was interrupted"),
    ],
)
def test_what_breaks_off_keeps_the_curve_so_far(phone, monkeypatch, error, why):
    monkeypatch.setattr(FakeBench, "latency_ms", break_at_turn(5, error))  # in the third cycle
    stop = threading.Event()
    control = Control(pace=QuickPace(stop))
    result = measure_sustained(phone, FILES, RUNNER, SessionOptions(patience_s=0.0), minutes=30, control=control)
    assert stop.is_set() == isinstance(error, KeyboardInterrupt)  # whoever waits for all phones has to know
    assert result.verdict == "not trustworthy"
    (reason,) = result.reasons
    assert reason.startswith("cut after 2.0 of 30 minutes") and reason.endswith(why)
    assert [cycle.latencies_ms for cycle in result.cycles] == [(10.0, 10.0)] * 2
    assert (result.names, result.files, result.ranking) == (("a", "b"), (), None)
    assert result.loaded[1] == LoadedFile("b", "00", 3_000_000, None, COVERAGE)
    assert check_record(json.loads(json.dumps(to_plain(result)))) == result


def test_what_breaks_off_before_the_first_cycle_is_an_error(phone, monkeypatch):
    monkeypatch.setattr(FakeBench, "latency_ms", break_at_turn(1, UserError("the phone went away")))
    with pytest.raises(UserError, match="the phone went away"):
        measure_sustained(phone, FILES, RUNNER, SessionOptions(patience_s=0.0), minutes=30)


def test_a_screen_that_was_on_for_a_while_spoils_it(phone, monkeypatch):
    def touch(serial, name, turn):
        phone.set_command("dumpsys power", f"  mWakefulness={'Awake' if turn in (2, 3) else 'Asleep'}\n")
        return 10.0

    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(touch))
    options = SessionOptions(patience_s=0.0)
    result = measure_sustained(phone, FILES, RUNNER, options, minutes=4, control=Control(pace=QuickPace()))
    assert not result.after.screen_on
    assert result.reasons == ("the screen is on: switch it off by its key",)


FREE = TurnWatch(6, 0.9, 1.0, 1.0, ("08",))
CAPPED = TurnWatch(6, 0.5, 0.62, 0.62, ("08",))
SLOW = TurnWatch(6, 0.5, 0.7, 1.0, ("08",))


def watch_turns(monkeypatch, *watches):
    """What the sampling finds in each turn; the last stays."""
    found = list(watches)

    def take(self, index):
        return make_turn(10.0, watch=found.pop(0) if len(found) > 1 else found[0])

    monkeypatch.setattr(FakeBench, "take", take)


def measure_quickly(phone, minutes=4, **options):
    control = Control(pace=QuickPace())
    quick = SessionOptions(patience_s=0.0, **options)
    return measure_sustained(phone, FILES, RUNNER, quick, minutes=minutes, control=control)


def test_throttling_during_a_turn_is_recorded_and_no_doubt(phone, monkeypatch):
    watch_turns(monkeypatch, FREE, FREE, FREE, CAPPED, SLOW, FREE, FREE)
    result = measure_quickly(phone)
    assert (result.verdict, len(result.cycles)) == ("trustworthy", 4)
    assert [cycle.watches for cycle in result.cycles] == [(FREE, FREE), (FREE, CAPPED), (SLOW, FREE), (FREE, FREE)]
    assert [cycle.is_throttled() for cycle in result.cycles] == [False, True, True, False]
    assert [cycle.clock_share() for cycle in result.cycles] == [1.0, 0.62, 0.7, 1.0]
    assert describe_throttling(result) == [
        "the cores throttled in 2 of 4 cycles, first after 2.0 minutes; their clock fell to 62%"
    ]
    assert describe_throttling(replace(result, cycles=result.cycles[:1])) == []
    assert describe_throttling(replace(result, how=replace(result.how, gpu=True))) == []
    assert check_record(json.loads(json.dumps(to_plain(result)))) == result


def test_clocks_that_cannot_be_read_are_no_throttling(phone, monkeypatch):
    watch_turns(monkeypatch, None)
    result = measure_quickly(phone)
    assert (result.cycles[0].is_throttled(), result.cycles[0].clock_share()) == (False, None)
    assert describe_throttling(result) == []
    assert any("clocks during some turns are unknown" in note for note in result.phone.notes)


@pytest.mark.parametrize(
    ("simulated", "accepted", "spoiled"), [("0", (), True), ("0", ("moved",), False), ("1", (), False)]
)
def test_a_runner_that_left_its_cores_spoils_it(phone, monkeypatch, simulated, accepted, spoiled):
    phone.set_command("getprop ro.nasfpn.simulated", simulated)
    watch_turns(monkeypatch, FREE, FREE, FREE, TurnWatch(6, 0.9, 1.0, 1.0, ("08", "0f")), FREE)
    result = measure_quickly(phone, accepted=accepted)
    text = "b: the runner might use the cores 0f, not 08 as was asked"
    assert result.reasons == ((text,) if spoiled else ())
    assert len(result.cycles) == 4  # the curve is kept


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        (f"{CPU}/cpu3/cpufreq/scaling_governor", "powersave", "the governor of core 3 changed"),
        (f"{CPU}/online", "0-2", "core 3 went offline"),
    ],
)
def test_what_changes_beside_heat_spoils_it(phone, monkeypatch, path, text, reason):
    def change(serial, name, turn):
        if turn == 3:
            phone.set_file(path, f"{text}\n")
        return 10.0

    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(change))
    (found,) = measure_quickly(phone).reasons
    assert found.startswith(reason)
