"""The verbs, from the command line to files and exit codes; adb, phones and runners are fakes."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.cli_android_bench import describe_result
from nasfpn_lite.android_bench.cli_common import to_options
from nasfpn_lite.android_bench.record_files import read_record
from nasfpn_lite.cli import main, verb_parser
from tests.fake_android_modules import FakeBench, use_two_phones
from tests.fake_measured_phone import THERMAL, make_result
from tests.tiny_tflite import make_tiny_tflite

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def phones(tmp_path, monkeypatch):
    return use_two_phones(monkeypatch, tmp_path)


QUICK = ["--rounds", "6", "--wait-minutes", "0", "-o", "out"]


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


def test_options_reach_the_session(phones, capsys):
    options = ["--runner", "nasfpn_runner", "--threads", "2", "--cores", "03", "--runs", "7", "--xnnpack", "runner"]
    options += ["--warmup-runs", "0", "--min-seconds", "0", "--accept", "spread", "--accept", "screen_on"]
    assert run("bench", "a.tflite", *QUICK, "-s", "A", *options) == 0
    how = read_record(next(Path("out").glob("A-bench-*.json"))).how
    assert (how.runner, how.threads, how.runs, how.warmup_runs, how.min_s) == ("nasfpn_runner", 2, 7, 0, 0.0)
    assert (how.xnnpack, how.accepted) == (None, ("spread", "screen_on"))
    assert "note: accepted by the user: spread, screen_on" in capsys.readouterr().out
    assert FakeBench.log[0] == ("A", "warm-up on 03")


def test_gpu(phones, capsys):
    assert run("bench", "a.tflite", *QUICK, "-s", "A", "--gpu") == 0
    assert "(mask 08), GPU, the rest with XNNPACK on, 50 runs a turn" in capsys.readouterr().out
    assert read_record(next(Path("out").glob("A-bench-*.json"))).how.gpu
    for runner in (["--runner", "nasfpn_runner"], ["--benchmark-binary", "for_another_abi"]):  # none that could
        FakeBench.log.clear()
        assert run("bench", "a.tflite", *QUICK, "-s", "A", "--gpu", *runner) == 2
        assert re.search("--gpu needs benchmark_model|expected a benchmark_model", capsys.readouterr().err)
        assert FakeBench.log == []


def test_four_rounds_are_too_few(phones, capsys):
    assert run("bench", "a.tflite", *QUICK, "--rounds", "4") == 2
    assert "error: expected at least 5 rounds, got 4" in capsys.readouterr().err
    assert run("bench", "a.tflite", *QUICK, "--rounds", "5") == 0


def test_times_of_a_turn():
    def options(*words):
        return to_options(verb_parser("android").parse_args(["bench", "a.tflite", *words]))

    assert (options().min_s, options().max_s) == (1.0, 150.0)
    slow = options("--max-seconds", "900", "--min-seconds", "200")
    assert (slow.min_s, slow.max_s, slow.turn_timeout_s) == (200.0, 900.0, 1920.0)


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


def test_no_phone_at_all(phones, capsys):
    phones.clear()
    for verb in (["bench", "a.tflite"], ["devices"], ["doctor"]):
        assert run(*verb) == 2
        assert "error: expected a phone; attached: none" in capsys.readouterr().err


def test_a_missing_runner_is_each_phones_error(phones, capsys):
    options = ["--runner", "benchmark_model", "--benchmark-binary", "missing"]
    assert run("bench", "a.tflite", *options, *QUICK) == 2
    captured = capsys.readouterr()
    assert captured.err.count("but there is no such file") == 2
    assert captured.out == ""
    assert not Path("out/latency.html").exists()


def test_a_benchmark_model_for_another_processor_gives_way_to_our_own_runner(phones, capsys):
    assert run("bench", "a.tflite", "--benchmark-binary", "for_another_abi", *QUICK) == 0
    captured = capsys.readouterr()
    assert captured.err.count("the project's own runner measures, since there is no benchmark_model") == 2
    assert captured.out.count("nasfpn_runner, 1 thread") == 2


def test_a_program_that_the_user_named_is_not_replaced_in_silence(phones, capsys):
    assert run("bench", "a.tflite", "--benchmark-binary", "missing", *QUICK) == 2
    assert "expected the program benchmark_model in missing, but there is no such file" in capsys.readouterr().err
    own = ["--runner", "nasfpn_runner", "--benchmark-binary", "for_another_abi"]
    assert run("bench", "a.tflite", *own, *QUICK) == 2
    assert "leave one of them out" in capsys.readouterr().err
    assert FakeBench.log == []


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


def test_devices(phones, capsys):
    assert run("devices") == 0
    out = squeeze(capsys.readouterr().out)
    assert "A Pixel arm64-v8a 29 2 (03) + 2 (0c) yes yes" in out
    assert "4 (0f) + 4 (f0) + 1 (100)" in out
    phones["C"] = "offline"
    assert run("devices", "--json") == 2
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert [item["error"] is None for item in found] == [True, True, False]
    assert "it is offline" in captured.err


def test_doctor(phones, capsys):
    assert run("doctor", "-s", "A") == 0
    out = squeeze(capsys.readouterr().out)
    assert "would run on big: 08" in out
    assert "runner benchmark_model for arm64-v8a" in out
    assert "fit to be measured" in out
    assert "note: the phone was charging" in out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--cores", "mid"], 2, "error: this phone has no mid cores"),
        (
            ["--runner", "benchmark_model", "--benchmark-binary", "missing"],
            2,
            "error: expected the program benchmark_model in missing",
        ),
        (["--benchmark-binary", "missing"], 2, "error: expected the program benchmark_model in missing"),
        (["--benchmark-binary", "for_another_abi"], 0, "nasfpn_runner for arm64-v8a"),
        (["--runner", "nasfpn_runner"], 0, "nasfpn_runner for arm64-v8a"),
    ],
)
def test_doctor_names_what_is_in_the_way(phones, capsys, arguments, code, text):
    assert run("doctor", "-s", "A", *arguments) == code
    assert text in capsys.readouterr().out


def test_doctor_on_a_busy_phone(phones, capsys):
    phones["A"].set_file("/proc/loadavg", "9.5 9 9 1/700 9000\n")
    assert run("doctor", "-s", "A") == 1
    assert "in the way: other programs keep the phone busy: load 9.5 on 4 cores" in capsys.readouterr().out
    assert run("doctor", "--json") == 1
    assert [len(item["doubts"]) for item in json.loads(capsys.readouterr().out)] == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "verbose"), [(["devices"], False), (["-v", "devices"], True), (["devices", "-v"], True)]
)
def test_verbose_before_and_after_the_verb(arguments, verbose):
    assert verb_parser("android").parse_args(arguments).verbose is verbose


def test_a_verb_is_needed(capsys):
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 2
    assert "devices|doctor|bench|compare" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["devices", "doctor", "bench", "compare"])
def test_help_of_each_verb(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        verb_parser("android").parse_args([verb, "--help"])
    assert caught.value.code == 0
    assert f"nasfpn-lite android {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("option", [["--accept", "all"], ["--runner", "x"], ["--threads", "0"], ["--xnnpack", "yes"]])
def test_options_that_there_are_not(phones, option):
    with pytest.raises(SystemExit):
        run("bench", "a.tflite", *option)


def test_neither_tensorflow_nor_keras_after_a_bench(tmp_path):
    (tmp_path / "a.tflite").write_bytes(make_tiny_tflite())
    code = f"""
import sys
from dataclasses import replace
from pathlib import Path
from tests.fake_android_modules import install
from tests.fake_measured_phone import FakePhone
install({{"A": FakePhone(Path("phone"), serial="A")}})
from nasfpn_lite.cli import main
assert main(["android", "bench", "a.tflite", *{QUICK!r}]) == 0
print(sorted({{"keras", "tensorflow", "jax", "tf_keras"}} & set(sys.modules)))
"""
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "x"])
def test_no_time_to_sustain_is_refused_at_once(minutes, capsys):
    with pytest.raises(SystemExit):
        run("bench", "a.tflite", f"--sustained={minutes}")
    assert f"expected a number above 0, got '{minutes}'" in capsys.readouterr().err


def test_compare_as_json_tells_why_a_phone_failed(phones, capsys):
    phones["C"] = "unauthorized"
    use_phones = [word for serial in ("A", "C") for word in ("-s", serial)]
    assert run("compare", "a.tflite", "b.tflite", *QUICK, *use_phones, "--json") == 2
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["serial"], good["error"], good["ratio"] is None) == ("A", None, False)
    assert (bad["serial"], bad["ratio"]) == ("C", None)
    assert "unauthorized" in bad["error"]
