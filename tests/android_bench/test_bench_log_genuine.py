"""Genuine logs of benchmark_model and LiteRT, as they came."""

from pathlib import Path

import pytest

from nasfpn_lite.android_bench.bench_log import parse_log
from nasfpn_lite.android_bench.log_traps import LogError


@pytest.fixture(scope="module")
def genuine_logs(shared_dir: Path) -> Path:
    folder = shared_dir / "logs"
    if not folder.is_dir():
        pytest.skip("the genuine logs are not here")
    return folder


def read_genuine(folder: Path, name: str) -> tuple[str, str]:
    tool = folder / "benchmark_model-2.14.1"
    return (tool / f"{name}.out").read_text(encoding="utf-8"), (tool / f"{name}.err").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "runs", "average_ms", "first_ms"),
    [
        ("ok_1thread", 33, 30.6101, 38.961),
        ("ok_detector_custom_op", 147143, 0.00558298, 0.023),
        ("ok_peakmem", 33, 30.8794, 37.556),
        ("ok_profile", 33, 30.6721, 58.375),
        ("ok_profile_csv", 33, 30.5374, 37.707),
        ("one_run", 1, 37.481, 37.481),
    ],
)
def test_genuine_log(genuine_logs, name, runs, average_ms, first_ms):
    log = parse_log(*read_genuine(genuine_logs, name))
    assert (log.timings.runs, log.first_ms) == (runs, first_ms)
    assert log.timings.average_ms == pytest.approx(average_ms)


def test_genuine_log_of_a_phone(genuine_logs):
    log = parse_log((genuine_logs / "benchmark_model-2.14.1" / "arm64_via_adb.txt").read_text(encoding="utf-8"))
    assert (log.timings.runs, log.timings.average_ms, log.init_ms, log.threads) == (10, 0.1011, 21.821, 1)


@pytest.mark.parametrize(("name", "runs"), [("profile_builtin", 344), ("profile_xnnpack", 1503)])
def test_genuine_log_of_litert(genuine_logs, name, runs):
    assert parse_log((genuine_logs / "litert-2.3.0" / f"{name}.txt").read_text(encoding="utf-8")).timings.runs == runs


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dry_run", "ran nothing"),
        ("err_missing", r"Could not open '/data/local/tmp/nope\.tflite'"),
        ("err_no_graph", "Please specify the name of your TF Lite input file"),
        ("err_not_model", "not a valid Flatbuffer"),
        ("err_truncated", "not a valid Flatbuffer"),
        ("err_unresolved_custom", r"unresolved custom op: TFLite_Detection_PostProcesX"),
        ("help", "could not run the model: usage"),
        ("killed", "the log is cut"),
        ("short_maxsecs", "at least 100000 runs, got 16"),
        ("warn_unknown_flag", "--use_gpu=true --bogus=1"),
    ],
)
def test_genuine_log_that_is_no_measurement(genuine_logs, name, message):
    with pytest.raises(LogError, match=message):
        parse_log(*read_genuine(genuine_logs, name))
