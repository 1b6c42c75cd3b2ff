"""The program built with every warning an error, and with what finds misuse of memory; then led down all its ways."""

import os
import shutil
import subprocess

import pytest

from nasfpn_lite.android_bench.build_inputs import LIBRARY, TARGETS
from nasfpn_lite.android_bench.build_runner import SOURCE
from tests.hand_made_tflite import HandMade
from tests.own_runner import build_own_runner, refuse
from tests.tiny_tflite import make_tiny_tflite

STRICT = ["-std=gnu11", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wpedantic", "-Werror"]
FAST = ["--num_runs=3", "--min_secs=0", "--warmup_min_secs=0"]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sanitized")
    # Alone in a folder: the loader's libraries beside it are not for a program that this system starts.
    shutil.copyfile(build_own_runner("x86_64") / "lib" / LIBRARY, folder / LIBRARY)
    flags = [*STRICT, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    links = [f"-L{folder}", f"-l:{LIBRARY}", "-lm", "-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"]
    command = [TARGETS["x86_64"].compiler, *flags, "-o", folder / "runner", *sorted(SOURCE.glob("*.c")), *links]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "cannot find -lasan" in done.stderr or "cannot find libasan" in done.stderr:
        refuse(f"the compiler has no sanitizers: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return folder / "runner"


@pytest.fixture
def run(program, tmp_path):
    (tmp_path / "a.tflite").write_bytes(make_tiny_tflite())
    # Not a file that was cut: LiteRT itself reads beyond the end of some.
    made = HandMade()
    image, output = made.tensor((1, 2)), made.tensor((1, 2))
    made.op("NoSuchOperator", [image], [output])
    (tmp_path / "unknown.tflite").write_bytes(made.to_bytes([image], [output]))
    for name, size in (("inputs", 4 * 6 * 8 * 3), ("wrong", 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0").write_bytes(bytes(size))
        (tmp_path / name / "1").write_bytes(bytes(size))
    (tmp_path / "pipes").mkdir()
    os.mkfifo(tmp_path / "pipes" / "0")

    def run(*flags, stdout=subprocess.PIPE):
        return subprocess.run(
            [program, *flags], stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=60, check=False
        )

    return run


@pytest.mark.parametrize(
    "flags",
    [
        [*FAST, "--latencies_file=l.txt", "--print_share=true"],
        [*FAST, "--enable_op_profiling=true"],
        [*FAST, "--use_xnnpack=false", "--warmup_runs=0"],
        ["--input_folder=inputs", "--output_folder=out"],
    ],
)
def test_no_misuse_of_memory_and_none_left(run, flags):
    done = run("--graph=a.tflite", *flags)
    assert (done.returncode, "Sanitizer" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize(
    ("code", "flags", "said"),
    [
        (1, ["--graph=unknown.tflite", *FAST], "cannot shape the outputs"),
        (1, ["--graph=a.tflite", *FAST, "--latencies_file=/dev/full"], "is there space left?"),
        (1, ["--graph=a.tflite", "--input_folder=wrong", "--output_folder=out"], "bytes of input in wrong/0, got 5"),
        (1, ["--graph=a.tflite", "--input_folder=pipes", "--output_folder=out"], "expected only files"),
        (1, ["--graph=a.tflite", "--input_folder=none", "--output_folder=out"], "cannot read the input folder"),
        (2, ["--graph=a.tflite", "--num_runs=0"], "--num_runs: expected"),
    ],
)
def test_what_goes_wrong_is_said_without_misuse_of_memory(run, code, flags, said):
    done = run(*flags)
    assert (done.returncode, said in done.stderr, "AddressSanitizer" in done.stderr) == (code, True, False), done.stderr


def test_a_log_that_cannot_be_written_is_a_failure(run):
    with open("/dev/full", "w") as full:
        done = run("--graph=a.tflite", *FAST, stdout=full)
    assert (done.returncode, "cannot write the log" in done.stderr) == (1, True)
