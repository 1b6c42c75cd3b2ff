"""The program itself, started as on a phone, beside the Python interpreter on the same files."""

import json
import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from nasfpn_lite.android_bench.bench_log import parse_latencies, parse_log
from nasfpn_lite.android_bench.coverage import read_coverage
from nasfpn_lite.android_bench.log_traps import LogError
from nasfpn_lite.android_bench.op_profile import parse_one_run, parse_profile, total_ms
from nasfpn_lite.android_bench.raw_outputs import read_raw_outputs
from nasfpn_lite.android_bench.runners import RunSettings, find_benchmark_binary
from nasfpn_lite.converters.interpreter import make_interpreter
from tests.hand_made_tflite import HandMade
from tests.own_runner import build_own_runner, find_emulator, start
from tests.tiny_tflite import make_tiny_tflite

FAST = ("--num_runs=5", "--min_secs=0", "--warmup_min_secs=0")
SHAPE = (1, 6, 8, 3)


@pytest.fixture(scope="module")
def run():
    folder = build_own_runner("x86_64")
    return lambda *flags: start(folder, "x86_64", *flags)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny model $(x).tflite"
    path.write_bytes(make_tiny_tflite())
    return path


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two inputs of two types; one operator that XNNPACK takes and one that it does not."""
    made = HandMade()
    image, counts = made.tensor((1, 2, 3)), made.tensor((2, 2), "int32")
    positive, doubled = made.tensor((1, 2, 3)), made.tensor((2, 2), "int32")
    made.op("RELU", [image], [positive])
    made.op("FLOOR_MOD", [counts, made.fixed([[3, 4], [5, 6]])], [doubled])
    path = tmp_path_factory.mktemp("model") / "mixed.tflite"
    path.write_bytes(made.to_bytes([image, counts], [positive, doubled]))
    return path


def run_in_python(model, *arrays):
    interpreter = make_interpreter(model)
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def write_inputs(folder, *inputs):
    folder.mkdir()
    for name, arrays in inputs:
        (folder / name).write_bytes(b"".join(array.tobytes() for array in arrays))


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


def test_outputs_equal_the_interpreters(run, tiny, tmp_path):
    rng = np.random.default_rng(3)
    images = [rng.uniform(-1, 1, SHAPE).astype(np.float32) for _ in range(3)]
    write_inputs(tmp_path / "in", *((f"{name}.raw", [image]) for name, image in zip("bac", images, strict=True)))
    result = run(f"--graph={tiny}", f"--input_folder={tmp_path / 'in'}", f"--output_folder={tmp_path / 'out'}")
    assert result.returncode == 0, result.stderr
    outputs = read_raw_outputs(tmp_path / "out")
    assert outputs.inputs == ("a.raw", "b.raw", "c.raw")
    scores = outputs.tensors["scores"]
    assert (scores.dtype, scores.shape) == ("float32", (1, 5))
    for position, image in enumerate((images[1], images[0], images[2])):
        (expected,) = run_in_python(tiny, image)
        found = np.frombuffer(scores.read(position), scores.dtype).reshape(scores.shape)
        np.testing.assert_array_equal(found, expected)
        assert not np.array_equal(found, run_in_python(tiny, image + np.float32(1e-3))[0])


@pytest.mark.parametrize("xnnpack", ["true", "false"])
def test_several_inputs_and_outputs(run, mixed, tmp_path, xnnpack):
    image = np.array([[[-1, 0, 2], [3, -4, 5.5]]], np.float32)
    counts = np.array([[7, -1], [11, 12]], np.int32)
    write_inputs(tmp_path / "in", ("x", [image, counts]))
    folders = [f"--input_folder={tmp_path / 'in'}", f"--output_folder={tmp_path / 'out'}"]
    result = run(f"--graph={mixed}", *folders, f"--use_xnnpack={xnnpack}")
    assert result.returncode == 0, result.stderr
    tensors = list(read_raw_outputs(tmp_path / "out").tensors.values())
    found = [np.frombuffer(tensor.read(0), tensor.dtype).reshape(tensor.shape) for tensor in tensors]
    np.testing.assert_array_equal(found[0], [[[0, 0, 2], [3, 0, 5.5]]])
    np.testing.assert_array_equal(found[1], [[1, 3], [1, 0]])
    for array, expected in zip(found, run_in_python(mixed, image, counts), strict=True):
        np.testing.assert_array_equal(array, expected)


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
    assert result.returncode == 1
    assert "ERROR: cannot prepare the model: LiteRT status 3" in result.stderr


def test_unwritable_latencies(run, tiny, tmp_path):
    result = run(f"--graph={tiny}", *FAST, f"--latencies_file={tmp_path / 'no' / 'l.txt'}")
    assert result.returncode == 1
    assert "ERROR: cannot write the latencies" in result.stderr


def run_folder(run, tiny, tmp_path):
    return run(f"--graph={tiny}", f"--input_folder={tmp_path / 'in'}", f"--output_folder={tmp_path / 'out'}")


def test_inputs_of_another_size(run, tiny, tmp_path):
    write_inputs(tmp_path / "in", ("a", [np.zeros(SHAPE, np.float32)]), ("b", [np.zeros(SHAPE, np.uint8)]))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "outputs.json").write_text("of an earlier run")
    result = run_folder(run, tiny, tmp_path)
    assert result.returncode == 1
    assert f"expected 576 bytes of input in {tmp_path / 'in'}/b, got 144" in result.stderr
    assert not (tmp_path / "out" / "outputs.json").exists()


def test_input_folders_without_inputs(run, tiny, tmp_path):
    assert "cannot read the input folder" in run_folder(run, tiny, tmp_path).stderr
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / ".hidden").write_text("")
    assert "expected raw input files in" in run_folder(run, tiny, tmp_path).stderr
    (tmp_path / "in" / "folder").mkdir()
    result = run_folder(run, tiny, tmp_path)
    assert result.returncode == 1
    assert "folder is none" in result.stderr


def test_output_folder_that_cannot_be_made(run, tiny, tmp_path):
    write_inputs(tmp_path / "in", ("a", [np.zeros(SHAPE, np.float32)]))
    (tmp_path / "out").write_text("a file")
    result = run_folder(run, tiny, tmp_path)
    assert result.returncode == 1
    assert "ERROR: cannot write the output" in result.stderr


def test_names_of_any_kind(run, tmp_path):
    made = HandMade()
    image, output = made.tensor((1, 2)), made.tensor((1, 2))
    made.graph.main.tensors[output].name = 'a/"b\\c:0\té'.encode()
    made.op("RELU", [image], [output])
    (tmp_path / "m.tflite").write_bytes(made.to_bytes([image], [output]))
    write_inputs(tmp_path / "in", ('1 "x\\.raw', [np.array([[-1, 2]], np.float32)]))
    result = run_folder(run, tmp_path / "m.tflite", tmp_path)
    assert result.returncode == 0, result.stderr
    outputs = read_raw_outputs(tmp_path / "out")
    assert outputs.inputs == ('1 "x\\.raw',)
    assert outputs.tensors['a/"b\\c:0\té'].read(0) == np.array([[0, 2]], np.float32).tobytes()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"outputs.json", "0_a__b_c_0___.raw"}


def test_a_name_longer_than_a_file_name_may_be(run, tmp_path):
    made = HandMade()
    image, output = made.tensor((1, 2)), made.tensor((1, 2))
    name = "model/" + "a;" * 150
    made.graph.main.tensors[output].name = name.encode()
    made.op("RELU", [image], [output])
    (tmp_path / "m.tflite").write_bytes(made.to_bytes([image], [output]))
    write_inputs(tmp_path / "in", ("1.raw", [np.array([[-1, 2]], np.float32)]))
    result = run_folder(run, tmp_path / "m.tflite", tmp_path)
    assert result.returncode == 0, result.stderr
    assert read_raw_outputs(tmp_path / "out").tensors[name].read(0) == np.array([[0, 2]], np.float32).tobytes()


def test_shapes_that_only_preparing_gives(run, find_peer, tmp_path):
    """The file states no shape for what TFLite_Detection_PostProcess gives."""
    path = find_peer("ssd_mobilenet_v1_coco_quant_300.tflite")
    image = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 3), dtype=np.uint8)
    write_inputs(tmp_path / "in", ("a", [image]), ("b", [image]))
    result = run_folder(run, path, tmp_path)
    assert result.returncode == 0, result.stderr
    outputs = read_raw_outputs(tmp_path / "out")
    assert [tensor.shape for tensor in outputs.tensors.values()] == [(1, 10, 4), (1, 10), (1, 10), (1,)]
    expected = run_in_python(path, image)
    for tensor, array in zip(outputs.tensors.values(), expected, strict=True):
        np.testing.assert_array_equal(np.frombuffer(tensor.read(1), tensor.dtype).reshape(tensor.shape), array)


# On an arm64 processor.


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
