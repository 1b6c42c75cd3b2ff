"""Which of two files is faster, measured or taken out of a session."""

import json
from pathlib import Path

import pytest

from nasfpn_lite.cli import main
from tests.fake_android_modules import FakeBench, use_two_phones

QUICK = ["--rounds", "6", "--wait-minutes", "0", "-o", "out"]


@pytest.fixture
def phones(tmp_path, monkeypatch):
    return use_two_phones(monkeypatch, tmp_path)


def run(*arguments) -> int:
    return main(["android", *arguments])


def test_compare(phones, monkeypatch, capsys):
    monkeypatch.setattr(
        FakeBench, "latency_ms", staticmethod(lambda serial, name, turn: 10.0 if name == "a.tflite" else 15.0)
    )
    assert run("compare", "a.tflite", "b.tflite", *QUICK, "-s", "A") == 0
    out = capsys.readouterr().out
    assert "a.tflite is 1.50 times as fast as b.tflite (latency ratio 0.667, 0.667 to 0.667)" in out
    session = str(next(Path("out").glob("A-compare-*.json")))
    assert run("compare", "b.tflite", "a.tflite", "--from", session, "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["serial"], entry["runner"], entry["ratio"]["winner"]) == ("A", "benchmark_model", "second")
    assert (entry["phone"]["simulated"], entry["phone"]["mask"], entry["how"]["threads"]) == (True, "08", 1)
    assert [file["arithmetic"] for file in entry["files"]] == ["float", "float"]
    assert entry["origin"]["versions"]["adb"] == "29.0.6-debian"
    assert run("compare", "x", "a.tflite", "--from", session) == 2
    assert "which fits 0 of them" in capsys.readouterr().err


def test_compare_of_what_is_not_trustworthy(phones, capsys):
    phones["A"].set_command("settings get global low_power", "1")
    assert run("compare", "a.tflite", "b.tflite", *QUICK, "-s", "A") == 1
    assert "not trustworthy: battery saver is on" in capsys.readouterr().out
    session = str(next(Path("out").glob("A-compare-*.json")))
    assert run("compare", "a.tflite", "b.tflite", "--from", session) == 1


def test_compare_takes_no_sustained_run(phones, capsys):
    run("bench", "a.tflite", *QUICK, "-s", "A", "--sustained", "0.0001")
    path = str(next(Path("out").glob("A-sustained-*.json")))
    assert run("compare", "a.tflite", "a.tflite", "--from", path) == 2
    assert "got one of a sustained run" in capsys.readouterr().err


def test_compare_as_json_tells_why_a_phone_failed(phones, capsys):
    phones["C"] = "unauthorized"
    use_phones = [word for serial in ("A", "C") for word in ("-s", serial)]
    assert run("compare", "a.tflite", "b.tflite", *QUICK, *use_phones, "--json") == 2
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["serial"], good["error"], good["ratio"] is None) == ("A", None, False)
    assert (bad["serial"], bad["ratio"], bad["how"]) == ("C", None, None)
    assert set(good) == set(bad)
    assert "unauthorized" in bad["error"]
