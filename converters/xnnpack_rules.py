"""What keeps an operator out of XNNPACK, in plain words: a literal table of conditions.

They are those of the delegate's README (tflite/delegates/xnnpack in LiteRT), corrected where the interpreter of
ai-edge-litert 2.3.0 was seen to do otherwise; the tests try each of them.
"""

from collections.abc import Callable

from nasfpn_lite.converters.graph_view import GraphView, OperatorView, TensorView

Rule = Callable[[OperatorView, GraphView], str | None]
_MOST_AXES = 6
_FUSED_REFUSED = {4: "TANH", 5: "SIGN_BIT"}  # of the schema's ActivationFunctionType
_INDEX_TYPES = ("int32", "int64", "bool")


def find_reason(operator: OperatorView, graph: GraphView) -> str | None:
    """Says why XNNPACK leaves an operator to the slower built-in kernels; None if it should take it."""
    if operator.custom:
        return "a custom operator, which has its own kernel"
    if operator.name not in RULES:
        return f"XNNPACK has no {operator.name}"
    if not operator.inputs or not operator.outputs:
        return "it has no inputs or no results"
    if operator.name in ("DEQUANTIZE", "DENSIFY") and all(graph.is_fixed(tensor) for tensor in operator.outputs):
        return None
    if any(len(tensor.shape) > _MOST_AXES for tensor in _present(operator)):
        return f"a tensor has more than {_MOST_AXES} axes"
    reasons = (rule(operator, graph) for rule in RULES[operator.name])
    return next((reason for reason in reasons if reason is not None), None)


def _values(operator: OperatorView) -> list[TensorView]:
    return [tensor for tensor in _present(operator) if tensor.dtype not in _INDEX_TYPES]


def _present(operator: OperatorView) -> list[TensorView]:
    return [tensor for tensor in (*operator.inputs, *operator.outputs) if tensor is not None]


def _input(operator: OperatorView, place: int) -> TensorView | None:
    return operator.inputs[place] if place < len(operator.inputs) else None


def _one_type(*allowed: str) -> Rule:
    """All tensors but shapes and axes have one type, of those allowed; bytes have one scale."""

    def rule(operator: OperatorView, graph: GraphView) -> str | None:
        found = sorted({tensor.dtype for tensor in _values(operator)})
        if not found:
            return "it works on shapes or indices, not on values"
        if len(found) > 1:
            return f"it mixes {' and '.join(found)}"
        if found[0] not in allowed:
            return f"it is taken in {' or '.join(allowed)} only, this one is {found[0]}"
        return _without_one_scale(_values(operator))

    return rule


_FLOAT = _one_type("float32")
_ANY = _one_type("float32", "int8", "uint8")


def _without_one_scale(tensors: list[TensorView]) -> str | None:
    wrong = [t for t in tensors if t.dtype in ("int8", "uint8") and (len(t.scales) != 1 or t.axis != 0)]
    return f"tensor {wrong[0].name} has no scale of its own, or one per channel" if wrong else None


def _matrix(*, channel_axis: int, hybrid: bool) -> Rule:
    """Data, weights and result of one type; `hybrid` allows float data with int8 weights too."""

    def rule(operator: OperatorView, graph: GraphView) -> str | None:
        data, weights, result = operator.data, operator.weights, operator.outputs[0]
        if data is None or weights is None:
            return "it has no data or no weights"
        types = (data.dtype, weights.dtype, result.dtype)
        if types == ("float32", "int8", "float32"):
            return None if hybrid else "it has no kernel for float32 data with int8 weights (dynamic range)"
        if types not in (("float32",) * 3, ("int8",) * 3, ("uint8",) * 3):
            return f"it has no kernel for {data.dtype} data with {weights.dtype} weights and {result.dtype} results"
        if weights.dtype == "int8" and len(weights.scales) > 1 and weights.axis != channel_axis:
            return f"the scales of its weights lie along axis {weights.axis}, expected {channel_axis}"
        return _without_one_scale([data, result] + [weights] * (weights.dtype == "uint8"))

    return rule


