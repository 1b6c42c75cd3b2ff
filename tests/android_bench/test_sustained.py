"""Lasting load: windows, drifts, and whether a ranking stays."""

import json
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.checked_json import RecordError
from nasfpn_lite.android_bench.cooling import Pace
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.record_files import check_record
from nasfpn_lite.android_bench.session import Control
from nasfpn_lite.android_bench.session_options import SessionError, SessionOptions
from nasfpn_lite.android_bench.sustained import (
    find_drifts,
    first_window,
    judge_ranking,
    last_window,
    measure_sustained,
    run_cycles,
)
from nasfpn_lite.android_bench.sustained_record import Cycle
from nasfpn_lite.cli.output import to_plain
from nasfpn_lite.errors import UserError
from tests.fake_android_modules import FakeBench, FakeRunner, use
from tests.fake_measured_phone import THERMAL, FakePhone, make_conditions, make_turn

FILES = tuple(ModelFile(Path(name), name, "00", 3_000_000, None, None) for name in ("a", "b"))
RUNNER = FakeRunner("nasfpn_runner", "arm64-v8a")


def cycles_of(*latencies: tuple[float, ...], seconds: float = 5.0) -> list[Cycle]:
    return [Cycle((i + 1) * seconds / 60, row, 0, 30.0) for i, row in enumerate(latencies)]


def hold(*pairs: tuple[tuple[float, float], int]) -> list[Cycle]:
    """Cycles of 5 s that keep each pair of latencies for a number of cycles, with a little noise."""
    rows = [pair for pair, count in pairs for _ in range(count)]
    return cycles_of(*((a * (1 + i % 3 / 1000), b * (1 + i % 2 / 1000)) for i, (a, b) in enumerate(rows)))


def test_windows_are_a_minute_each():
    cycles = hold(((10.0, 20.0), 60))  # 5 minutes of 12 cycles
    assert [cycle.minutes for cycle in first_window(cycles)] == pytest.approx([i / 12 for i in range(1, 13)])
    assert [cycle.minutes for cycle in last_window(cycles)] == pytest.approx([i / 12 for i in range(49, 61)])


def test_slow_files_get_wider_windows_of_six_cycles():
    cycles = cycles_of(*[(1.0, 2.0)] * 20, seconds=30.0)
    assert (len(first_window(cycles)), len(last_window(cycles))) == (6, 6)


def test_windows_never_overlap():
    cycles = cycles_of(*[(1.0, 2.0)] * 5)
    assert (len(first_window(cycles)), len(last_window(cycles))) == (2, 2)
    assert len(first_window(cycles[:1])) == 1


def test_drift_is_last_over_first():
    drift_a, drift_b = find_drifts(FILES, cycles_of(*[(10.0, 20.0)] * 12, *[(15.0, 20.0)] * 12), "nasfpn_runner")
    assert (drift_a.first_ms, drift_a.last_ms, drift_a.slowdown) == (10.0, 15.0, 1.5)
    assert (drift_b.slowdown, drift_b.runner) == (1.0, "nasfpn_runner")


def test_a_ranking_that_stays():
    ranking = judge_ranking(["a", "b"], hold(((10.0, 20.0), 30), ((15.0, 29.0), 30)))
    assert (ranking.order, ranking.first, ranking.last, ranking.turned) == ("the same", ("a", "b"), ("a", "b"), ())


def test_a_ranking_that_turns():
    ranking = judge_ranking(["a", "b"], hold(((10.0, 12.0), 30), ((15.0, 13.0), 30)))
    assert (ranking.order, ranking.first, ranking.last) == ("changed", ("a", "b"), ("b", "a"))
    assert ranking.turned == (("b", "a"),)  # faster in the end, slower in the end
    assert judge_ranking(["a", "b"], hold(((12.0, 10.0), 30), ((13.0, 15.0), 30))).turned == (("a", "b"),)


def test_medians_that_change_places_without_a_shown_difference():
    first = [(10.0, 10.1), (10.0, 10.1), (10.0, 10.1), (10.2, 10.1)] * 3
    last = [(b, a) for a, b in first]
    ranking = judge_ranking(["a", "b"], cycles_of(*first, *last))
    assert (ranking.first, ranking.last) == (("a", "b"), ("b", "a"))
    assert (ranking.order, ranking.turned) == ("not shown", ())


def test_too_few_cycles_show_nothing():
    ranking = judge_ranking(["a", "b"], hold(((10.0, 20.0), 8)))
    assert (ranking.order, ranking.window_cycles) == ("not shown", (4, 4))


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

    def __init__(self) -> None:
        super().__init__()
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
    data["cycles"], data["files"] = [{"minutes": 1, "latencies_ms": [1, 2], "thermal_status": 0, "outside_c": 1}], []
    check_record(data)


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
    [(UserError("the phone went away\n  adb: ..."), "the phone went away"), (KeyboardInterrupt(), "Ctrl-C")],
)
def test_what_breaks_off_keeps_the_curve_so_far(phone, monkeypatch, error, why):
    monkeypatch.setattr(FakeBench, "latency_ms", break_at_turn(5, error))  # in the third cycle
    pace = QuickPace()
    control = Control(pace=pace)
    result = measure_sustained(phone, FILES, RUNNER, SessionOptions(patience_s=0.0), minutes=30, control=control)
    assert result.verdict == "not trustworthy"
    (reason,) = result.reasons
    assert reason.startswith("cut after 2.0 of 30 minutes") and reason.endswith(why)
    assert [cycle.latencies_ms for cycle in result.cycles] == [(10.0, 10.0)] * 2
    assert (result.names, result.files, result.ranking) == (("a", "b"), (), None)
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
