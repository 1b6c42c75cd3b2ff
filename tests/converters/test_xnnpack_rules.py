"""The table of conditions, tried one by one on the interpreter: what it foretells must come true."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.delegation import measure_delegation
from nasfpn_lite.converters.graph_view import view_graphs
from nasfpn_lite.converters.interpreter import make_interpreter
from nasfpn_lite.converters.xnnpack_rules import RULES, find_reason
from tests.hand_made_tflite import HandMade, conv_options, options

SHAPE = (1, 4, 6, 8)
POOL = {"strideH": 2, "strideW": 2}
DEPTHWISE = {"strideH": 1, "strideW": 1, "depthMultiplier": 1, "dilationHFactor": 1, "dilationWFactor": 1}


def fed(shape=SHAPE, dtype="float32", **scale):
    return lambda made: made.tensor(shape, dtype, **scale)


def fixed(values, dtype="int32", **scale):
    return lambda made: made.fixed(values, dtype, **scale)


def check(name, inputs, outputs, made_options=None, *, taken, reason="", version=1):
    """Builds a graph of one operator; both the interpreter and the table must say `taken`."""
    made = HandMade()
    sources, results = [make(made) for make in inputs], [make(made) for make in outputs]
    made.op(name, sources, results, made_options, version=version)
    open_inputs = [index for index in sources if made.graph.main.tensors[index].buffer == 0]
    content = made.to_bytes(open_inputs, results)
    graph = view_graphs(schema.ModelT.InitFromPackedBuf(content, 0))[0]
    found = find_reason(graph.operators[0], graph)
    assert bool(measure_delegation(make_interpreter(content), graph).positions) is taken
    assert (found is None) is taken, found
    assert reason in (found or "")


BYTES = ("int8", "uint8")
FLOAT_ONLY = "ABS CEIL COS EXP FLOOR NEG RELU RELU6 ROUND RSQRT SIN SQRT SQUARE".split()


@pytest.mark.parametrize("name", FLOAT_ONLY)
def test_functions_of_floats(name):
    check(name, [fed()], [fed()], taken=True)


@pytest.mark.parametrize("name", ["RELU", "RELU6", "ABS", "NEG", "EXP", "RSQRT"])
def test_functions_that_have_no_int8(name):
    check(name, [fed(dtype="int8")], [fed(dtype="int8")], taken=False, reason="float32 only, this one is int8")


@pytest.mark.parametrize("dtype", ["float32", *BYTES])
@pytest.mark.parametrize("name", ["LOGISTIC", "TANH"])
def test_sigmoid_and_tanh_of_any_type(name, dtype):
    check(name, [fed(dtype=dtype)], [fed(dtype=dtype)], taken=True)


@pytest.mark.parametrize("dtype", ["float32", *BYTES, "int16"])
@pytest.mark.parametrize(("name", "kind"), [("ADD", "Add"), ("SUB", "Sub"), ("MUL", "Mul")])
def test_arithmetic_of_any_type_but_int16(name, kind, dtype):
    one = fed(dtype=dtype)
    check(name, [one, one], [one], options(kind), taken=dtype != "int16", version=2)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(("name", "kind"), [("DIV", "Div"), ("MAXIMUM", "MaximumMinimum")])
def test_arithmetic_of_floats_only(name, kind, dtype):
    one = fed(dtype=dtype)
    check(name, [one, one], [one], options(kind), taken=dtype == "float32", version=2)


@pytest.mark.parametrize(("scale", "taken"), [(0.05, True), (2.5, True), (10.0, False)])
def test_scales_of_a_sum(scale, taken):
    inputs = [fed(dtype="int8", scale=scale), fed(dtype="int8", scale=0.01)]
    check("ADD", inputs, [fed(dtype="int8", scale=0.01)], options("Add"), taken=taken, version=2)


@pytest.mark.parametrize(("activation", "taken"), [(0, True), (1, True), (3, True), (4, False)])
def test_fused_activations(activation, taken):
    made_options = options("Add", fusedActivationFunction=activation)
    check("ADD", [fed(), fed()], [fed()], made_options, taken=taken, reason="" if taken else "TANH", version=2)


@pytest.mark.parametrize(("axes", "taken"), [(6, True), (7, False)])
def test_number_of_axes(axes, taken):
    one = fed((1,) * (axes - 1) + (4,))
    check("ADD", [one, one], [one], options("Add"), taken=taken, version=2)


@pytest.mark.parametrize("dtype", ["float32", *BYTES])
def test_pooling(dtype):
    result = [fed((1, 2, 3, 8), dtype)]
    window = options("Pool2D", **POOL, filterHeight=2, filterWidth=2)
    check("MAX_POOL_2D", [fed(dtype=dtype)], result, window, taken=True)
    check("AVERAGE_POOL_2D", [fed(dtype=dtype)], result, window, taken=dtype == "float32")
    point = options("Pool2D", **POOL, filterHeight=1, filterWidth=1)
    check("MAX_POOL_2D", [fed(dtype=dtype)], result, point, taken=False, reason="1x1 window")


@pytest.mark.parametrize("dtype", ["float32", *BYTES])
@pytest.mark.parametrize("name", ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"])
@pytest.mark.parametrize(("axes", "shape"), [([1, 2], (1, 1, 1, 8)), ([3], (1, 4, 6, 1)), ([1, 2, 3], (1, 1, 1, 1))])
def test_reductions_over_any_axes(name, dtype, axes, shape):
    reducer = options("Reducer", keepDims=True)
    check(name, [fed(dtype=dtype), fixed(axes)], [fed(shape, dtype)], reducer, taken=True, version=2)


@pytest.mark.parametrize(("count", "taken"), [(1, False), (2, True), (5, True), (6, False)])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_number_of_tensors_joined(count, taken, dtype):
    result = [fed((1, 4, 6, 8 * count), dtype)]
    check("CONCATENATION", [fed(dtype=dtype)] * count, result, options("Concatenation", axis=3), taken=taken)


@pytest.mark.parametrize(("count", "taken"), [(2, True), (4, True), (5, False)])
def test_number_of_pieces(count, taken):
    pieces = [fed((1, 4, 6, 2))] * count
    check("SPLIT", [fixed(3), fed((1, 4, 6, 2 * count))], pieces, options("Split", numSplits=count), taken=taken)


@pytest.mark.parametrize("dtype", ["float32", *BYTES])
def test_rearranging(dtype):
    one = fed(dtype=dtype)
    check("RESHAPE", [one, fixed([1, 24, 8])], [fed((1, 24, 8), dtype)], options("Reshape"), taken=True)
    check("TRANSPOSE", [one, fixed([0, 3, 1, 2])], [fed((1, 8, 4, 6), dtype)], options("Transpose"), taken=True)
    check("PAD", [one, fixed([[0, 0], [1, 1], [1, 1], [0, 0]])], [fed((1, 6, 8, 8), dtype)], taken=True)
    check("DEPTH_TO_SPACE", [one], [fed((1, 8, 12, 2), dtype)], options("DepthToSpace", blockSize=2), taken=True)
    check("SPACE_TO_DEPTH", [one], [fed((1, 2, 3, 32), dtype)], options("SpaceToDepth", blockSize=2), taken=True)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_resizing(dtype):
    larger = [fed((1, 8, 12, 8), dtype)]
    bilinear, nearest = options("ResizeBilinear", halfPixelCenters=True), options("ResizeNearestNeighbor")
    check("RESIZE_BILINEAR", [fed(dtype=dtype), fixed([8, 12])], larger, bilinear, taken=True, version=3)
    reason = "no RESIZE_NEAREST_NEIGHBOR"
    check("RESIZE_NEAREST_NEIGHBOR", [fed(dtype=dtype), fixed([8, 12])], larger, nearest, taken=False, reason=reason)


@pytest.mark.parametrize(
    ("size", "stride", "mask", "taken"),
    [((1, 2, 2, 8), 1, 0, True), ((1, 2, 3, 8), 2, 0, False), ((4, 6, 8), 1, 1, False)],
)
def test_strided_slices(size, stride, mask, taken):
    end = [1, 4, 6, 8] if (stride, mask) != (1, 0) else [1, 2, 2, 8]
    bounds = [fixed([0, 0, 0, 0]), fixed(end), fixed([1, stride, stride, 1])]
    made_options = options("StridedSlice", shrinkAxisMask=mask)
    check("STRIDED_SLICE", [fed(), *bounds], [fed(size)], made_options, taken=taken)


@pytest.mark.parametrize(("size", "taken"), [([1, 2, 2, 8], True), ([-1, 2, 2, -1], False)])
def test_slices(size, taken):
    check("SLICE", [fed(), fixed([0, 0, 0, 0]), fixed(size)], [fed((1, 2, 2, 8))], options("Slice"), taken=taken)


def test_a_shape_that_is_computed():
    check("RESHAPE", [fed((1, 8)), fed((2,), "int32")], [fed((2, 4))], taken=False, reason="must be fixed in the file")


@pytest.mark.parametrize(("dtype", "beta", "taken"), [("float32", 1.0, True), ("float32", 2.0, False)])
def test_softmax(dtype, beta, taken):
    check("SOFTMAX", [fed(dtype=dtype)], [fed(dtype=dtype)], options("Softmax", beta=beta), taken=taken)


def test_softmax_of_int8():
    result = fed(dtype="int8", scale=1 / 256, zero_point=-128)
    check("SOFTMAX", [fed(dtype="int8")], [result], options("Softmax", beta=1.0), taken=False, reason="int8")


@pytest.mark.parametrize(
    ("source", "result", "taken"),
    [
        ("float32", "int8", True),
        ("float32", "uint8", True),
        ("int8", "int8", True),
        ("uint8", "int8", False),
        ("int8", "uint8", False),
        ("int16", "int8", False),
    ],
)
def test_quantizing(source, result, taken):
    check("QUANTIZE", [fed(dtype=source)], [fed(dtype=result)], taken=taken, version=2)


@pytest.mark.parametrize(("source", "taken"), [("int8", True), ("uint8", True), ("int16", False)])
def test_dequantizing(source, taken):
    check("DEQUANTIZE", [fed(dtype=source)], [fed()], taken=taken, version=2)


# Data, weights, scale of the weights, bias, scale of the bias.
FLOAT = ("float32", "float32", None, "float32", None)
PER_CHANNEL = ("int8", "int8", [0.01] * 8, "int32", [5e-4] * 8)
PER_TENSOR = ("int8", "int8", 0.01, "int32", 5e-4)
UNSIGNED = ("uint8", "uint8", 0.01, "int32", 5e-4)
HYBRID = ("float32", "int8", [0.01] * 8, "float32", None)
INT16 = ("int16", "int8", [0.01] * 8, "int64", [1e-5] * 8)


@pytest.mark.parametrize("types", [FLOAT, PER_CHANNEL, PER_TENSOR, UNSIGNED, HYBRID, INT16])
def test_matrix_products(types):
    data, weights, scale, bias_type, bias_scale = types
    taken, one, bias = types is not INT16, fed(dtype=data), fixed(np.zeros(8), bias_type, scale=bias_scale)

    def kernel(shape, axis=0):
        return fixed(np.ones(shape), weights, scale=scale, axis=axis if isinstance(scale, list) else 0)

    check("CONV_2D", [one, kernel((8, 1, 1, 8)), bias], [one], conv_options(), taken=taken, version=3)
    depthwise = options("DepthwiseConv2D", **DEPTHWISE)
    inputs, depthwise_taken = [one, kernel((1, 3, 3, 8), 3), bias], taken and types is not HYBRID
    check("DEPTHWISE_CONV_2D", inputs, [one], depthwise, taken=depthwise_taken, version=3)
    rows = fed((2, 8), data)
    check("FULLY_CONNECTED", [rows, kernel((8, 8)), bias], [rows], options("FullyConnected"), taken=taken, version=4)
    inputs, larger = [fixed([1, 8, 12, 8]), kernel((8, 2, 2, 8)), one], fed((1, 8, 12, 8), data)
    transposed = options("TransposeConv", strideH=2, strideW=2)
    check("TRANSPOSE_CONV", inputs, [larger], transposed, taken=taken, version=3)


def test_weights_that_are_computed():
    inputs = [fed(), fed((8, 1, 1, 8)), fixed(np.zeros(8), "float32")]
    check("CONV_2D", inputs, [fed()], conv_options(), taken=False, reason="kernel or bias is computed")


@pytest.mark.parametrize(
    ("name", "inputs", "result"),
    [
        ("TILE", [fed(), fixed([1, 2, 1, 1])], (1, 8, 6, 8)),
        ("EXPAND_DIMS", [fed(), fixed([1])], (1, 1, 4, 6, 8)),
        ("SQUEEZE", [fed()], (4, 6, 8)),
        ("GATHER", [fed((4, 6)), fixed([0, 1])], (2, 6)),
    ],
)
def test_operators_that_xnnpack_lacks(name, inputs, result):
    assert name not in RULES
    check(name, inputs, [fed(result)], taken=False, reason=f"XNNPACK has no {name}")


def test_a_custom_operator():
    made = HandMade()
    source = made.tensor(SHAPE)
    made.op("NobodyKnowsThis", [source], [source])
    graph = view_graphs(schema.ModelT.InitFromPackedBuf(made.to_bytes([source], [source]), 0))[0]
    assert "custom operator" in find_reason(graph.operators[0], graph)


MATRIX_PRODUCTS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}


@pytest.mark.parametrize("name", sorted(RULES.keys() - MATRIX_PRODUCTS))  # without weights those count as damaged
def test_no_rule_trips_over_a_bare_operator(name):
    made = HandMade()
    source = made.tensor((2, 3))
    made.op(name, [source], [source])
    made.op(name, [], [])
    graph = view_graphs(schema.ModelT.InitFromPackedBuf(made.to_bytes([source], [source]), 0))[0]
    assert all(isinstance(find_reason(operator, graph), str | None) for operator in graph.operators)