def _fixed(what: str, *places: int) -> Rule:
    def rule(operator: OperatorView, graph: GraphView) -> str | None:
        for place in places:
            tensor = _input(operator, place)
            if tensor is not None and not graph.is_fixed(tensor):
                return f"its {what} is computed while the model runs, it must be fixed in the file"
        return None

    return rule


def _count(place: str, least: int, most: int) -> Rule:
    def rule(operator: OperatorView, graph: GraphView) -> str | None:
        count = len(getattr(operator, place))
        return None if least <= count <= most else f"it has {count} {place}, {least} to {most} are taken"

    return rule


def _fused(operator: OperatorView, graph: GraphView) -> str | None:
    name = _FUSED_REFUSED.get(getattr(operator.options, "fusedActivationFunction", 0))
    return None if name is None else f"the activation {name} is fused into it"


def _same_scale(operator: OperatorView, graph: GraphView) -> str | None:
    scales = {(tensor.scales, tensor.zero_points) for tensor in _values(operator)}
    return None if len(scales) == 1 else "its tensors differ in scale or zero point"


def _ratio(least: float, below: float, *, product: bool = False) -> Rule:
    """Bounds of input scale / output scale, or of the product of both inputs' scales / output scale."""

    def rule(operator: OperatorView, graph: GraphView) -> str | None:
        result = operator.outputs[0]
        scales = [tensor.scales[0] for tensor in operator.inputs if tensor is not None and tensor.scales]
        if not scales or not result.scales:
            return None
        ratios = [scales[0] * scales[-1]] if product else scales
        wrong = [ratio / result.scales[0] for ratio in ratios if not least <= ratio / result.scales[0] < below]
        return f"input scale / output scale is {wrong[0]:.3g}, expected {least:.3g} to {below:.3g}" if wrong else None

    return rule


def _quantize(operator: OperatorView, graph: GraphView) -> str | None:
    source, result = operator.inputs[0], operator.outputs[0]
    if source is None or result.dtype not in ("int8", "uint8") or source.dtype not in ("float32", result.dtype):
        return (
            f"it turns {source.dtype if source else 'nothing'} into {result.dtype}; from float32 or the same type only"
        )
    return _without_one_scale([source, result]) or _ratio(1 / 256, 128)(operator, graph)


def _dequantize(operator: OperatorView, graph: GraphView) -> str | None:
    source = operator.inputs[0]
    if source is None or source.dtype not in ("int8", "uint8"):
        return f"it turns {source.dtype if source else 'nothing'} into float32; from int8 or uint8 only"
    return _without_one_scale([source])


def _pool_window(operator: OperatorView, graph: GraphView) -> str | None:
    pool = operator.options
    if pool is None:
        return "it has no options"
    window, stride = (pool.filterHeight, pool.filterWidth), (pool.strideH, pool.strideW)
    return "a 1x1 window with a stride above 1" if window == (1, 1) and stride != (1, 1) else None


def _plain_strides(operator: OperatorView, graph: GraphView) -> str | None:
    masks = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")
    if any(getattr(operator.options, mask, 0) for mask in masks):
        return "it adds or drops an axis"
    steps = _input(operator, 3)
    return "its stride is not 1" if steps is not None and set(steps.integers()) != {1} else None


def _plain_sizes(operator: OperatorView, graph: GraphView) -> str | None:
    sizes = _input(operator, 2)
    wrong = sizes is not None and any(size <= 0 for size in sizes.integers())
    return "it says -1 for 'to the end' in place of a size" if wrong else None


def _unit_beta(operator: OperatorView, graph: GraphView) -> str | None:
    beta = getattr(operator.options, "beta", 0.0)
    return None if beta == 1.0 else f"beta is {beta:g}, expected 1"


