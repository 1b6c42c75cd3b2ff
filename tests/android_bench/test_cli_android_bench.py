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
    assert phone["ratios"] == []
    assert read_record(Path(phone["file"])).files[0].latency_ms_p50 == phone["result"]["files"][0]["latency_ms_p50"]


def test_an_interval_of_less_than_95_percent_says_so():
    assert "10.00-10.00 (94%)" in describe_result(make_result([10.0] * 5))
    assert "%)" not in describe_result(make_result([10.0] * 6))


def test_many_files_are_held_against_the_fastest(phones, monkeypatch, capsys):
    Path("sub").mkdir()
    for name in "cdef":
        Path("sub", f"{name}.tflite").write_bytes(Path("a.tflite").read_bytes())
    files = ["a.tflite", "b.tflite", *(f"sub/{name}.tflite" for name in "cdef")]
    slow = {name: 10.0 + 3 * abs(place - 2) for place, name in enumerate(files)}  # sub/c is the fastest
    monkeypatch.setattr(FakeBench, "latency_ms", staticmethod(lambda serial, name, turn: slow[name]))
    assert run("bench", *files, *QUICK, "-s", "A") == 0
    out = capsys.readouterr().out
    assert [line.split(" is ")[0] for line in out.splitlines() if "times as fast" in line] == ["c.tflite"] * 5
    assert "c.tflite is 1.60 times as fast as a.tflite" in out and "sub/" not in out
    assert "any other two: `nasfpn-lite android compare A B --from JSON`" in out
    assert run("bench", *files, *QUICK, "-s", "A", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["phones"][0]["ratios"]) == 15


def test_the_page_shows_all_that_lies_in_the_folder(phones, capsys):
    assert run("bench", "a.tflite", *QUICK, "-s", "A") == 0
    Path("out/other.json").write_text("[]")
    Path("out/damaged.json").write_text("{")
    assert run("bench", "b.tflite", *QUICK, "-s", "A", "--sustained", "0.0001") == 0
    assert "left out of the page: out/damaged.json: is no JSON" in capsys.readouterr().err
    assert run("compare", "a.tflite", "b.tflite", *QUICK, "-s", "B:5555") == 0
    page = Path("out/latency.html").read_text()
    assert page.count("<section>") == 3
    assert page.index("Pixel 8 (B:5555") < page.index("Latency in ms over time")


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
    assert captured.err.count("using nasfpn_runner: expected a benchmark_model for arm64-v8a") == 2
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
