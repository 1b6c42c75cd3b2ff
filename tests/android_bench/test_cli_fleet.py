"""Many phones from the command line: one that fails, one that is lost, Ctrl-C, and the same command again."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from nasfpn_lite.android_bench import cli_fleet
from nasfpn_lite.android_bench.cli_fleet import find_step
from nasfpn_lite.android_bench.fleet import reserve_phone
from nasfpn_lite.android_bench.record_files import read_record
from nasfpn_lite.cli import main
from nasfpn_lite.errors import UserError
from tests.fake_android_modules import FakeBench, use_two_phones

QUICK = ["--rounds", "6", "--wait-minutes", "0", "-o", "out"]


@pytest.fixture
def phones(tmp_path, monkeypatch):
    return use_two_phones(monkeypatch, tmp_path)


def run(*arguments) -> int:
    return main(["android", *arguments])


def set_latency(monkeypatch, latency_ms):
    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(latency_ms))
    monkeypatch.setattr(FakeBench, "log", [])


def turns_of(serial) -> list[str]:
    return [name for who, name in FakeBench.log if who == serial and name.endswith(".tflite")]


def test_a_phone_that_another_session_uses_fails_by_itself(phones, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli_fleet, "reserve_phone", reserve_phone)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with reserve_phone("A"):
        assert run("bench", "a.tflite", *QUICK, "-o", "elsewhere") == 2
    captured = capsys.readouterr()
    assert "error: A: another session is under way on the phone A" in captured.err
    assert captured.out.count("10.01") == 1  # the other phone's


def test_a_phone_that_is_not_ready_does_not_stop_the_others(phones, capsys):
    phones["C"] = "unauthorized"
    assert run("bench", "a.tflite", *QUICK) == 2
    captured = capsys.readouterr()
    assert captured.out.count("10.01") == 2
    assert "error: C: expected the phone 'C' to be ready, but it is unauthorized" in captured.err
    assert len(list(Path("out").glob("*.json"))) == 2


@pytest.mark.parametrize(
    ("numbers", "code"),
    [(("HT1", "HT1"), 2), (("HT1", "HT2"), 0), (("unknown", "unknown"), 0), (("EMULATOR34X", "EMULATOR34X"), 0)],
)
def test_a_phone_that_is_attached_twice_is_measured_once(phones, capsys, numbers, code):
    for phone, number in zip(phones.values(), numbers, strict=True):
        phone.set_command("getprop ro.serialno", number)
    assert run("bench", "a.tflite", *QUICK) == code
    captured = capsys.readouterr()
    assert ("is the same phone as" in captured.err) == (code == 2)
    assert captured.out.count("10.01") == (1 if code else 2)


def test_the_same_command_goes_on_after_a_kill(phones, monkeypatch, capsys):
    def die(serial, name, turn):
        if turn == 4:
            raise KeyboardInterrupt
        return 10.0

    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(die))
    command = ["bench", "a.tflite", *QUICK, "-s", "A"]
    assert run(*command) == 130
    assert "A: whole rounds kept: 4; the same command goes on there" in capsys.readouterr().err
    assert len(list(Path("out").glob("A-bench.journal.jsonl"))) == 1
    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(lambda *_: 10.0))
    monkeypatch.setattr(FakeBench, "log", [])
    assert run("bench", "b.tflite", *QUICK, "-s", "A") == 2  # another session
    assert "--restart" in capsys.readouterr().err
    assert run(*command) == 0
    assert [name for _, name in FakeBench.log].count("a.tflite") == 2
    assert run("bench", "b.tflite", *QUICK, "-s", "A", "--restart") == 0


def test_without_a_terminal_each_round_has_one_line(phones, capsys):
    run("bench", "a.tflite", "b.tflite", *QUICK, "-s", "A")
    rounds = [line for line in capsys.readouterr().err.splitlines() if line.startswith("A: round ")]
    assert rounds == [f"A: round {number} of 6: a.tflite" for number in range(1, 7)]


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("round 2 of 6: a b.tflite", "round 2 of 6"),
        ("round 2 of 6, attempt 2: a.tflite", "round 2 of 6, attempt 2"),
        ("waiting (10 of at most 600 s): hot", "waiting"),
        ("12.3 of 30 minutes: 10.00 ms", "minute 12"),
        ("warming up", "warming up"),
    ],
)
def test_steps(text, step):
    assert find_step(text) == step


def test_one_of_two_phones_is_lost(phones, monkeypatch, capsys):
    def lose(serial, name, turn):
        if serial == "B:5555" and turn == 5:  # in round 3
            raise UserError("the phone went away")
        return 10.0

    set_latency(monkeypatch, lose)
    command = ["bench", "a.tflite", "b.tflite", *QUICK]
    assert run(*command, "--json") == 2
    captured = capsys.readouterr()
    good, lost = json.loads(captured.out)["phones"]
    assert (good["error"], good["result"]["verdict"]) == (None, "trustworthy")
    assert (lost["error"], lost["result"]) == ("the phone went away", None)
    assert "B:5555: whole rounds kept: 2; the same command goes on there" in captured.err
    (stands,) = Path("out").glob("A-bench-*.json")
    text = stands.read_text()

    set_latency(monkeypatch, lambda *_: 10.0)
    assert run(*command, "--json") == 0
    captured = capsys.readouterr()
    assert (turns_of("A"), turns_of("B:5555")) == ([], ["a.tflite", "b.tflite"] * 4)
    assert "A: was measured already; --restart measures it again" in captured.err
    again, resumed = json.loads(captured.out)["phones"]
    assert (again["file"], stands.read_text()) == (good["file"], text)
    assert read_record(Path(resumed["file"])).origin.resumed == 1
    assert len(list(Path("out").glob("*bench-*.json"))) == 2
    assert Path("out/latency.html").read_text().count("<section>") == 2

    set_latency(monkeypatch, lambda *_: 10.0)  # nothing is missing any more: from the beginning
    assert run(*command) == 0
    assert (len(turns_of("A")), len(turns_of("B:5555"))) == (12, 12)


@pytest.mark.parametrize(("serials", "told"), [(["A", "B:5555"], True), (["A"], False)])
def test_simulated_phones_that_disturb_each_other(phones, monkeypatch, capsys, serials, told):
    set_latency(monkeypatch, lambda serial, name, turn: 10.0 + turn)
    names = [word for serial in serials for word in ("-s", serial)]
    assert run("bench", "a.tflite", *QUICK, *names) == 1
    captured = capsys.readouterr()
    assert "the rounds differ" in captured.out and "take more --rounds" in captured.out
    assert ("measure one at a time, with -s SERIAL" in captured.err) == told
    set_latency(monkeypatch, lambda *_: 10.0)
    assert run("bench", "a.tflite", *QUICK, *names, "--restart") == 0
    assert "one at a time" not in capsys.readouterr().err


def test_another_command_while_a_phone_is_lost(phones, monkeypatch, capsys):
    def lose(serial, name, turn):
        if serial == "B:5555" and turn == 5:
            raise UserError("the phone went away")
        return 10.0

    set_latency(monkeypatch, lose)
    assert run("bench", "a.tflite", *QUICK) == 2
    set_latency(monkeypatch, lambda *_: 10.0)
    assert run("bench", "b.tflite", *QUICK) == 2  # B has something to lose, A has not
    assert "--restart" in capsys.readouterr().err
    assert (turns_of("A"), turns_of("B:5555")) == (["b.tflite"] * 6, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("serials", [["A"], ["A", "B:5555"]])
def test_a_signal_ends_all_and_leaves_nothing_on_the_phone(phones, monkeypatch, capsys, number, serials):
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)  # what starts the tests may ignore it

    def stop(serial, name, turn):
        if serial == "A" and turn == 3:
            os.kill(os.getpid(), number)
        if turn == 3:
            for _ in range(30):  # the main thread takes the signal, and then ends the others
                time.sleep(0.01)
        return 10.0

    set_latency(monkeypatch, stop)
    names = [word for serial in serials for word in ("-s", serial)]
    try:
        assert run("bench", "a.tflite", *QUICK, *names, "--json") == 130
        assert signal.getsignal(number) is usual
    finally:
        signal.signal(number, before)
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "interrupted"
    assert "A: whole rounds kept: " in captured.err
    assert all("stopped" in item["error"] for item in json.loads(captured.out)["phones"])
    assert [FakeBench.log.count((serial, "left")) for serial in serials] == [1] * len(serials)


def test_an_interrupted_load_keeps_its_curve(phones, monkeypatch, capsys):
    def stop(serial, name, turn):
        if turn == 3:
            raise KeyboardInterrupt
        return 10.0

    set_latency(monkeypatch, stop)
    assert run("bench", "a.tflite", *QUICK, "-s", "A", "--sustained", "30") == 130
    captured = capsys.readouterr()
    assert "of 30 minutes: it was interrupted" in captured.out
    assert captured.err.splitlines()[-1] == "interrupted"
    result = read_record(next(Path("out").glob("A-sustained-*.json")))
    assert ([cycle.latencies_ms for cycle in result.cycles], result.names) == ([(10.0,)] * 3, ("a.tflite",))
    assert Path("out/latency.html").is_file()
