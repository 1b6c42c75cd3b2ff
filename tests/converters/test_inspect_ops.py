"""Operators and multiply-adds, against counts made by hand and a published figure."""

from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.inspect_ops import count_multiply_adds, list_operators
from nasfpn_lite.errors import UserError
from tests.tiny_tflite import MULTIPLY_ADDS, make_tiny_tflite


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(make_tiny_tflite())
    return path


def test_operators_are_counted(tiny):
    assert list_operators(tiny) == [("CONV_2D", 1), ("DEPTHWISE_CONV_2D", 1), ("FULLY_CONNECTED", 1)]


def test_multiply_adds_by_hand(tiny):
    assert count_multiply_adds(tiny) == 5184 + 1728 + 960


def test_multiply_adds_of_a_published_classifier(find_peer):
    # MobileNetV2 1.0 at 224: 300 M (Sandler et al. 2018, table 4), 300.8 M with the last layer's 1001 classes.
    count = count_multiply_adds(find_peer("mobilenet_v2_224_int8_ptq.tflite"))
    assert count == 300_775_552


def test_custom_operators_have_their_own_name(find_peer):
    names = dict(list_operators(find_peer("ssd_mobilenet_v1_coco_quant_300.tflite")))
    assert names["TFLite_Detection_PostProcess"] == 1


@pytest.mark.parametrize(("data", "message"), [(None, "cannot read"), (b"PK\x03\x04 a zip", "no .tflite file")])
def test_other_files_are_refused(tmp_path, data, message):
    path = tmp_path / "other.tflite"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        count_multiply_adds(path)


def test_tensors_without_shape_and_operators_without_tensors_count_nothing(tmp_path):
    graph = Graph(make_tiny_tflite())
    scalar = schema.TensorT()
    scalar.name, scalar.type = b"scalar", schema.TensorType.FLOAT32
    graph.main.tensors.append(scalar)
    last = len(graph.main.tensors) - 1
    graph.add_op(graph.find_op_code(schema.BuiltinOperator.ADD), (last, -1), (last,))
    empty = schema.OperatorT()
    empty.opcodeIndex = graph.find_op_code(schema.BuiltinOperator.MAX_POOL_2D)
    graph.main.operators.append(empty)
    dense = graph.main.operators[2]
    dense.outputs = None
    path = tmp_path / "odd.tflite"
    path.write_bytes(graph.to_bytes())
    assert count_multiply_adds(path) == MULTIPLY_ADDS
    assert ("MAX_POOL_2D", 1) in list_operators(path)
