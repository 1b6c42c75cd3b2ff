"""Measuring: options, doubts, and one real interleaved run over a file of three layers."""

import json

import numpy as np
import pytest

from nasfpn_lite.benchmarks.bench import _WorkerProcess, bench, find_doubts
from nasfpn_lite.benchmarks.bench_worker import find_chain, make_random_input
from nasfpn_lite.benchmarks.end_to_end import is_image_shape, make_image_input
from nasfpn_lite.benchmarks.record import BenchError, BenchOptions, parse_cpu_name
from nasfpn_lite.benchmarks.statistics import Estimate
from nasfpn_lite.cli import main
from nasfpn_lite.converters.join import join_files
from tests.tiny_tflite import MULTIPLY_ADDS, make_tiny_part, make_tiny_tflite


@pytest.fixture(scope="module")
def tiny_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    data = make_tiny_tflite()
    for name in ("a.tflite", "b.tflite"):
        (folder / name).write_bytes(data)
    return [folder / "a.tflite", folder / "b.tflite"]


@pytest.fixture(scope="module")
def report(tiny_files):
    return bench(tiny_files, BenchOptions(rounds=7, turn_seconds=0.002))


def test_every_file_gets_its_figures(report, tiny_files):
    assert [result.file for result in report.results] == [str(file) for file in tiny_files]
    for result in report.results:
        assert 0 < result.latency_ms_min <= result.latency_ms_p50 <= result.latency_ms_p90
        assert result.latency_ms_ci[0] <= result.latency_ms_p50 <= result.latency_ms_ci[1]
        assert result.peak_memory_bytes > result.model_memory_bytes >= 0
        assert result.peak_memory_bytes > 10_000_000
        assert result.size_bytes == tiny_files[0].stat().st_size
        assert result.multiply_adds == MULTIPLY_ADDS
        assert result.operators == {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1}
        assert result.runs >= 7 * 2
        assert (result.input_shape, result.input_dtype) == ((1, 6, 8, 3), "float32")


def test_foreign_files_are_timed_from_photo_on(report):
    assert report.results[0].end_to_end_steps == ("decode", "resize", "normalise", "run")
    assert report.results[0].end_to_end_ms_p50 > report.results[0].latency_ms_p50


def test_files_are_compared(report):
    (ratio,) = report.ratios
    assert (ratio.file, ratio.to) == (report.results[0].file, report.results[1].file)
    assert ratio.latency_ratio_ci[0] <= ratio.latency_ratio <= ratio.latency_ratio_ci[1]


def test_json_has_the_promised_names(tiny_files, capsys):
    argv = ["bench", *map(str, tiny_files[:1]), "--threads", "1", "--rounds", "2", "--no-end-to-end", "--json"]
    assert main(argv) == 0
    data = json.loads(capsys.readouterr().out)
    names = {"file", "latency_ms_p50", "latency_ms_ci", "latency_ms_p90", "init_ms", "peak_memory_bytes", "size_bytes"}
    assert names <= set(data["results"][0])
    assert data["results"][0]["end_to_end_ms_p50"] is None
    assert data["machine"]["cores"] >= 1
    assert "numpy" in data["machine"]["versions"]


def test_a_damaged_file_ends_with_its_name(tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(make_tiny_tflite()[:200])
    with pytest.raises(BenchError, match=r"cut\.tflite"):
        bench([path], BenchOptions(rounds=1))


def test_it_works_from_another_folder(tiny_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert len(bench(tiny_files, BenchOptions(rounds=1, end_to_end=False)).results) == 2


def test_a_process_that_has_died_is_told_and_its_pipe_closed(tiny_files, tmp_path):
    with pytest.raises(BenchError, match=r"a\.tflite ended with exit code -9"):
        with _WorkerProcess(tiny_files[0], 1, None, tmp_path) as worker:
            worker._process.kill()
            worker._process.wait()
            worker.ask("memory")


def test_a_missing_file_is_named(tmp_path, capsys):
    assert main(["bench", str(tmp_path / "none.tflite")]) == 2
    assert "none.tflite" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{"threads": 0}, {"rounds": 0}])
