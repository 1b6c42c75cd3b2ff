"""Many phones at once."""

import threading

import pytest

from nasfpn_lite.android_bench.fleet import Outcome, Place, find_exit_code, measure_fleet, reserve_phone
from nasfpn_lite.android_bench.journal import Journal, JournalError, count_rounds
from nasfpn_lite.android_bench.record_files import read_record
from nasfpn_lite.errors import UserError
from tests.fake_measured_phone import make_result

GOOD = make_result([10.0, 10.2, 9.9, 10.1, 10.0, 10.3])
HOT = make_result([10.0, 10.2, 9.9, 10.1, 10.0, 10.3], reasons=["it throttled"])


def places(tmp_path, *serials):
    return [Place(tmp_path / "out", serial) for serial in serials]


def test_all_phones_run_at_the_same_time(tmp_path):
    together = threading.Barrier(3, timeout=10)

    def run(place):
        together.wait()
        return GOOD

    outcomes = measure_fleet(places(tmp_path, "A", "B", "127.0.0.1:5555"), run, stop=threading.Event())
    assert [outcome.serial for outcome in outcomes] == ["A", "B", "127.0.0.1:5555"]
    assert len({outcome.file for outcome in outcomes}) == 3
    assert all(read_record(outcome.file) == GOOD for outcome in outcomes)
    assert outcomes[0].file.name == "A-bench-20260131T120500Z.json"
    assert find_exit_code(outcomes) == 0


def test_a_phone_that_fails_does_not_stop_the_others(tmp_path):
    def run(place):
        if place.serial == "B":
            raise UserError("the phone went away")
        return GOOD

    stop = threading.Event()
    outcomes = measure_fleet(places(tmp_path, "A", "B", "C"), run, stop=stop)
    assert [outcome.result for outcome in outcomes] == [GOOD, None, GOOD]
    assert str(outcomes[1].error) == "the phone went away"
    assert find_exit_code(outcomes) == 2
    assert not stop.is_set()


def test_each_run_has_its_own_file(tmp_path):
    for _ in range(3):
        measure_fleet(places(tmp_path, "A"), lambda place: GOOD, stop=threading.Event())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "A-bench-20260131T120500Z-2.json",
        "A-bench-20260131T120500Z-3.json",
        "A-bench-20260131T120500Z.json",
    ]


def test_a_journal_goes_when_its_result_is_written_and_stays_otherwise(tmp_path):
    (tmp_path / "out").mkdir()
    good, bad = places(tmp_path, "A", "B")
    for place in (good, bad):
        place.journal.write_text("{}\n")

    def run(place):
        if place is bad:
            raise UserError("cable")
        return GOOD

    measure_fleet([good, bad], run, stop=threading.Event())
    assert (good.journal.exists(), bad.journal.exists()) == (True, True)  # the same command is to measure B alone
    measure_fleet([good, bad], lambda place: GOOD, stop=threading.Event())
    assert (good.journal.exists(), bad.journal.exists()) == (False, False)


def test_journals_of_phones_and_kinds_differ(tmp_path):
    journals = {
        Place(tmp_path, serial, label).journal for serial in ("A", "B", "a:1") for label in ("bench", "compare")
    }
    assert len(journals) == 6
    assert {path.parent for path in journals} == {tmp_path}


@pytest.mark.parametrize(
    ("results", "code"), [([GOOD], 0), ([GOOD, HOT], 1), ([HOT, None], 2), ([None, GOOD], 2), ([], 2)]
)
def test_exit_code_is_the_worst(results, code):
    outcomes = [Outcome("A", result, None, None if result else UserError("x")) for result in results]
    assert find_exit_code(outcomes) == code


def test_a_file_with_wide_spread_is_exit_code_1():
    wide = make_result([10.0, 10.0, 10.0, 12.0, 12.0, 12.0])
    assert wide.verdict == "trustworthy"  # the session; its file is not
    assert Outcome("A", wide, None, None).exit_code == 1


def test_ctrl_c_stops_all_phones(tmp_path, monkeypatch, caplog):
    stop = threading.Event()

    def run(place):
        assert stop.wait(10)
        raise UserError("stopped")

    def interrupted(futures):
        raise KeyboardInterrupt

    monkeypatch.setattr("nasfpn_lite.android_bench.fleet.wait", interrupted)
    outcomes = measure_fleet(places(tmp_path, "A", "B"), run, stop=stop)
    assert [outcome.interrupted for outcome in outcomes] == [True, True]
    assert find_exit_code(outcomes) == 130
    assert "stopping: each phone ends the turn that is under way" in caplog.text


def test_ctrl_c_with_a_single_phone(tmp_path):
    stop = threading.Event()

    def run(place):
        raise KeyboardInterrupt

    (outcome,) = measure_fleet(places(tmp_path, "A"), run, stop=stop)
    assert (outcome.interrupted, outcome.exit_code, outcome.result, stop.is_set()) == (True, 130, None, True)
    assert "the same command goes on where it ended" in str(outcome.error)


def test_a_phone_serves_one_session_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with reserve_phone("192.168.0.7:5555"), reserve_phone("other"):
        with pytest.raises(JournalError, match=r"another session is under way on the phone 192.168.0.7:5555"):
            with reserve_phone("192.168.0.7:5555"):
                pass
    with reserve_phone("192.168.0.7:5555"):  # free again
        pass


def test_our_own_errors_are_not_hidden(tmp_path):
    def run(place):
        if place.serial == "A":
            raise ZeroDivisionError
        return GOOD

    with pytest.raises(ZeroDivisionError):
        measure_fleet(places(tmp_path, "A", "B"), run, stop=threading.Event())
    assert len(list((tmp_path / "out").glob("B-*.json"))) == 1


def test_whole_rounds_that_a_failed_session_keeps(tmp_path):
    def run(place):
        with Journal(place.journal, {"phone": place.serial}) as journal:
            for entry in ("begin", "turn", "end", "begin", "turn"):
                journal.append(kind=entry)
        raise UserError("lost")

    (outcome,) = measure_fleet(places(tmp_path, "A"), run, stop=threading.Event())
    assert outcome.kept_rounds == 1
    assert count_rounds(tmp_path / "none") == 0


def test_a_session_that_gave_up_keeps_its_journal(tmp_path):
    (place,) = places(tmp_path, "A")
    place.journal.parent.mkdir(parents=True)
    place.journal.write_text("{}\n")
    (outcome,) = measure_fleet([place], lambda place: HOT, stop=threading.Event())
    assert outcome.file.is_file()
    assert place.journal.exists()
    measure_fleet([place], lambda place: GOOD, stop=threading.Event())
    assert not place.journal.exists()
