"""Quantizing, and that one module owns the interpreters."""

import re

import numpy as np
import pytest

from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.interpreter import Tensor, make_interpreter, signature_tensors, time_interleaved
from nasfpn_lite.errors import UserError
from nasfpn_lite.preprocess import normalise
from tests.hand_made_detector import make_detector_tflite
from tests.tiny_tflite import make_tiny_tflite


def make_tensor(scale: float, zero_point: int, dtype: str) -> Tensor:
    return Tensor("x", 0, (1,), np.dtype(dtype), scale, zero_point)


def test_quantizing_rounds_holds_and_comes_back():
    tensor = make_tensor(0.5, 3, "int8")
    assert tensor.quantize(np.array([0.0, 0.2, 0.25, -0.3, 1000.0, -1000.0])).tolist() == [3, 3, 4, 2, 127, -128]
    assert tensor.dequantize(np.array([3, 4, -128], np.int8)).tolist() == [0.0, 0.5, -65.5]


def test_unsigned_tensors_have_their_own_limits():
    tensor = make_tensor(1 / 255, 0, "uint8")
    assert tensor.quantize(np.array([-1.0, 0.0, 1.0, 2.0])).tolist() == [0, 0, 255, 255]


def test_float_tensors_pass_through():
    tensor = make_tensor(0.0, 0, "float32")
    assert tensor.quantize(np.array([0.3], np.float32)).tolist() == [np.float32(0.3)]


@pytest.mark.parametrize("zero_point", [-1, 0])
def test_every_level_of_an_image_keeps_a_step_of_its_own(zero_point):
    tensor = make_tensor(float(np.float32(1 / 127.5)), zero_point, "int8")
    steps = np.diff(tensor.quantize(normalise(np.arange(256, dtype=np.uint8))).astype(int))
    assert steps[:254].tolist() == [1] * 254


def test_a_model_without_signature_is_told():
    with pytest.raises(UserError, match="expected a model with the signature 'serving_default', got none"):
        signature_tensors(make_interpreter(make_tiny_tflite()))


def test_a_signature_that_points_nowhere_is_told():
    graph = Graph(make_detector_tflite())
    graph.model.signatureDefs[0].outputs[0].tensorIndex = 10_000
    with pytest.raises(UserError, match="'serving_default' is damaged: .*10000.*; convert the file again"):
        signature_tensors(make_interpreter(graph.to_bytes()))


def test_what_is_no_model_is_told(tmp_path):
    path = tmp_path / "text.tflite"
    path.write_bytes(b"hello, this is text")
    with pytest.raises(UserError, match=r"text\.tflite cannot be loaded"):
        make_interpreter(path)
    with pytest.raises(UserError, match="cannot read"):
        make_interpreter(tmp_path / "gone.tflite")


def test_every_file_is_timed_and_the_order_is_kept(tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(make_tiny_tflite())
    times_ms = time_interleaved([path, path, path], rounds=2, runs=1)
    assert len(times_ms) == 3
    assert all(0 <= time_ms < 100 for time_ms in times_ms)


def test_no_other_module_imports_an_interpreter_or_the_converter(repository):
    owner = repository / "converters" / "interpreter.py"
    pattern = re.compile(
        r"ai_edge_litert\.interpreter|ai_edge_litert import interpreter|tflite_runtime|(tf|tensorflow)\.lite"
    )
    rooms = ("nasfpn_lite", "converters", "benchmarks", "android_bench")
    files = [path for room in rooms for path in (repository / room).rglob("*.py") if path.is_file()]
    found = {p.resolve() for p in files if re.search(pattern, re.sub(r"#.*", "", p.read_text(encoding="utf-8")))}
    assert owner.resolve() in found
    users = {str(path) for path in found - {owner.resolve()} if "import" in _lines_with(pattern, path)}
    assert users == set()


def _lines_with(pattern: re.Pattern[str], path) -> str:
    return "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if pattern.search(line))
