"""What an operator computes with, told from the types of its tensors."""

import pytest
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.graph_view import GraphView, view_graphs
from nasfpn_lite.errors import UserError
from tests.hand_made_tflite import HandMade, options


def view(content: bytes) -> GraphView:
    return view_graphs(schema.ModelT.InitFromPackedBuf(content, 0))[0]


@pytest.mark.parametrize(
    ("data", "weights", "result", "expected"),
    [
        ("float32", "float32", "float32", "float"),
        ("float32", "int8", "float32", "hybrid"),
        ("int8", "int8", "int8", "int8"),
        ("uint8", "uint8", "uint8", "int8"),
        ("int16", "int8", "int16", "int16x8"),
        ("int8", "int8", "float32", "mixed"),
        ("int16", "int8", "int8", "mixed"),
        ("float32", "float32", "int8", "mixed"),
    ],
)
def test_arithmetic_of_a_convolution(data, weights, result, expected):
    made = HandMade()
    source, target = made.tensor((1, 4, 6, 3), data), made.tensor((1, 4, 6, 2), result)
    made.conv(source, target, weights=weights)
    operator = view(made.to_bytes([source], [target])).operators[0]
    assert operator.arithmetic() == expected
    assert operator.multiply_adds == 4 * 6 * 3 * 2


@pytest.mark.parametrize(
    ("name", "types", "expected"),
    [
        ("ADD", ("int8", "int8", "int8"), "int8"),
        ("ADD", ("float32", "float32", "float32"), "float"),
        ("ADD", ("int16", "int16", "int16"), "int16x8"),
        ("ADD", ("int32", "int32", "int32"), "index"),
        ("QUANTIZE", ("float32", "int8"), "mixed"),
        ("ARG_MAX", ("int8", "int32", "int32"), "int8"),
        ("SHAPE", ("int8", "int32"), "index"),
    ],
)
def test_arithmetic_of_other_operators(name, types, expected):
    made = HandMade()
    *sources, target = [made.tensor((2, 3), dtype) for dtype in types]
    made.op(name, sources, [target])
    assert view(made.to_bytes(sources, [target])).operators[0].arithmetic() == expected


def test_data_and_weights_of_a_transposed_convolution():
    made = HandMade()
    shape, kernel = made.fixed([1, 8, 12, 2]), made.fixed([[[[1]]], [[[1]]]], "int8", scale=[0.1, 0.2])
    source, target = made.tensor((1, 4, 6, 1), "int8"), made.tensor((1, 8, 12, 2), "int8")
    made.op("TRANSPOSE_CONV", [shape, kernel, source], [target], options("TransposeConv", strideH=2, strideW=2))
    operator = view(made.to_bytes([source], [target])).operators[0]
    assert (operator.data.index, operator.weights.index) == (source, kernel)
    assert operator.per_channel
    assert operator.weights.scales == pytest.approx((0.1, 0.2))


@pytest.mark.parametrize(("per_channel", "channels"), [(True, 3), (False, 3)])
def test_scales_per_channel(per_channel, channels):
    made = HandMade()
    source, target = made.tensor((1, 4, 6, 2), "int8"), made.tensor((1, 4, 6, channels), "int8")
    made.conv(source, target, per_channel=per_channel)
    assert view(made.to_bytes([source], [target])).operators[0].per_channel is per_channel


def test_a_depthwise_kernel_with_one_scale_is_per_tensor():
    """Its first axis is 1 long, as long as the list of scales."""
    made = HandMade()
    source, target = made.tensor((1, 4, 6, 2), "int8"), made.tensor((1, 4, 6, 2), "int8")
    kernel, bias = made.fixed([[[[1, 1]]]], "int8", scale=0.1), made.fixed([0, 0])
    made.op("DEPTHWISE_CONV_2D", [source, kernel, bias], [target])
    assert not view(made.to_bytes([source], [target])).operators[0].per_channel


def test_unpacked_weights_are_fixed():
    made = HandMade()
    packed, unpacked = made.fixed([1.0, 2.0], "float16"), made.tensor((2,))
    made.op("DEQUANTIZE", [packed], [unpacked])
    fed, result = made.tensor((2,)), made.tensor((2,))
    made.op("ADD", [fed, unpacked], [result])
    graph = view(made.to_bytes([fed], [result]))
    tensors = {tensor.index: tensor for operator in graph.operators for tensor in (*operator.inputs, *operator.outputs)}
    assert {index for index, tensor in tensors.items() if graph.is_fixed(tensor)} == {packed, unpacked}
    assert graph.producers[unpacked].name == "DEQUANTIZE"
    assert [reader.name for reader in graph.consumers[unpacked]] == ["ADD"]


def test_integers_of_fixed_tensors_only():
    made = HandMade()
    source, axes, result = made.tensor((2, 3)), made.fixed([-1, 0], "int64"), made.tensor((2, 3))
    made.op("TILE", [source, axes], [result])
    operator = view(made.to_bytes([source], [result])).operators[0]
    assert [tensor.integers() for tensor in operator.inputs] == [(), (-1, 0)]


def test_damaged_graphs_are_refused():
    with pytest.raises(UserError, match="no graph|this one has none"):
        view_graphs(schema.ModelT())
    made = HandMade()
    source = made.tensor((2, 3))
    made.op("ADD", [source, 7], [source])
    with pytest.raises(UserError, match="damaged"):
        view(made.to_bytes([source], [source]))