def _padding(operator: OperatorView, graph: GraphView) -> str | None:
    paddings = _input(operator, 1)
    return "a padding is negative" if paddings is not None and any(n < 0 for n in paddings.integers()) else None


_REDUCE = (_ANY, _fixed("list of axes", 1))
_SUM_LIKE = (_ANY, _fused, _ratio(1 / 1024, 256))

RULES: dict[str, tuple[Rule, ...]] = {
    "ABS": (_FLOAT,),
    "ADD": _SUM_LIKE,
    "AVERAGE_POOL_2D": (_FLOAT, _pool_window, _fused),
    "BATCH_MATMUL": (_one_type("float32", "int8"),),
    "CEIL": (_FLOAT,),
    "CONCATENATION": (_count("inputs", 2, 5), _ANY, _same_scale),
    "CONV_2D": (_matrix(channel_axis=0, hybrid=True), _fixed("kernel or bias", 1, 2), _fused),
    "COS": (_FLOAT,),
    "DENSIFY": (_FLOAT,),
    "DEPTH_TO_SPACE": (_ANY,),
    "DEPTHWISE_CONV_2D": (_matrix(channel_axis=3, hybrid=False), _fixed("kernel or bias", 1, 2), _fused),
    "DEQUANTIZE": (_dequantize,),
    "DIV": (_FLOAT, _fused),
    "ELU": (_one_type("float32", "int8"),),
    "EXP": (_FLOAT,),
    "FLOOR": (_FLOAT,),
    "FULLY_CONNECTED": (_matrix(channel_axis=0, hybrid=True), _fixed("kernel or bias", 1, 2), _fused),
    "GELU": (_FLOAT,),
    "HARD_SWISH": (_FLOAT,),
    "LEAKY_RELU": (_ANY, _ratio(1 / 256, 128)),
    "LOGISTIC": (_ANY,),
    "MAX_POOL_2D": (_ANY, _pool_window, _fused),
    "MAXIMUM": (_FLOAT,),
    "MEAN": _REDUCE,
    "MINIMUM": (_FLOAT,),
    "MUL": (_ANY, _fused, _ratio(1 / 65536, 256, product=True)),
    "NEG": (_FLOAT,),
    "PAD": (_ANY, _fixed("list of paddings", 1), _padding),
    "PRELU": (_FLOAT, _fixed("slope", 1)),
    "QUANTIZE": (_quantize,),
    "REDUCE_MAX": _REDUCE,
    "REDUCE_MIN": _REDUCE,
    "RELU": (_FLOAT,),
    "RELU6": (_FLOAT,),
    "RELU_N1_TO_1": (_FLOAT,),
    "RESHAPE": (_ANY, _fixed("shape", 1)),
    "RESIZE_BILINEAR": (_ANY, _fixed("size", 1)),
    "ROUND": (_FLOAT,),
    "RSQRT": (_FLOAT,),
    "SIN": (_FLOAT,),
    "SLICE": (_ANY, _fixed("begin or size", 1, 2), _plain_sizes),
    "SOFTMAX": (_FLOAT, _unit_beta),
    "SPACE_TO_DEPTH": (_ANY,),
    "SPLIT": (_ANY, _fixed("axis", 0), _count("outputs", 2, 4)),
    "SQRT": (_FLOAT,),
    "SQUARE": (_FLOAT,),
    "SQUARED_DIFFERENCE": (_FLOAT,),
    "STRIDED_SLICE": (_ANY, _fixed("begin, end or stride", 1, 2, 3), _plain_strides),
    "SUB": _SUM_LIKE,
    "SUM": _REDUCE,
    "TANH": (_ANY,),
    "TRANSPOSE": (_ANY, _fixed("order of axes", 1)),
    "TRANSPOSE_CONV": (_matrix(channel_axis=0, hybrid=True), _fixed("shape, kernel or bias", 0, 1, 3), _fused),
}
