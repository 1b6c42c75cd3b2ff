"""The program itself, started as on a phone, beside the Python interpreter on the same files."""

import re

import pytest

from nasfpn_lite.android_bench.bench_log import parse_latencies, parse_log
from nasfpn_lite.android_bench.coverage import read_coverage
from nasfpn_lite.android_bench.op_profile import parse_one_run, parse_profile, total_ms
from tests.own_runner_files import (
    FAST,
    start_here,
    write_mixed,
    write_tiny,
)


@pytest.fixture(scope="module")
def run():
    return start_here()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return write_mixed(tmp_path_factory.mktemp("model"))


def test_log(run, tiny):
    result = run(f"--graph={tiny}", *FAST, "--warmup_runs=2", "--num_threads=2")
    assert result.returncode == 0, result.stderr
    log = parse_log(result.stdout, result.stderr)
    assert (log.asked_runs, log.timings.runs, log.warm_up.runs, log.threads) == (5, 5, 2, 2)
    assert log.timings.min_ms <= log.timings.median_ms <= log.timings.max_ms
    assert log.init_ms > 0 and log.memory_growth_bytes >= 0 and log.peak_memory_bytes > 2**20
    assert read_coverage(result.stdout).share == 1.0


def test_times_bound_the_runs(run, tiny):
    result = run(f"--graph={tiny}", "--num_runs=1", "--min_secs=0.1", "--warmup_min_secs=0", "--warmup_runs=0")
    log = parse_log(result.stdout)
    assert log.timings.runs > 20 and log.warm_up is None
    result = run(f"--graph={tiny}", "--num_runs=100000000", "--min_secs=0", "--max_secs=0.1")
    assert result.returncode == 0
    assert 1 < int(re.findall(r"count=(\d+)", result.stdout)[-1]) < 100000000


def test_latencies_file(run, tiny, tmp_path):
    result = run(f"--graph={tiny}", *FAST, f"--latencies_file={tmp_path / 'l.txt'}")
    latencies_ms = parse_latencies((tmp_path / "l.txt").read_text())
    log = parse_log(result.stdout)
    assert len(latencies_ms) == 5
    assert sum(latencies_ms) / 5 == pytest.approx(log.timings.average_ms, rel=1e-3)
    assert min(latencies_ms) == pytest.approx(log.timings.min_ms, abs=5.1e-4)


def test_profile_on_xnnpack_and_without(run, tiny):
    result = run(f"--graph={tiny}", *FAST, "--enable_op_profiling=true")
    rows = parse_profile(result.stdout)
    assert {row.kind for row in rows} == {"delegated"}
    assert {row.calls_per_run for row in rows} == {1}
    result = run(f"--graph={tiny}", *FAST, "--enable_op_profiling=true", "--use_xnnpack=false")
    rows = parse_profile(result.stdout)
    names = [(row.kind, row.node_type, row.index) for row in rows]
    assert names == [
        ("operator", "CONV_2D", 0),
        ("operator", "DEPTHWISE_CONV_2D", 1),
        ("operator", "FULLY_CONNECTED", 2),
    ]
    assert total_ms(rows) <= parse_log(result.stdout).timings.average_ms + 0.003
    assert read_coverage(result.stdout).share == 0.0


def test_share_of_a_delegate_that_takes_a_part(run, mixed):
    for flag in ("--print_share=true", "--enable_op_profiling=true"):
        result = run(f"--graph={mixed}", *FAST, flag)
        coverage = read_coverage(result.stdout)
        assert (coverage.nodes, coverage.delegated_nodes, coverage.left_out) == (2, 1, (("FLOOR_MOD", 1),))
        assert parse_log(result.stdout).timings.runs == 5
    # A measured turn asks for neither: the warm-up has told, and the model is not loaded and run again.
    assert parse_one_run(run(f"--graph={mixed}", *FAST).stdout) == ()
    result = run(f"--graph={mixed}", *FAST, "--print_share=true", "--use_xnnpack=false")
    assert (read_coverage(result.stdout).share, parse_one_run(result.stdout)) == (0.0, ())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--graph=x", "--bogus=1"], "unknown flag --bogus=1: --help lists those there are"),
        (["--graph=x", "--num_run=1"], "unknown flag --num_run=1"),
        (["--graph=x", "verbose"], "expected --flag=value, got 'verbose'"),
        (["--graph=x", "--use_xnnpack"], "expected --flag=value, got '--use_xnnpack'"),
        ([], "expected --graph=MODEL.tflite"),
        (["--graph="], "--graph: expected a path, got nothing"),
        (["--graph=x", "--num_runs=0"], "--num_runs: expected a whole number of at least 1, got '0'"),
        (["--graph=x", "--num_runs=99999999999999999999"], "--num_runs: expected a whole number"),
        (["--graph=x", "--warmup_runs=-1"], "--warmup_runs: expected a whole number of at least 0, got '-1'"),
        (["--graph=x", "--num_threads=2x"], "--num_threads: expected a whole number"),
        (["--graph=x", "--min_secs=-1"], "--min_secs: expected seconds, 0 or more, got '-1'"),
        (["--graph=x", "--max_secs=nan"], "--max_secs: expected seconds"),
        (["--graph=x", "--use_xnnpack=yes"], "--use_xnnpack: expected true or false, got 'yes'"),
        (["--graph=x", "--input_folder=y"], "expected --input_folder and --output_folder together"),
    ],
)
def test_wrong_flags(run, flags, message):
    result = run(*flags)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"ERROR: {message}" in result.stderr


def test_models_that_cannot_be_read(run, tiny, tmp_path):
    result = run(f"--graph={tmp_path / 'none.tflite'}")
    assert result.returncode == 1
    assert f"ERROR: cannot open the model {tmp_path / 'none.tflite'}: No such file or directory" in result.stderr
    (tmp_path / "text.tflite").write_text("no model at all")
    assert "expected a .tflite file" in run(f"--graph={tmp_path / 'text.tflite'}").stderr
    (tmp_path / "empty.tflite").write_bytes(b"")
    assert "expected a .tflite file" in run(f"--graph={tmp_path / 'empty.tflite'}").stderr
    content = tiny.read_bytes()
    (tmp_path / "cut.tflite").write_bytes(content[: len(content) // 2])
    result = run(f"--graph={tmp_path / 'cut.tflite'}")
    # LiteRT may read beyond the end of such a file and crash; the harness refuses one before it is pushed.
    assert result.returncode != 0
    assert "count=" not in result.stdout


def test_unwritable_latencies(run, tiny, tmp_path):
    result = run(f"--graph={tiny}", *FAST, f"--latencies_file={tmp_path / 'no' / 'l.txt'}")
    assert result.returncode == 1
    assert "ERROR: cannot write the latencies" in result.stderr


# On an arm64 processor.
