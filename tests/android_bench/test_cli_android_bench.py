"""A bench from the command line to files and exit codes; adb, phones and runners are fakes."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.cli_android_bench import describe_result
from nasfpn_lite.android_bench.record_files import read_record
from nasfpn_lite.cli import main
from tests.fake_android_modules import FakeBench, use_two_phones
from tests.fake_measured_phone import THERMAL, make_result

QUICK = ["--rounds", "6", "--wait-minutes", "0", "-o", "out"]


@pytest.fixture
def phones(tmp_path, monkeypatch):
    return use_two_phones(monkeypatch, tmp_path)


def run(*arguments) -> int:
    return main(["android", *arguments])


def squeeze(text: str) -> str:
    """Makes one blank of each run of blanks: how wide a column is does not matter."""
    return re.sub(r" +", " ", text)


def test_bench_measures_all_phones(phones, capsys):
    assert run("bench", "a.tflite", "b.tflite", *QUICK) == 0
    out = squeeze(capsys.readouterr().out)
    assert "Pixel (A, simulated): benchmark_model, 1 thread on cores big (mask 08), XNNPACK on" in out
    assert "Pixel 8 (B:5555, simulated): benchmark_model, 1 thread on cores big (mask 100)" in out
    assert out.count("tflite 10.01 10.00-10.02 10.02 (of rounds) 3.0 20.0 90% benchmark_model") == 4
    assert out.count("a.tflite: delegates took 90.0% (9 of 10) in XNNPACK") == 2
    assert "no difference shown: a.tflite takes" in out
    files = sorted(Path("out").glob("*.json"))
    assert [read_record(path).phone.serial for path in files] == ["A", "B:5555"]
    assert Path("out/latency.html").read_text().count("<section>") == 2
    assert not list(Path("out").glob("*journal*"))


def test_bench_as_json(phones, capsys):
    assert run("bench", "a.tflite", *QUICK, "-s", "A", "--json") == 0
    (phone,) = json.loads(capsys.readouterr().out)["phones"]
    assert (phone["serial"], phone["error"]) == ("A", None)
    assert phone["result"]["files"][0]["runner"] == "benchmark_model"
    assert read_record(Path(phone["file"])).files[0].latency_ms_p50 == phone["result"]["files"][0]["latency_ms_p50"]


def test_an_interval_of_less_than_95_percent_says_so():
    assert "10.00-10.00 (94%)" in describe_result(make_result([10.0] * 5))
    assert "%)" not in describe_result(make_result([10.0] * 6))


def test_breaks_are_told(phones):
    result = make_result([10.0] * 6)
    assert "break" not in describe_result(result)
    broken = replace(result, origin=replace(result.origin, resumed=2))
    assert "note: begun at 2026-01-31T12:00:00Z, and gone on with after 2 break(s)" in describe_result(broken)


def test_a_hot_phone_is_exit_code_1_and_no_figure(phones, capsys):
    phones["A"].set_command("dumpsys thermalservice", THERMAL.replace("Status: 0", "Status: 2"))
    assert run("bench", "a.tflite", *QUICK) == 1
    out = capsys.readouterr().out
    assert "not trustworthy: gave up after waiting 0.0 minutes: the phone throttles against heat" in out
    assert out.count("10.01") == 1  # the other phone's


def test_a_benchmark_model_for_another_processor_gives_way_to_our_own_runner(phones, capsys):
    assert run("bench", "a.tflite", "--benchmark-binary", "for_another_abi", *QUICK) == 0
    captured = capsys.readouterr()
    assert captured.err.count("the project's own runner measures, since there is no benchmark_model") == 2
    assert captured.out.count("nasfpn_runner, 1 thread") == 2


def test_files_are_checked_before_any_phone(phones, capsys):
    assert run("bench", "none.tflite", *QUICK) == 2
    assert "cannot read it" in capsys.readouterr().err
    assert FakeBench.log == []


def test_sustained(phones, capsys):
    assert run("bench", "a.tflite", "b.tflite", *QUICK, "-s", "A", "--sustained", "0.0001") == 0
    out = capsys.readouterr().out
    assert "first minute ms" in out
    assert "is not shown: too few turns, or files too close" in out
    assert read_record(next(Path("out").glob("A-sustained-*.json"))).minutes == 0.0001
    assert "Latency in ms over time" in Path("out/latency.html").read_text()


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "x"])
def test_no_time_to_sustain_is_refused_at_once(minutes, capsys):
    with pytest.raises(SystemExit):
        run("bench", "a.tflite", f"--sustained={minutes}")
    assert f"expected a number above 0, got '{minutes}'" in capsys.readouterr().err