def test_senseless_options_are_refused(options):
    with pytest.raises(BenchError, match="at least 1"):
        BenchOptions(**options)


@pytest.mark.parametrize(
    ("latency", "p90_ms", "doubts"),
    [
        (Estimate(10.0, 9.8, 10.4, 0.96), 12.0, 0),
        (Estimate(10.0, 9.0, 10.4, 0.96), 12.0, 1),
        (Estimate(10.0, 9.0, 10.4, 0.90), 16.0, 3),
    ],
)
def test_doubts(latency, p90_ms, doubts):
    assert len(find_doubts(latency, p90_ms)) == doubts


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("float32", -1, 1), ("float16", -1, 1), ("uint8", 0, 255), ("int8", -128, 127)]
)
def test_random_input(dtype, low, high):
    data = make_random_input(np.random.default_rng(1), {"shape": [1, 50, 40, 3], "dtype": np.dtype(dtype)})
    assert data.dtype == dtype
    assert data.shape == (1, 50, 40, 3)
    assert low <= data.min() < data.max() <= high
    assert data.max() > high * 0.9


@pytest.mark.parametrize(
    ("shape", "dtype", "first"),
    [((1, 2, 3, 3), "uint8", 255), ((1, 3, 2, 3), "float32", 1.0), ((1, 2, 3, 3), "int8", 127)],
)
def test_photo_for_a_foreign_input(shape, dtype, first):
    image = np.zeros((20, 30, 3), np.uint8)
    image[..., 0] = 255
    data = make_image_input(image, shape, np.dtype(dtype))
    assert (data.shape, data.dtype) == (shape, dtype)
    assert data[0, 0, 0, 0] == first


@pytest.mark.parametrize(
    ("shape", "is_image"), [((1, 8, 6, 3), True), ((1, 3, 8, 6), True), ((1, 10), False), ((2, 8, 6, 3), False)]
)
def test_image_shapes(shape, is_image):
    assert is_image_shape(shape) is is_image


def test_cpu_names():
    assert parse_cpu_name("processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t: sse") == "AMD EPYC 7B13"
    assert parse_cpu_name("processor\t: 0\nBogoMIPS\t: 38.40") is None


class FakeRunner:
    """One signature: adds one to `taken`, which only the first exit does not take."""

    def __init__(self, takes, calls):
        self.takes, self.calls = takes, calls

    def get_input_details(self):
        return {name: {"shape": np.array([1, 2]), "dtype": np.float32} for name in self.takes}

    def __call__(self, **given):
        assert set(given) == set(self.takes)
        self.calls.append(given)
        return {"scores": np.zeros(1), "P3": np.full(2, len(self.calls))}


class FakeInterpreter:
    def __init__(self):
        self.calls = []

    def get_signature_list(self):
        return {"exit_2": {}, "exit_1": {}}

    def get_signature_runner(self, name):
        return FakeRunner(["image"] if name == "exit_1" else ["P3"], self.calls)


def test_exits_run_in_turn_on_each_others_features():
    interpreter = FakeInterpreter()
    chain = find_chain(interpreter)
    chain()
    chain()
    assert [list(given) for given in interpreter.calls] == [["image"], ["P3"]] * 2
    assert [float(given["P3"][0]) for given in interpreter.calls[1::2]] == [1.0, 3.0]
    assert len(chain.ended_ms) == 2
    assert all(0 <= first <= second for first, second in chain.ended_ms)


def test_files_of_several_exits_show_when_each_has_ended(tiny_files, tmp_path, capsys):
    several = tmp_path / "exits.tflite"
    several.write_bytes(join_files({"exit_1": make_tiny_part()}))
    argv = ["bench", str(tiny_files[0]), str(several), "--rounds", "2", "--no-end-to-end"]
    assert main([*argv, "--json"]) == 0
    plain, exits = json.loads(capsys.readouterr().out)["results"]
    assert plain["exits_ms_p50"] == []
    assert len(exits["exits_ms_p50"]) == 1
    assert exits["exits_ms_p50"][0] > 0
    assert main(argv) == 0
    assert "its own ms" in capsys.readouterr().out
