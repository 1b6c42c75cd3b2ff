"""`nasfpn-lite android profile` on a simulated phone with the real runner, and on logs."""

import json
import subprocess

import pytest

from nasfpn_lite.android_bench.fleet import reserve_phone
from nasfpn_lite.android_bench.profile_record import read_profile
from nasfpn_lite.android_bench.runners import find_own_runner
from nasfpn_lite.cli import main
from tests.hand_made_detector import make_detector_tflite
from tests.own_runner import build_own_runner, start

QUICK = [
    "--runner",
    "nasfpn_runner",
    "--runs",
    "2",
    "--turns",
    "2",
    "-o",
    "out",
    "--accept",
    "busy",
    "--accept",
    "spread",
]


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(make_detector_tflite(form="detect", dtype="int8"))


@pytest.fixture
def run(phone, adb_server, monkeypatch, capsys):
    build_own_runner("x86_64")
    for name, value in adb_server.environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        code = main(["android", "profile", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_phone(run, phone, tmp_path):
    code, out, _ = run("m.tflite", *QUICK, "-s", phone.serial)
    assert code == 0
    assert f"({phone.serial}, simulated): nasfpn_runner, 1 thread on cores big" in out
    assert "suppression" in out and "100.0%" in out
    (path,) = (tmp_path / "out").glob("*-profile-*.json")
    result = read_profile(path)
    assert (result.file, result.phone.simulated, result.how.rounds, result.verdict) == (
        "m.tflite",
        True,
        2,
        "trustworthy",
    )
    assert "note: figures are trustworthy but for what was accepted: busy, spread" in out
    assert (result.how.max_s, result.how.gpu, result.how.cool_below_c) == (150.0, False, 37.0)
    assert (result.how.patience_s, result.how.repeats, result.how.min_coverage) == (None, None, None)
    assert result.profile.problems == ()
    assert result.profile.unmatched_ms == 0
    assert result.latency_ms > 0
    assert result.origin.versions["runner"] == f"sha256:{find_own_runner('x86_64').hash_files()}"
    assert "Where the time goes" in (tmp_path / "out" / "profile.html").read_text()
    assert list((phone.data / "local/tmp").iterdir()) == []


def test_json_without_xnnpack(run, phone):
    code, out, _ = run("m.tflite", *QUICK, "-s", phone.serial, "--json", "--xnnpack", "off")
    (result,) = json.loads(out)
    assert (code, result["how"]["xnnpack"]) == (0, False)
    rows = {row for operator in result["profile"]["operators"] for row in operator["rows"]}
    assert {"CONV_2D", "CONCATENATION"} <= rows


def test_a_phone_that_is_not_there(run, phone):
    code, out, err = run("m.tflite", *QUICK, "-s", "none", "-s", phone.serial)
    assert code == 2
    assert "suppression" in out
    assert "error: none: expected the phone 'none'" in err


def test_a_phone_that_another_session_uses(run, phone, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with reserve_phone(phone.serial):
        code, out, err = run("m.tflite", *QUICK, "-s", phone.serial)
    assert (code, out) == (2, "")
    assert f"another session is under way on the phone {phone.serial}" in err


def test_a_phone_in_doubt(run, phone):
    phone.set_setting("global", "low_power", "1")
    try:
        code, out, _ = run("m.tflite", *QUICK, "-s", phone.serial, "--by", "part")
    finally:
        phone.set_setting("global", "low_power", "0")
    assert code == 1
    assert "not trustworthy: battery saver is on" in out


def test_a_build_that_does_not_know_xnnpack_gets_a_hint(run, phone, tmp_path):
    program = tmp_path / "benchmark_model"
    source = tmp_path / "b.c"
    said = "WARN: Unconsumed cmdline flags: --use_xnnpack=true"
    source.write_text(f'#include <stdio.h>\nint main(void) {{ puts("{said}"); }}')
    subprocess.run(["gcc", "-static", "-o", program, source], check=True)
    options = ["--runner", "benchmark_model", "--benchmark-binary", str(program), "-s", phone.serial]
    code, _, err = run("m.tflite", *options)
    assert (code, "without XNNPACK" in err) == (2, True)
    assert err.rstrip().endswith("on the command line: --xnnpack runner")


def test_a_gpu_is_refused_with_the_reason(capsys):
    assert main(["android", "profile", "m.tflite", "--gpu"]) == 2
    assert "error: --gpu cannot be profiled" in capsys.readouterr().err


def test_a_log(tmp_path, capsys):
    flags = ["--num_runs=2", "--min_secs=0", "--warmup_min_secs=0", "--enable_op_profiling=true"]
    log = start(build_own_runner("x86_64"), "x86_64", "--graph=m.tflite", *flags).stdout
    (tmp_path / "log").write_text(log)
    assert main(["android", "profile", "m.tflite", "--log", "log"]) == 0
    assert "m.tflite, from log" in capsys.readouterr().out
    assert main(["android", "profile", "m.tflite", "--log", "log", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["profile"]["problems"] == []
    (tmp_path / "other.tflite").write_bytes(make_detector_tflite())
    assert main(["android", "profile", "other.tflite", "--log", "log"]) == 1
    assert "is this the profile of this file" in capsys.readouterr().out
    (tmp_path / "log").write_text("nothing")
    assert main(["android", "profile", "m.tflite", "--log", "log"]) == 2
    assert "error: log: expected the table of operators" in capsys.readouterr().err
