"""Which rows an operator may have; what real runs show is in test_row_matching."""

import pytest

from nasfpn_lite.android_bench.row_kinds import list_patterns, row_kind
from nasfpn_lite.converters.graph_view import view_graphs
from tests.hand_made_tflite import HandMade, conv_options, options


@pytest.mark.parametrize(
    ("node_type", "kind"),
    [
        ("Convolution (NHWC, QC8) IGEMM", "Convolution IGEMM"),
        ("Fully Connected (NC, QS8, QC8W) GEMM", "Fully Connected GEMM"),
        ("Sum (ND) Reduce2", "Sum Reduce2"),
        ("Invalid Unary Op", "Invalid Unary Op"),
    ],
)
def test_kinds(node_type, kind):
    assert row_kind(node_type) == kind


def shows(made, inputs, outputs, *kinds):
    """Says whether the last operator may show as these rows."""
    made.graph.main.inputs, made.graph.main.outputs = inputs, outputs
    view = view_graphs(made.graph.model)[0]
    ways = list_patterns(view.operators[-1], view)
    return any(
        len(way) == len(kinds) and all(part.fullmatch(kind) for part, kind in zip(way, kinds, strict=True))
        for way in ways
    )


def test_a_convolution():
    made = HandMade()
    source, target = made.tensor((1, 4, 4, 3), "int8"), made.tensor((1, 4, 4, 8), "int8")
    made.conv(source, target)
    assert shows(made, [source], [target], "Convolution IGEMM")
    assert shows(made, [source], [target], "Fully Connected GEMM")
    assert not shows(made, [source], [target], "Convolution DWConv")
    assert not shows(made, [source], [target], "Convert", "Convolution IGEMM")
    assert not shows(made, [source], [target])


def test_float_data_with_int8_weights_are_converted_first():
    made = HandMade()
    source, target = made.tensor((1, 4, 4, 3)), made.tensor((1, 4, 4, 8))
    made.conv(source, target, weights="int8")
    assert shows(made, [source], [target], "Convert", "Fully Connected GEMM")


@pytest.mark.parametrize(("activation", "clamps"), [(0, False), (3, True)])
def test_an_addition_and_its_activation(activation, clamps):
    made = HandMade()
    first, second, target = (made.tensor((1, 4)) for _ in range(3))
    made.op("ADD", [first, second], [target], options("Add", fusedActivationFunction=activation))
    assert shows(made, [first, second], [target], "Add")
    assert shows(made, [first, second], [target], "Add", "Clamp") == clamps


def test_a_depthwise_convolution_is_no_other_one():
    made = HandMade()
    source, target = made.tensor((1, 4, 4, 3)), made.tensor((1, 4, 4, 3))
    weights, bias = made.fixed([[[[1] * 3] * 3] * 3], "float32"), made.fixed([0] * 3, "float32")
    depthwise = options("DepthwiseConv2D", strideH=1, strideW=1, depthMultiplier=1)
    made.op("DEPTHWISE_CONV_2D", [source, weights, bias], [target], depthwise)
    assert shows(made, [source], [target], "Convolution DWConv")
    assert not shows(made, [source], [target], "Convolution IGEMM")


def test_what_may_be_silent_and_what_is_never_seen():
    made = HandMade()
    source, target = made.tensor((1, 4)), made.tensor((4, 1))
    made.op("RESHAPE", [source, made.fixed([4, 1])], [target], options("Reshape"))
    assert shows(made, [source], [target])
    assert shows(made, [source], [target], "Static Reshape")
    other = made.tensor((4, 1))
    made.op("Custom_Thing", [target], [other])
    assert shows(made, [source], [other])
    assert not shows(made, [source], [other], "Custom_Thing")


def test_weights_that_are_unpacked_have_no_row():
    made = HandMade()
    source, target = made.tensor((1, 1, 1, 2)), made.tensor((1, 1, 1, 2))
    packed, weights = made.fixed([[[[1, 2]]], [[[3, 4]]]], "float16"), made.tensor((2, 1, 1, 2))
    made.op("DEQUANTIZE", [packed], [weights])
    assert shows(made, [source], [target])
    assert not shows(made, [source], [target], "Convert")
    made.op("CONV_2D", [source, weights, made.fixed([0, 0], "float32")], [target], conv_options())
    assert shows(made, [source], [target], "Fully Connected GEMM")
