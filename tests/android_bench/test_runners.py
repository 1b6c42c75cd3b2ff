import struct
from pathlib import Path

import pytest

from nasfpn_lite.android_bench import runners
from nasfpn_lite.android_bench.elf import ElfError
from nasfpn_lite.android_bench.runners import (
    NoBenchmarkBinaryError,
    Runner,
    RunnerError,
    RunSettings,
    find_benchmark_binary,
    make_runner,
)


def write_program(path: Path, machine: int = 183, loader: bytes = b"/system/bin/linker64") -> Path:
    identity = b"\x7fELF\2\1\1".ljust(16, b"\0")
    head = identity + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(loader) + 1, len(loader) + 1, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + segment + loader + b"\0")
    return path


@pytest.fixture
def own_runner(tmp_path) -> Runner:
    program = write_program(tmp_path / "nasfpn_runner", loader=b"/lib/ld-linux-aarch64.so.1")
    for name in ("ld-linux-aarch64.so.1", "libc.so.6"):
        (tmp_path / "lib" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "lib" / name).write_bytes(b"x")
    return make_runner("nasfpn_runner", program, "arm64-v8a")


@pytest.fixture
def android_runner(tmp_path) -> Runner:
    return find_benchmark_binary(write_program(tmp_path / "benchmark_model"), "arm64-v8a")


def test_a_hash_tells_builds_apart(own_runner, tmp_path):
    one = own_runner.hash_files()
    assert len(one) == 64
    (tmp_path / "lib" / "libc.so.6").write_bytes(b"y")
    assert own_runner.hash_files() != one
    (tmp_path / "lib" / "libc.so.6").write_bytes(b"x")
    assert own_runner.hash_files() == one


def test_flags():
    assert RunSettings().flags() == [
        "--num_threads=1",
        "--num_runs=50",
        "--warmup_runs=1",
        "--min_secs=1",
        "--max_secs=150",
        "--warmup_min_secs=0.5",
        "--use_xnnpack=true",
    ]
    other = RunSettings(
        threads=4, runs=7, warmup_runs=0, min_s=0, max_s=2.5, warmup_min_s=0, xnnpack=False, profile=True
    )
    assert other.flags() == [
        "--num_threads=4",
        "--num_runs=7",
        "--warmup_runs=0",
        "--min_secs=0",
        "--max_secs=2.5",
        "--warmup_min_secs=0",
        "--use_xnnpack=false",
        "--enable_op_profiling=true",
    ]
    assert not [flag for flag in RunSettings(xnnpack=None).flags() if "xnnpack" in flag]


def test_gpu_is_asked_for_alone(android_runner, own_runner):
    """XNNPACK takes the rest of the model by itself."""
    words = android_runner.command("/p", "/p/m", RunSettings(gpu=True))
    assert words[-1] == "--use_gpu=true"
    assert not [word for word in words if "xnnpack" in word]
    assert "--use_xnnpack=false" in RunSettings(gpu=True, xnnpack=False).flags()
    with pytest.raises(RunnerError, match="own runner knows no GPU: take benchmark_model"):
        own_runner.command("/p", "/p/m", RunSettings(gpu=True))


@pytest.mark.parametrize(
    "settings", [{"threads": 0}, {"runs": 0}, {"warmup_runs": -1}, {"min_s": -1}, {"min_s": 200}, {"warmup_min_s": 151}]
)
def test_settings_out_of_range(settings):
    with pytest.raises(RunnerError, match="expected"):
        RunSettings(**settings)


def test_android_program_starts_by_itself(android_runner):
    assert list(android_runner.files.values()) == ["benchmark_model"]
    assert android_runner.executables == ("benchmark_model",)
    assert android_runner.command("/p", "/p/m.tflite", RunSettings())[:2] == [
        "/p/benchmark_model",
        "--graph=/p/m.tflite",
    ]
    assert android_runner.latencies_file is None
    assert not [word for word in android_runner.command("/p", "m", RunSettings()) if "latencies" in word]


def test_gnu_program_is_started_by_the_loader_beside_it(own_runner):
    assert sorted(own_runner.files.values()) == ["lib/ld-linux-aarch64.so.1", "lib/libc.so.6", "nasfpn_runner"]
    assert own_runner.executables == ("nasfpn_runner", "lib/ld-linux-aarch64.so.1")
    words = own_runner.command("/p q", "/p q/m.tflite", RunSettings())
    start = [
        "/p q/lib/ld-linux-aarch64.so.1",
        "--library-path",
        "/p q/lib",
        "/p q/nasfpn_runner",
        "--graph=/p q/m.tflite",
    ]
    assert words[:5] == start
    assert words[-1] == "--latencies_file=/p q/latencies.txt"


def test_folder_command(own_runner, android_runner):
    words = own_runner.folder_command(
        "/p", "/p/m", input_folder="/p/in", output_folder="/p/out", threads=2, xnnpack=False
    )
    assert words[4:] == [
        "--graph=/p/m",
        "--num_threads=2",
        "--use_xnnpack=false",
        "--input_folder=/p/in",
        "--output_folder=/p/out",
    ]
    with pytest.raises(RunnerError, match="benchmark_model cannot write what a model computes"):
        android_runner.folder_command("/p", "/p/m", input_folder="/p/in", output_folder="/p/out")


def test_gnu_program_without_its_loader(tmp_path):
    program = write_program(tmp_path / "benchmark_model", loader=b"/lib/ld-linux-aarch64.so.1")
    with pytest.raises(RunnerError, match="phones do not have: take a build for Android"):
        find_benchmark_binary(program, "arm64-v8a")


def test_wrong_processor(tmp_path, own_runner):
    with pytest.raises(RunnerError, match="for arm64-v8a, the phone's processor, got one for x86_64"):
        find_benchmark_binary(write_program(tmp_path / "benchmark_model", machine=62), "arm64-v8a")
    own_runner.check_abi("arm64-v8a")
    with pytest.raises(RunnerError, match="for x86_64, the phone's processor, got one for arm64-v8a"):
        own_runner.check_abi("x86_64")


def test_no_program(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ElfError, match="got something else"):
        find_benchmark_binary(tmp_path / "notes.txt", "arm64-v8a")
    with pytest.raises(RunnerError, match="there is no such file"):
        find_benchmark_binary(tmp_path / "none", "arm64-v8a")


def test_cache_of_litert_cli(tmp_path, monkeypatch):
    monkeypatch.setattr(runners, "BINARY_CACHE", tmp_path)
    with pytest.raises(NoBenchmarkBinaryError, match="download it from https://.* and name it with --benchmark-binary"):
        find_benchmark_binary(None, "arm64-v8a")
    program = write_program(tmp_path / "arm64-v8a" / "benchmark_model")
    assert list(find_benchmark_binary(None, "arm64-v8a").files) == [program]


def test_genuine_benchmark_model(shared_dir):
    program = shared_dir / "tools" / "benchmark_model-2.14.1-aarch64" / "benchmark_model"
    if not program.is_file():
        pytest.skip("the genuine benchmark_model is not here")
    runner = find_benchmark_binary(program, "arm64-v8a")
    assert runner.loader == "lib/ld-linux-aarch64.so.1"
    assert "lib/libtensorflow-lite.so.2.14.1" in runner.files.values()
