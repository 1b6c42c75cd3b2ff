"""The program for arm64, under an emulator, and Google's benchmark_model with the same flags."""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from nasfpn_lite.android_bench.bench_log import parse_log
from nasfpn_lite.android_bench.coverage import read_coverage
from nasfpn_lite.android_bench.log_traps import LogError
from nasfpn_lite.android_bench.op_profile import parse_profile
from nasfpn_lite.android_bench.raw_outputs import read_raw_outputs
from nasfpn_lite.android_bench.runners import RunSettings, find_benchmark_binary
from tests.own_runner import build_own_runner, find_emulator, start
from tests.own_runner_files import (
    FAST,
    SHAPE,
    run_folder,
    run_in_python,
    write_inputs,
    write_tiny,
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    return find_emulator(tmp_path_factory.mktemp("processor"))


@pytest.fixture(scope="module")
def run_arm64(emulator):
    folder = build_own_runner("arm64-v8a")
    return lambda *flags: start(folder, "arm64-v8a", *flags, emulator=emulator)


def test_arm64_measures(run_arm64, tiny):
    result = run_arm64(f"--graph={tiny}", *FAST)
    assert result.returncode == 0, result.stderr
    assert parse_log(result.stdout, result.stderr).timings.runs == 5


def test_arm64_outputs(run_arm64, tiny, tmp_path):
    image = np.random.default_rng(4).uniform(-1, 1, SHAPE).astype(np.float32)
    write_inputs(tmp_path / "in", ("a", [image]))
    result = run_folder(run_arm64, tiny, tmp_path)
    assert result.returncode == 0, result.stderr
    (expected,) = run_in_python(tiny, image)
    scores = read_raw_outputs(tmp_path / "out").tensors["scores"]
    # Another processor adds in another order.
    np.testing.assert_allclose(np.frombuffer(scores.read(0), np.float32).reshape(1, 5), expected, rtol=1e-5, atol=1e-6)
    assert json.loads((tmp_path / "out" / "outputs.json").read_text())["inputs"] == ["a"]


def test_genuine_benchmark_model_takes_the_same_flags(emulator, shared_dir, tiny):
    """It is built without XNNPACK, and says so by not knowing the flag."""
    program = shared_dir / "tools" / "benchmark_model-2.14.1-aarch64" / "benchmark_model"
    if not program.is_file():
        pytest.skip("the genuine benchmark_model is not here")
    runner = find_benchmark_binary(program, "arm64-v8a")
    settings = RunSettings(runs=5, min_s=0, warmup_min_s=0, xnnpack=None, profile=True)

    def measure(settings):
        words = runner.command(str(program.parent), str(tiny), settings)
        return subprocess.run([*emulator, *words], capture_output=True, text=True, check=True)

    result = measure(settings)
    assert parse_log(result.stdout, result.stderr).timings.runs == 5
    rows = parse_profile(result.stdout)
    assert [(row.node_type, row.name, row.index) for row in rows] == [
        ("CONV_2D", "wide", 0),
        ("DEPTHWISE_CONV_2D", "deep", 1),
        ("FULLY_CONNECTED", "scores", 2),
    ]
    assert read_coverage(result.stdout).share == 0.0
    result = measure(replace(settings, xnnpack=True))
    with pytest.raises(LogError, match="a build without XNNPACK does not know --use_xnnpack"):
        parse_log(result.stdout, result.stderr)
